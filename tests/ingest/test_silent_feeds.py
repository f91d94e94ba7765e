"""Feeds that stop while their connection stands: found in time, asked for again, renewed, then said to a person."""

import random
import time
from decimal import Decimal

import pytest
from scripted import PAIRS, Scripted, hasten, ingesting, missing_ids, taken_ids
from sockets import until

from sofia_streams.core.bars.candles import apply, store
from sofia_streams.core.bars.windows import Rules
from sofia_streams.ingest.intake import Intake, Limits
from sofia_streams.ingest.line import Line
from sofia_streams.model import NS_PER_MS, NS_PER_SECOND, Bar, Gap, ParsedTrade, Punctuation, Trade, TradeBatch
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.slow
STALE_AFTER_S = 2.0
ETH = "ETH-USDT"


@pytest.fixture
def venue(monkeypatch):
    """One on which everything goes well until a test says otherwise."""
    hasten(monkeypatch, "okx")
    return Scripted()


async def warm(log):
    """Until it is known what is usual."""
    await until(lambda: len(taken_ids(log, "ETH/USDT")) > 50 and log.reports)


def asked_again(venue, since=1):
    """The connections on which ETH was asked for alone, after it had been taken back there."""
    alone = [(place, text) for place, text, _ in venue.asked if ETH in text and "BTC-USDT" not in text]
    return [place for place, text in alone if '"subscribe"' in text]


async def test_a_venue_that_forgot_one_subscription_is_asked_again_and_that_heals_it(venue):
    async with ingesting(venue, stale_after_s=STALE_AFTER_S) as log:
        await warm(log)
        began_s, forgotten = time.monotonic(), venue.printed
        venue.forget(ETH)
        await until(lambda: log.gaps("ETH/USDT", "stale"))
        found_s = time.monotonic() - began_s
        await until(lambda: all(gap.state == "closed" for gap in log.gaps("ETH/USDT", "stale")))
        await until(lambda: missing_ids(log, "ETH/USDT"))
        print(f"found after {found_s:.2f} s of a limit of {STALE_AFTER_S} s")
        assert found_s >= STALE_AFTER_S * 0.9
        assert asked_again(venue) == [1] and len(venue.sockets) == 1
        assert log.alerts == [] and log.gaps("BTC/USDT", "stale") == []
        lost = missing_ids(log, "ETH/USDT")
        taken = taken_ids(log, "ETH/USDT")
        assert min(lost) - forgotten <= 2
        assert sorted({*taken, *lost}) == list(range(min(taken), max(taken) + 1))
        assert missing_ids(log, "BTC/USDT") == set()


async def test_what_asking_again_does_not_heal_a_new_connection_does(venue):
    async with ingesting(venue, stale_after_s=STALE_AFTER_S) as log:
        await warm(log)
        venue.loses = lambda connection, listing, number: connection == 1 and listing == ETH
        await until(lambda: [gap.state for gap in log.gaps("ETH/USDT", "stale")] == ["closed"])
        assert asked_again(venue) == [1] and len(venue.sockets) == 2
        assert log.alerts == []
        assert missing_ids(log, "BTC/USDT") == set()


async def test_what_nothing_heals_is_said_to_a_person_once_after_both_were_tried(venue):
    async with ingesting(venue, stale_after_s=STALE_AFTER_S) as log:
        await warm(log)
        venue.loses = lambda connection, listing, number: listing == ETH
        tried = []

        def is_said():
            tried.append((len(asked_again(venue)), len(venue.sockets), len(log.alerts)))
            return log.alerts

        await until(is_said)
        assert list(dict.fromkeys(tried)) == [(0, 1, 0), (1, 1, 0), (1, 2, 0), (1, 2, 1)]
        (alert,) = log.alerts
        assert alert.severity == "critical" and "okx|spot|ETH/USDT" in alert.text
        assert [gap.state for gap in log.gaps("ETH/USDT", "stale")] == ["open"]
        said = len(log.reports)
        await until(lambda: len(log.reports) > said + 80)  # two limits more
        assert len(log.alerts) == 1 and len(venue.sockets) == 2 and log.gaps("BTC/USDT", "stale") == []


@pytest.mark.parametrize("is_healed", [True, False])
async def test_a_connection_that_only_beats_is_renewed_and_then_said(monkeypatch, is_healed):
    """OKX answers our pings though it sends no data any more: the connection itself never looks silent."""
    hasten(monkeypatch, "okx", ping_every_s=0.1, silence_s=0.8)
    venue = Scripted()
    async with ingesting(venue, stale_after_s=STALE_AFTER_S) as log:
        await warm(log)
        venue.loses = lambda connection, listing, number: connection == 1 or not is_healed
        if is_healed:
            await until(lambda: [gap.state for pair in PAIRS for gap in log.gaps(pair, "stale")] == ["closed"] * 2)
        else:
            await until(lambda: log.alerts)
            assert "okx-0: all 2 instruments are silent" in log.alerts[0].text
        assert len(venue.sockets) == 2 and len(log.alerts) == (not is_healed)
        assert not asked_again(venue)


LINE = Line("okx", "spot", "okx-0.1", "okx-0")
BEGIN_NS = 1_786_310_820 * NS_PER_SECOND


def print_of(listing, number, at_ns):
    trade = Trade(str(number), Decimal(100), Decimal(1), "buy", at_ns // NS_PER_MS * NS_PER_MS, number)
    return VENUES["okx"].encode_trade(ParsedTrade(listing, trade)).encode()


def played(prints, until_s):
    """The records of an intake that gets these (second, listing, number), with a tick each second."""
    intake = Intake(Limits())
    intake.requested(LINE, 1)
    records, due = [], sorted(prints)
    place = 0
    for second in range(until_s):
        now_ns = BEGIN_NS + second * NS_PER_SECOND
        while place < len(due) and due[place][0] <= second:
            at_ns = BEGIN_NS + int(due[place][0] * NS_PER_SECOND)
            records += intake.take(LINE, print_of(due[place][1], due[place][2], at_ns), at_ns + 20 * NS_PER_MS)[0]
            place += 1
        records += intake.tick(now_ns)
    return records


def last_bars(records, symbol):
    """The last revision of every second of an instrument, by second from the beginning."""
    rows, bars = {}, {}
    for offset, record in enumerate(records):
        if isinstance(record, TradeBatch | Punctuation | Gap) and record.symbol == symbol:
            step = apply(rows, record, offset=offset, rules=Rules())
            store(rows, step.rows)
            for bar in step.bars:
                if isinstance(bar, Bar) and bar.venue == "okx" and bar.size_ns == NS_PER_SECOND:
                    bars[(bar.start_ns - BEGIN_NS) // NS_PER_SECOND] = bar
    return bars


def test_the_seconds_of_a_dead_instrument_are_flagged_and_none_is_filled():
    prints = [(second + tenth / 10, "BTC-USDT", second * 10 + tenth) for second in range(200) for tenth in range(10)]
    prints += [(float(second), ETH, second) for second in range(200) if not 100 < second < 160]
    records = played(prints, 200)
    opened_s = next((one.received_ns - BEGIN_NS) / 1e9 for one in records if isinstance(one, Gap))
    bars = last_bars(records, "ETH/USDT")
    dead = {second: bars[second] for second in range(101, 160) if second in bars}
    print(f"found {opened_s - 100:.0f} s after the last print; {len(dead)} of 59 seconds have a bar, flagged")
    assert opened_s - 100 <= 17
    assert dead and {(bar.quality, bar.trade_count, bar.close) for bar in dead.values()} <= {
        ("stale", 0, None),
        ("gap", 0, None),
    }
    assert not any(bar.trade_count == 0 and bar.quality == "complete" for bar in dead.values())
    others = last_bars(records, "BTC/USDT")
    assert {others[second].quality for second in range(1, 190)} == {"complete"}


@pytest.mark.parametrize("pause_s", [1.0, 10.0, 60.0, 600.0])
def test_a_slow_but_healthy_instrument_raises_no_alarm_in_days(pause_s):
    """Prints at random, as a market's are; the pauses then have no longest one."""
    chance, prints, at_s, number = random.Random(7), [], 0.0, 0
    hours = max(24, int(100 * pause_s / 60))
    while at_s < hours * 3600:
        number += 1
        at_s += chance.expovariate(1 / pause_s)
        prints.append((at_s, number))
    outages = Intake(Limits()).outages
    silent, highest = 0, 0
    for at_s, _ in prints:
        at_ns = int(at_s * 1e9)
        pulse = outages._pulses.get("okx|spot|X/USDT")
        level = pulse.level(at_ns) if pulse else 0  # just before it is heard
        silent, highest = silent + (level > 0), max(highest, level)
        outages.saw("okx|spot|X/USDT", at_ns)
    print(
        f"a print each {pause_s} s: {silent} false alarms in {hours} h, {silent / hours:.4f} an hour, level {highest}"
    )
    assert silent / hours < 0.1
    assert highest < 3  # nobody is woken
