"""Clocks that are wrong: ours is set while it runs, a venue's is ahead, behind or drifts. Bars do not notice."""

import time
from decimal import Decimal

import pytest
from scripted import PAIRS, Scripted, hasten, ingesting, taken_ids
from sockets import until

from sofia_streams.core.bars.candles import apply, store
from sofia_streams.core.bars.windows import Rules
from sofia_streams.core.feeds.skew import AGREEING
from sofia_streams.ingest.intake import Intake, Limits
from sofia_streams.ingest.line import Line
from sofia_streams.ingest.sockets.clock import CLOCK, Clock
from sofia_streams.model import (
    NS_PER_MS,
    NS_PER_SECOND,
    Gap,
    ParsedTicker,
    ParsedTrade,
    Punctuation,
    Quarantined,
    Trade,
    TradeBatch,
)
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.slow
S = NS_PER_SECOND
BEGIN_NS = 1_786_310_820 * S
HOUR_S = 3_600
LINE = Line("okx", "spot", "okx-0.1", "okx-0")
WAY_NS = 20 * NS_PER_MS


class Machine:
    """Times of a machine that runs evenly, and whose wall clock can be set."""

    def __init__(self):
        self.true_ns = BEGIN_NS
        self.off_ns = 0
        self.clock = Clock(lambda: self.true_ns + self.off_ns, lambda: self.true_ns - BEGIN_NS)


def frame_of(listing, number, at_ns):
    trade = Trade(str(number), Decimal(100 + number % 7), Decimal(1), "buy", at_ns // NS_PER_MS * NS_PER_MS, number)
    return VENUES["okx"].encode_trade(ParsedTrade(listing, trade)).encode()


def lived(set_at_s=None, by_s=0.0, seconds=180, ahead_s=lambda second: 0.0):
    """The records and delays of an intake that lives through this: BTC ten times a second, ETH each 4 s.

    Our wall clock is set `by_s` at second `set_at_s`; the venue's is `ahead_s` of the truth.
    """
    machine, intake = Machine(), Intake(Limits())
    intake.requested(LINE, machine.clock.now_ns())
    records, delays = [], []
    for tenth in range(1, seconds * 10):
        machine.true_ns = BEGIN_NS + tenth * S // 10
        exchange_ns = machine.true_ns - WAY_NS + round(ahead_s(tenth / 10) * S)
        if set_at_s is not None and tenth == set_at_s * 10 + 5:  # between two looks at the clock
            machine.off_ns = round(by_s * S)
        for listing, number in [("BTC-USDT", tenth)] + [("ETH-USDT", tenth // 40)] * (tenth % 40 == 0):
            records += intake.take(LINE, frame_of(listing, number, exchange_ns), machine.clock.now_ns())[0]
        if tenth % 10 == 0:
            if moved_ns := machine.clock.adjust():
                intake.moved(moved_ns)
            records += intake.tick(machine.clock.now_ns())
            delays.append(intake.skews["okx"].delay_ns)
    return records, delays, intake


def bars_of(records):
    """The last revision of every bar, and how many revisions there were."""
    tables, bars, revised = {}, {}, 0
    for offset, record in enumerate(records):
        if isinstance(record, TradeBatch | Punctuation | Gap):
            rows = tables.setdefault(record.symbol, {})
            step = apply(rows, record, offset=offset, rules=Rules())
            store(rows, step.rows)
            for bar in step.bars:
                revised += bar.revision > 0
                bars[bar.venue, bar.symbol, bar.size_ns, bar.start_ns] = bar
    return bars, revised


def said_of(record):
    """A record without the receiver's times."""
    return record.symbol, getattr(record, "exchange_ns", None), getattr(record, "trades", None) and len(record.trades)


@pytest.mark.parametrize("by_s", [-HOUR_S, HOUR_S, 24 * HOUR_S, -24 * HOUR_S, 3.0, -3.0])
def test_a_wall_clock_that_is_set_changes_no_bar(by_s):
    records, delays, intake = lived(set_at_s=60, by_s=by_s)
    calm, _, _ = lived()
    assert [said_of(one) for one in records] == [said_of(one) for one in calm]
    assert bars_of(records) == bars_of(calm)
    assert not [one for one in records if isinstance(one, Gap | Quarantined)]
    assert intake.summary()["okx|spot|BTC/USDT"]["late"] == 0
    assert intake.outages.levels == {}
    assert delays[-1] == WAY_NS + by_s * S


def test_a_look_at_the_wall_clock_itself_would_have_been_a_disaster():
    """What the clock is for: the same hour, had the intake read the wall clock and not been told."""
    intake = Intake(Limits())
    intake.requested(LINE, BEGIN_NS)
    for number in range(1, 300):
        at_ns = BEGIN_NS + number * S // 10
        intake.take(LINE, frame_of("BTC-USDT", number, at_ns), at_ns + WAY_NS)
    late_ns = BEGIN_NS + HOUR_S * S
    assert [one.cause for one in intake.tick(late_ns) if isinstance(one, Gap)] == ["stale"]


def test_a_clock_follows_drift_at_once_and_says_only_what_was_set():
    machine = Machine()
    machine.true_ns += 5 * S
    machine.off_ns = 400 * NS_PER_MS
    assert machine.clock.now_ns() == BEGIN_NS + 5 * S
    assert machine.clock.adjust() == 0
    assert machine.clock.now_ns() == machine.true_ns + machine.off_ns
    machine.off_ns = -7 * S
    assert machine.clock.adjust() == -7_400 * NS_PER_MS
    assert machine.clock.now_ns() == machine.true_ns - 7 * S
    assert machine.clock.adjust() == 0


@pytest.fixture
def off_ns(monkeypatch):
    """What the process's wall clock is off; right again afterwards."""
    off_ns = [0]
    monkeypatch.setattr(CLOCK, "wall_ns", lambda: time.time_ns() + off_ns[0])
    yield off_ns
    off_ns[0] = 0
    CLOCK.adjust()


async def test_ingest_lives_through_a_clock_that_is_set_and_tells_a_person(monkeypatch, off_ns):
    """Over real sockets, with the wall clock of the process set an hour ahead and back again."""
    hasten(monkeypatch, "bybit")
    venue = Scripted("bybit")
    async with ingesting(venue) as log:
        await until(lambda: len(taken_ids(log, PAIRS[0], "bybit")) > 50)
        for told, off_s in enumerate([HOUR_S, 0, -HOUR_S], 1):
            off_ns[0] = off_s * S
            await until(lambda told=told: len(log.alerts) == told)
            since = venue.printed
            await until(lambda since=since: max(taken_ids(log, PAIRS[0], "bybit")) > since + 50)
        said = len(log.reports)
        await until(lambda: len(log.reports) > said + 5)
        found = taken_ids(log, PAIRS[0], "bybit")
        assert [alert.text.split("by ")[1].split()[0] for alert in log.alerts] == ["+3600.0", "-3600.0", "-3600.0"]
        assert found == list(range(found[0], found[-1] + 1))
        assert not [one for one in log.records if isinstance(one, Gap | Quarantined)]
        assert log.reports[-1].counts["bybit-0"]["reconnects"] == 0
        assert -3_601e6 < log.reports[-1].counts["bybit"]["delay_us"] < -3_590e6


@pytest.mark.parametrize("ahead_s", [5.0, -5.0, 0.0])
def test_a_venue_whose_clock_is_off_is_measured_and_its_bars_are_on_time(ahead_s):
    records, delays, intake = lived(ahead_s=lambda second: ahead_s)
    off_ms = [(delay_ns - WAY_NS + ahead_s * S) / 1e6 for delay_ns in delays]
    print(f"{ahead_s:+.0f} s: skew measured to {max(map(abs, off_ms)):.1f} ms")
    assert max(map(abs, off_ms)) <= 1
    assert intake.summary()["okx|spot|BTC/USDT"]["late"] == intake.summary()["okx|spot|ETH/USDT"]["late"] == 0
    bars, revised = bars_of(records)
    assert revised == 0
    quiet = [bar for bar in bars.values() if bar.venue == "okx" and bar.symbol == "ETH/USDT" and not bar.trade_count]
    began_ns = min(bar.start_ns for bar in quiet)
    heard = {bar.quality for bar in quiet if bar.start_ns >= began_ns + 2 * S}
    assert len(quiet) > 100 and heard == {"complete"}


@pytest.mark.parametrize("drift_s", [5.0, -5.0])
def test_a_venues_clock_that_drifts_is_followed(drift_s):
    """By five seconds within two minutes, which no clock does; then it stands."""
    records, delays, intake = lived(ahead_s=lambda second: drift_s * min(1.0, second / 120), seconds=240)
    off_ms = [abs(delay_ns - WAY_NS + drift_s * min(1.0, second / 120) * S) / 1e6
              for second, delay_ns in enumerate(delays, 1)]  # fmt: skip
    print(f"drift of {drift_s:+.0f} s in 2 min: measured to {max(off_ms):.0f} ms meanwhile, {off_ms[-1]:.1f} ms after")
    assert off_ms[-1] <= 1
    assert max(off_ms) <= 60 / 120 * 5_000 + 1  # the smallest of a minute
    assert not [one for one in records if isinstance(one, Gap | Quarantined)]
    assert intake.summary()["okx|spot|BTC/USDT"]["late"] == 0


@pytest.mark.parametrize("ahead_s", [5.0, 59.0, -5.0, -3_600.0])
def test_a_latency_is_corrected_for_a_venues_clock_that_is_ahead_and_not_for_one_behind(ahead_s):
    _, _, intake = lived(ahead_s=lambda second: ahead_s, seconds=20)
    skew, now_ns = intake.skews["okx"], BEGIN_NS + 20 * S
    for way_ms in (0, 20, 500):
        found_ns = skew.latency_ns(now_ns - way_ms * NS_PER_MS + round(ahead_s * S), now_ns)
        assert found_ns == (max(0, way_ms - 20) * NS_PER_MS if ahead_s > 0 else way_ms * NS_PER_MS - ahead_s * S)


@pytest.mark.parametrize("lied_tenths", [{601}, {601, 602, 603, 604}, {601, 611, 621, 631}])
def test_a_few_prints_of_the_future_move_no_other_instrument(lied_tenths):
    """BTC's are 55 s ahead; ETH prints each four seconds, and its quiet seconds go by the venue's clock."""
    records, delays, intake = lived(ahead_s=lambda second: 55.0 * (round(second * 10) in lied_tenths))
    calm, calm_delays, _ = lived()
    assert [said_of(one) for one in records if one.symbol == "ETH/USDT"] == [
        said_of(one) for one in calm if one.symbol == "ETH/USDT"
    ]
    assert delays == calm_delays
    assert intake.summary()["okx|spot|ETH/USDT"]["late"] == 0
    assert not [one for one in records if isinstance(one, Gap | Quarantined)]


@pytest.mark.parametrize("by_s", [55.0, 5.0])
def test_a_venues_clock_that_leaps_ahead_is_followed_within_seconds(by_s):
    records, delays, _ = lived(ahead_s=lambda second: by_s * (second >= 60))
    assert set(delays[:60]) == {WAY_NS}
    assert set(delays[60 + AGREEING :]) == {WAY_NS - by_s * S}
    spoken = [one for one in records if isinstance(one, Punctuation) and one.received_ns >= BEGIN_NS + 70 * S]
    assert spoken and all(one.exchange_ns >= one.received_ns + (by_s - 3) * S for one in spoken)
    assert not [one for one in records if isinstance(one, Gap | Quarantined)]


def test_after_our_clock_was_set_times_are_compared_with_what_it_said_before():
    """A ticker and a print, of now and two minutes ahead; our clock is an hour behind for a while."""
    intake = Intake(Limits())
    for number, by_s in enumerate([0, -HOUR_S, HOUR_S, 2 * HOUR_S, -HOUR_S], 1):
        intake.moved(by_s * S)
        behind_s = HOUR_S if by_s == -HOUR_S else 0
        for ahead_s, is_taken in [(0, True), (120, False)]:
            at_ns = BEGIN_NS + (number * 10 + behind_s + ahead_s) * S
            received_ns = BEGIN_NS + number * 10 * S
            ticker = ParsedTicker("BTC-USDT", {"last": Decimal(100)}, at_ns)
            (frame,) = VENUES["okx"].encode_ticker(ticker)
            for data in (frame.encode(), frame_of("BTC-USDT", number * 1_000 + ahead_s, at_ns)):
                found = [type(one) for one in intake.take(LINE, data, received_ns)[0]]
                assert (Quarantined not in found) is is_taken, (number, ahead_s)


def test_a_print_of_after_the_subscription_is_live_though_our_clock_is_ahead():
    """A new connection's first print, by the venue's clock after we asked, by ours (5 s ahead) before."""
    _, _, intake = lived(ahead_s=lambda second: -5.0, seconds=20)
    again = Line("okx", "spot", "okx-0.2", "okx-0")
    asked_ns = BEGIN_NS + 20 * S
    intake.requested(again, asked_ns)
    for number, after_ns, is_history in [(190, -2 * S, True), (5, S, False)]:
        listing = "BTC-USDT" if is_history else "ETH-USDT"
        print_ns = asked_ns + after_ns - 5 * S
        (batch,) = intake.take(again, frame_of(listing, number + 10_000, print_ns), asked_ns + S + WAY_NS)[0][:1]
        assert [trade.snapshot for trade in batch.trades] == [is_history]
