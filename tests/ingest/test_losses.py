"""What feeds lose, over real sockets and a simulator that hurts them: found exactly, and nothing else is."""

import asyncio
import json
import sys
import time
import urllib.request
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from sockets import Kept, feeding, until

sys.path.insert(0, str(Path(__file__).parents[1] / "sim"))
from simulated import serving

from sofia_streams.codec import encode
from sofia_streams.core.feeds.skew import AGREEING
from sofia_streams.ingest.intake import Intake, Limits
from sofia_streams.ingest.line import Line
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.sockets.live import LiveDesk, watch_feeds
from sofia_streams.ingest.sockets.shards import Shard, listings_of
from sofia_streams.model import Gap, Punctuation, TradeBatch
from sofia_streams.ops.simulate import checked_plan, generated
from sofia_streams.simulator.faults import parse_faults

pytestmark = pytest.mark.slow
S = 1_000_000_000
NOW_NS = 1_786_310_819_000_000_000
COUNTING = {"binance": "BTCUSDT", "okx": "BTC-USDT", "coinbase": "BTC-USDT"}
DROPS = (1, 7, 100, 500)
LINE = Line("binance", "spot", "binance-0.1", "binance-0")
BTC = "binance|spot|BTC/USDT"


class Run:
    """Feeds of a simulator into one intake and a log in memory."""

    def __init__(self, venues, ledger):
        self.venues, self.ledger = venues, ledger
        self.intake, self.log, self.feeds = Intake(), Kept(), []

    async def ask(self, port, query):
        def get():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/control?{query}", timeout=20) as answer:
                return json.loads(answer.read())

        return await asyncio.to_thread(get)

    def live(self, venue):
        """Ids that came live: history that a venue replays on subscribing is no arrival."""
        batches = (one for one in self.log.records if isinstance(one, TradeBatch) and one.venue == venue)
        return [int(trade.trade_id) for batch in batches for trade in batch.trades if not trade.snapshot]

    def ids(self, venue):
        return set(self.live(venue))

    async def more(self, count=300):
        """Until every venue has sent so many more trades."""
        before = {venue: len(self.ids(venue)) for venue in self.venues}
        await until(lambda: all(len(self.ids(venue)) >= before[venue] + count for venue in self.venues))

    def missing(self, venue):
        """Ids that the simulator printed between the first and the last in the log, and that the log lacks."""
        lines = [json.loads(line) for line in self.ledger.read_bytes().splitlines()]
        came = self.ids(venue)
        printed = {int(line["trade_id"]) for line in lines if line["venue"] == venue}
        return {number for number in printed if min(came) < number < max(came)} - came

    def said(self, venue):
        """Ids that the log says are missing now; fails where two gaps name one."""
        gaps = {one.gap_id: one for one in self.log.records if isinstance(one, Gap) and one.venue == venue}
        ids = [
            n for one in gaps.values() if one.state == "open" for n in range(int(one.first_id), int(one.last_id) + 1)
        ]
        assert len(ids) == len(set(ids))
        return set(ids)


async def run(tmp_path, venues, faults, act, *, rate=400.0, seed=1):
    """A run in which `act` is done after a while, ended and looked at once nothing can come late any more."""
    plan = checked_plan(",".join(venues), "BTC/USDT", rate, seed, even=True)
    found = Run(venues, tmp_path / "ledger.jsonl")
    desk = LiveDesk(found.intake, found.log)
    async with (
        serving(generated(plan), parse_faults(faults), seed=seed, control=True, ledger=found.ledger) as (port, task),
        AsyncExitStack() as stack,
    ):
        for venue, listing in venues.items():
            url = f"ws://127.0.0.1:{port}/{venue}/spot"
            fed = feeding(url, venue=venue, listings=(listing,), desk=desk, log=found.log)
            found.feeds.append((await stack.enter_async_context(fed))[0])
        await found.more()
        await act(found, port)
        await found.more()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    found.log.records += found.intake.tick(time.time_ns() + 2 * S)  # what was on its way has been taken
    return found


async def test_every_drop_of_1_to_500_trades_is_found_with_exactly_its_ids(tmp_path):
    async def drop(found, port):
        for trades in DROPS:
            for venue, listing in COUNTING.items():
                await found.ask(port, f"do=drop&venue={venue}&listing={listing}&trades={trades}")
            await found.more(100)

    found = await run(tmp_path, COUNTING, [], drop, rate=800.0)
    for venue in COUNTING:
        gaps = [one for one in found.log.records if isinstance(one, Gap) and one.venue == venue]
        assert sorted(one.missing for one in gaps) == sorted(DROPS)
        assert found.said(venue) == found.missing(venue)


@pytest.mark.parametrize("seed", [1, 2])
async def test_drops_reorders_repeats_and_disconnects_hide_no_loss_and_make_up_none(tmp_path, seed):
    async def nothing(found, port):
        await found.more(1_000)

    faults = ["drop=0.01", "duplicate=0.05", "reorder=0.05", "disconnect=0.0005", "gap=0.001:40"]
    found = await run(tmp_path, COUNTING, faults, nothing, seed=seed)
    for venue in COUNTING:
        assert found.said(venue) == found.missing(venue)
        assert found.missing(venue)
        assert len(found.live(venue)) == len(found.ids(venue))


async def test_a_cut_connection_of_a_venue_whose_ids_do_not_count_is_one_hole_that_holds_all_that_was_lost(tmp_path):
    drops = {}

    async def cut(found, port):
        watching = asyncio.create_task(watch(found, drops))
        await found.ask(port, "do=disconnect&venue=bybit")
        await until(lambda: found.feeds[0].drops == 1)
        await until(lambda: any(isinstance(one, Gap) and one.until_ns for one in found.log.records))
        watching.cancel()

    found = await run(tmp_path, {"bybit": "BTCUSDT"}, [], cut)
    (gap,) = {one.gap_id: one for one in found.log.records if isinstance(one, Gap)}.values()
    assert (gap.cause, gap.state, gap.first_id) == ("outage", "open", "")
    lines = [json.loads(line) for line in found.ledger.read_bytes().splitlines()]
    missing = found.missing("bybit")
    lost = [line["exchange_ns"] for line in lines if int(line["trade_id"]) in missing]
    assert lost
    assert all(gap.from_ns <= at_ns <= gap.until_ns for at_ns in lost)


async def watch(found, drops):
    carried = carried_by(found.feeds)
    while True:
        now_ns = time.time_ns()
        watch_feeds(found.feeds, drops, found.intake, carried, now_ns)
        found.log.records += found.intake.gaps.due(now_ns)
        await asyncio.sleep(0.02)


def carried_by(feeds):
    return {feed.shard.name: listings_of(feed.shard, Names()) for feed in feeds}


class StillFeed(NamedTuple):
    """What `watch_feeds` looks at."""

    shard: Shard
    drops: int = 0
    dropped_ns: int = NOW_NS
    down_since_s: float | None = None


def lines(*states):
    """Feeds of Bybit's BTC/USDT beside one another: (drops, is live)."""
    for number, (drops, is_live) in enumerate(states):
        shard = Shard("bybit", "spot", f"bybit-0-{number}", ("BTCUSDT",), "ws://127.0.0.1:1", "bybit-0")
        yield StillFeed(shard, drops, NOW_NS, None if is_live else 1.0)


def outages(*moments):
    """(until in s from now, or None) of each hole after these looks, a second apart."""
    intake, drops, found = Intake(Limits(lines=2)), {}, []
    intake.gaps.saw(TradeBatch("bybit", "spot", "BTC/USDT", NOW_NS, "1", []), [], NOW_NS)
    for second, states in enumerate(moments):
        feeds = [*lines(*states)]
        watch_feeds(feeds, drops, intake, carried_by(feeds), NOW_NS + second * S)
        found += intake.gaps.due(NOW_NS + second * S)
    last = {gap.gap_id: gap for gap in found}
    return [None if gap.until_ns is None else (gap.until_ns - NOW_NS) // S for gap in last.values()]


def test_a_line_that_drops_beside_a_live_one_is_no_hole_and_both_down_are_one():
    assert outages([(0, True), (0, True)], [(1, False), (0, True)], [(1, True), (0, True)]) == []
    assert outages([(0, True), (0, True)], [(1, False), (0, True)], [(1, False), (1, False)]) == [None]
    assert outages([(1, False), (1, False)], [(1, False), (1, False)], [(1, False), (1, True)]) == [3]
    assert outages([(0, True)], [(1, False)], [(1, True)], [(2, True)]) == [4]
    assert outages([(0, True)], [(1, True)]) == [2]  # down and up again between two looks


def print_of(number, at_ns):
    return (
        f'{{"stream":"btcusdt@trade","data":{{"e":"trade","E":{at_ns // 10**6},"s":"BTCUSDT","t":{number},"p":"100",'
        f'"q":"1","T":{at_ns // 10**6},"m":true,"M":true}}}}'
    ).encode()


def takes(intake, numbers, at_ns, line=LINE, every_ns=10**6):
    records = []
    for place, number in enumerate(numbers):
        now_ns = at_ns + place * every_ns
        records += intake.take(line, print_of(number, now_ns), now_ns)[0]
    return records


def gaps_in(records):
    return [(one.first_id, one.last_id, one.state) for one in records if isinstance(one, Gap)]


def test_a_thousand_trades_repeated_after_a_reconnect_are_repeats_and_the_hole_before_them_is_found():
    intake = Intake()
    takes(intake, range(5_000, 7_000), NOW_NS)
    again = Line("binance", "spot", "binance-0.2", "binance-0")
    records = []
    for number in (*range(6_000, 7_000), *range(7_010, 7_100)):
        at_ns = NOW_NS + (number - 5_000) * 10**6
        records += intake.take(again, print_of(number, at_ns), NOW_NS + 10 * S)[0]
    records += intake.tick(NOW_NS + 12 * S)
    assert [one.trades[0].order for one in records if isinstance(one, TradeBatch)] == [*range(7_010, 7_100)]
    assert gaps_in(records) == [("7000", "7009", "open")]
    assert (intake.summary()[BTC]["trades"], intake.summary()[BTC]["duplicates"]) == (2_090, 1_000)


def test_history_that_okx_replays_after_a_reconnect_is_part_of_the_hole_until_it_is_fetched():
    intake, records = Intake(), []
    for connection, numbers in (("okx-0.1", [100, 101]), ("okx-0.2", [105, 110])):
        line = Line("okx", "spot", connection, "okx-0")
        asked_ns = NOW_NS if connection == "okx-0.1" else NOW_NS + 10 * S
        intake.requested(line, asked_ns)
        for number in numbers:
            at_ns = NOW_NS + number * S // 10 - (S if number == 105 else 0)
            found = {"instId": "BTC-USDT", "tradeId": str(number), "px": "1", "sz": "1", "side": "buy", "count": "2",
                     "ts": str(at_ns // 10**6)}  # fmt: skip
            frame = encode({"arg": {"channel": "trades", "instId": "BTC-USDT"}, "data": [found]})
            records += intake.take(line, frame, NOW_NS + number * S // 10 + S)[0]
    records += intake.gaps.due(NOW_NS + 20 * S)
    assert [one.trades[0].snapshot for one in records if isinstance(one, TradeBatch)] == [False, False, True, False]
    assert gaps_in(records) == [("102", "105", "open"), ("106", "108", "open")]


def test_ids_that_begin_again_at_one_are_taken_and_open_no_gap_but_what_is_lost_then_does():
    intake = Intake()
    records = takes(intake, range(10_000, 10_100), NOW_NS)
    records += takes(intake, [*range(1, 50), *range(53, 90)], NOW_NS + 60 * S)
    records += intake.tick(NOW_NS + 70 * S)
    assert gaps_in(records) == [("50", "52", "open")]
    assert (intake.summary()[BTC]["trades"], intake.summary()[BTC]["id_restarts"]) == (186, 1)


def test_trades_that_come_late_by_seconds_close_the_gap_that_their_absence_opened():
    intake = Intake()
    records = takes(intake, [*range(1_000, 1_010), *range(1_015, 1_030)], NOW_NS)
    records += takes(intake, range(1_030, 1_040), NOW_NS + S)
    records += takes(intake, [1_012, 1_010, 1_011, 1_014, 1_013], NOW_NS + 5 * S)
    assert gaps_in(records) == [("1010", "1014", "open"), ("1010", "1014", "closed")]


@pytest.mark.parametrize("ahead_s", [-30, -5, -1.2, 0, 1.2, 5, 30])
def test_punctuation_of_a_venue_whose_clock_is_off_is_never_ahead_of_what_it_may_still_send(ahead_s):
    intake, way_ns, spoken = Intake(Limits(stale_after_ns=100 * S)), 40_000_000, []
    now_ns, number = NOW_NS, 1_000
    for second in range(60):
        for part in range(10 if second % 3 == 0 else 0):  # one second with trades, two without
            at_ns = now_ns + part * S // 10 - way_ns
            exchange_ns = at_ns + int(ahead_s * S)
            number += 1
            intake.take(LINE, print_of(number, exchange_ns), at_ns + way_ns)
        now_ns += S
        intake.take(LINE, b'{"result":null,"id":1}', now_ns)
        spoken += [(now_ns, one) for one in intake.tick(now_ns) if isinstance(one, Punctuation)]
    assert len(spoken) > 30
    for at_ns, one in spoken:
        venue_now_ns = at_ns + int(ahead_s * S)
        is_known = at_ns >= NOW_NS + 3 * AGREEING * S
        least_ns = venue_now_ns if is_known else min(venue_now_ns, at_ns + 5 * S)
        assert least_ns - 2 * S - way_ns - 10**6 <= one.exchange_ns <= venue_now_ns - 2 * S
        assert one.alive
    assert intake.summary()[BTC]["late"] == 0
