"""Our minutes beside the venue's own candles: every pair is compared, over one client, and one's trouble is its own."""

from contextlib import asynccontextmanager
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from rest_server import serving_rest

from sofia_streams.core.bars.ohlcv import bar_of, sums_of, window_start_ns
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.rest import instruments, kline_check
from sofia_streams.ingest.rest.backfill import Backfill
from sofia_streams.ingest.rest.fill import LINE
from sofia_streams.ingest.rest.kline_check import KlineCheck
from sofia_streams.model import NS_PER_MINUTE, NS_PER_MS, NS_PER_SECOND, Gap
from sofia_streams.settings import Settings
from sofia_streams.simulator.instrument import SimulatedInstrument
from sofia_streams.simulator.rest import Rest

pytestmark = pytest.mark.slow
START_NS = 1_767_225_600 * NS_PER_SECOND
NOW_NS = START_NS + NS_PER_MINUTE + 10 * NS_PER_SECOND
PAIRS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
LOST = Decimal("0.000007")
"""Seven lots of every pair were traded at the venue and did not reach us."""


def minute_of(pair, trades):
    """The bar of the minute of these trades."""
    start_ns = window_start_ns(trades[0].exchange_ns, NS_PER_MINUTE)
    place = {"venue": "bybit", "market": "spot", "symbol": pair, "size_ns": NS_PER_MINUTE, "start_ns": start_ns}
    return bar_of(sums_of(trades, "bybit"), **place)


class Log(list):
    async def put(self, record):
        self.append(record)


class Scene:
    """A check of Bybit's pairs, whose last trade of the minute we lack; `opened` and `closed` count clients."""

    def __init__(self, folder):
        self.rest = Rest([SimulatedInstrument("bybit", pair, START_NS) for pair in PAIRS])
        self.log, self.bars, self.folder = Log(), [], folder
        self.opened = self.closed = 0
        self.was_at_work_ns, self.all, self.ours, self.known = None, {}, {}, []
        self.has_given_all = False
        """Whether the venue's REST has been asked for the open gaps, and has no more of them."""
        self.heard_ns, self.read = [START_NS - NS_PER_SECOND], []
        for pair in PAIRS:
            instrument, trades = SimulatedInstrument("bybit", pair, START_NS), []
            for second, lots in enumerate((5, 11, 7)):
                said = instrument.print(START_NS + second * NS_PER_SECOND, instrument.last, lots, "buy")
                self.rest.add("bybit", said)
                trades.append(said.trade)
            self.all[pair], self.ours[pair] = trades, trades[:2]
            self.note(pair, trades[:2])

    def note(self, pair, trades):
        """A minute as our own log has it."""
        self.bars.append(minute_of(pair, trades))

    def logged(self, one, starts_ns):
        """What the log has of these minutes."""
        return {START_NS: sum(trade.quantity for trade in self.ours[one.symbol])} if START_NS in starts_ns else {}

    async def compare(self, port, *times_ns):
        """Once at each of these times, by one process."""
        settings = Settings(simulator_url=f"ws://127.0.0.1:{port}", data_dir=self.folder)
        backfill = Backfill(settings, Names(), self.log)
        for gap in self.known:
            backfill.note(gap)
        if self.has_given_all:
            for todo in backfill._todo["bybit"].values():
                todo.at_s = None
        check = KlineCheck(settings, backfill, lambda: self.was_at_work_ns)
        for bar in self.bars:
            check.note(bar)
        async with check.clients() as clients:
            for now_ns in times_ns or [NOW_NS]:
                await check.compare_all(clients, lambda now_ns=now_ns: now_ns)
        return {record.symbol: record.missing_volume for record in self.log if isinstance(record, Gap)}


@pytest.fixture
def scene(monkeypatch, tmp_path):
    found, real = Scene(tmp_path), instruments.open_rest

    @asynccontextmanager
    async def counted(*place):
        found.opened += 1
        async with real(*place) as rest:
            yield rest
        found.closed += 1

    async def was_heard(settings, one, from_ns, until_ns):
        return any(from_ns <= at_ns <= until_ns for at_ns in found.heard_ns)

    async def volumes_of(settings, wanted):
        found.read.append(wanted)
        return {
            one: dict.fromkeys(starts_ns, Decimal(0)) | found.logged(one, starts_ns)
            for one, starts_ns in wanted.items()
        }

    monkeypatch.setattr(instruments, "open_rest", counted)
    monkeypatch.setattr(kline_check, "was_heard", was_heard)
    monkeypatch.setattr(kline_check, "volumes_of", volumes_of)
    return found


async def test_every_pair_is_compared_over_one_client_that_is_closed(scene):
    async with serving_rest(scene.rest) as port:
        assert await scene.compare(port) == dict.fromkeys(PAIRS, LOST)
    assert (scene.opened, scene.closed) == (1, 1)


async def test_a_pair_that_the_venue_does_not_know_costs_only_itself(scene):
    scene.bars.insert(0, msgspec.structs.replace(scene.bars[0], symbol="ZZZ/USDT"))
    async with serving_rest(scene.rest) as port:
        assert await scene.compare(port) == dict.fromkeys(PAIRS, LOST)
    assert (scene.opened, scene.closed) == (2, 2), "and one to ask what the venue lists"


async def test_a_venue_that_is_down_ends_nothing(scene):
    assert await scene.compare(1) == {}
    assert (scene.opened, scene.closed) == (1, 1)


async def test_a_gap_of_a_part_of_a_minute_does_not_speak_for_the_rest_of_it(scene, monkeypatch):
    """An outage of its last second, of which the venue gives no more, and seven lots that are lacking somewhere."""
    outage = Gap(
        "bybit", "spot", "BTC/USDT", received_ns=NOW_NS, line=LINE, gap_id="outage:1", cause="outage", state="open",
        from_ns=START_NS + 59 * NS_PER_SECOND, until_ns=START_NS + 61 * NS_PER_SECOND, opened_ns=NOW_NS,
    )  # fmt: skip
    async with serving_rest(scene.rest) as port:
        scene.known = [msgspec.structs.replace(outage, detail="in any words, or none")]
        assert "BTC/USDT" not in await scene.compare(port), "it is still being filled"
        scene.known, scene.has_given_all = [msgspec.structs.replace(outage, detail="in any words, or none")], True
        await scene.compare(port)
    [found] = [record for record in scene.log if record.symbol == "BTC/USDT" and record.cause == "klines"]
    assert (found.from_ns, found.until_ns) == (START_NS, START_NS + NS_PER_MINUTE - 1)
    assert found.missing_volume == LOST


async def test_a_gap_that_reaches_back_beyond_what_is_compared_is_left_open(scene, monkeypatch):
    """Its newest minutes agree; what its oldest one lacked is still lacking."""
    monkeypatch.setattr(kline_check, "_PAGE_MINUTES", 1)
    long_ago = Gap(
        "bybit", "spot", "BTC/USDT", received_ns=NOW_NS, line=LINE, gap_id="outage:1", cause="outage", state="open",
        from_ns=START_NS - 3 * NS_PER_MINUTE, until_ns=START_NS + NS_PER_SECOND, opened_ns=NOW_NS,
        missing_volume=Decimal(9), detail="the venue gives only its last 60 trades",
    )  # fmt: skip
    scene.known, scene.bars = [long_ago], []
    for pair in PAIRS:
        scene.note(pair, scene.all[pair])
    async with serving_rest(scene.rest) as port:
        await scene.compare(port)
    assert scene.log == []


@pytest.fixture
def only_the_log(scene):
    """A process that has only begun: it has seen the bar of a later minute; the one before is in the log alone."""
    scene.bars = [msgspec.structs.replace(bar, start_ns=START_NS + 3 * NS_PER_MINUTE) for bar in scene.bars]


@pytest.mark.usefixtures("only_the_log")
async def test_what_a_process_before_this_one_did_not_come_to_is_compared_after_the_start(scene):
    scene.was_at_work_ns = START_NS + 90 * NS_PER_SECOND
    async with serving_rest(scene.rest) as port:
        assert await scene.compare(port, NOW_NS + 3 * NS_PER_MINUTE) == dict.fromkeys(PAIRS, LOST)
    (wanted,) = scene.read
    assert {one.symbol for one in wanted} == set(PAIRS), "one reading, however many instruments and minutes"


@pytest.mark.usefixtures("only_the_log")
async def test_the_very_first_process_compares_nothing_of_before_it(scene):
    async with serving_rest(scene.rest) as port:
        assert await scene.compare(port, NOW_NS + 3 * NS_PER_MINUTE) == {}


@pytest.mark.usefixtures("only_the_log")
async def test_an_instrument_that_is_new_is_not_compared_with_what_was_before_it(scene):
    """Nor is the log read for it from where an earlier process ended."""
    scene.was_at_work_ns, scene.heard_ns = START_NS + 90 * NS_PER_SECOND, []
    async with serving_rest(scene.rest) as port:
        assert await scene.compare(port, NOW_NS + 3 * NS_PER_MINUTE) == {}
    assert not any(starts_ns for wanted in scene.read for starts_ns in wanted.values())


async def test_the_first_minute_of_a_subscription_is_no_loss(scene):
    scene.heard_ns = []
    async with serving_rest(scene.rest) as port:
        assert await scene.compare(port) == {}


QUIET_MINUTES = 200


def be_quiet(scene, minutes):
    """So many minutes before START_NS in which the feed was alive and had no trade; the log has nothing older."""
    scene.heard_ns = []
    for pair in PAIRS:
        quiet = msgspec.structs.replace(minute_of(pair, scene.all[pair]), volume=Decimal(0), trade_count=0)
        for minute in range(1, minutes + 1):
            scene.bars.append(msgspec.structs.replace(quiet, start_ns=START_NS - minute * NS_PER_MINUTE))


async def test_what_is_lost_after_a_long_quiet_time_is_found(scene):
    be_quiet(scene, QUIET_MINUTES)
    async with serving_rest(scene.rest) as port:
        assert await scene.compare(port) == dict.fromkeys(PAIRS, LOST)


@pytest.mark.parametrize("hours", [3, 12, 30])
async def test_every_minute_since_the_last_compared_one_is_compared_in_pages(scene, hours):
    """The venue's REST was in trouble for hours, and the loss was in the first of these minutes."""
    later_ns = NOW_NS + hours * 60 * NS_PER_MINUTE
    for pair in PAIRS:  # the market goes on, and a minute of it is as the venue has it
        instrument = SimulatedInstrument("bybit", pair, START_NS)
        said = instrument.print(later_ns - NS_PER_MINUTE, instrument.last, 3, "buy")
        scene.rest.add("bybit", said)
        scene.bars.append(minute_of(pair, [said.trade]))
    be_quiet(scene, 2)
    async with serving_rest(scene.rest) as port:
        found = await scene.compare(port, NOW_NS - NS_PER_MINUTE, *[later_ns] * 3)
        assert found == dict.fromkeys(PAIRS, LOST)
        assert scene.rest.asked["bybit"] <= len(PAIRS) * 4, "a request a minute and instrument"


async def test_minutes_that_the_venue_does_not_list_are_passed_once_a_later_one_is(scene):
    """A venue may have no candle of a minute without a trade: else all of them are asked for again for ever."""
    be_quiet(scene, 30)
    scene.was_at_work_ns, scene.heard_ns = START_NS - 10 * NS_PER_MINUTE, [START_NS - 10 * NS_PER_MINUTE]
    asked, answer = [], scene.rest.answer

    def noted(target):
        asked.append(int(parse_qs(urlsplit(target).query)["start"][0]) * NS_PER_MS)
        return answer(target)

    scene.rest.answer = noted
    async with serving_rest(scene.rest) as port:
        await scene.compare(port, NOW_NS - NS_PER_MINUTE, NOW_NS, NOW_NS + NS_PER_MINUTE)
    first, again, last = (set(asked[at : at + len(PAIRS)]) for at in range(0, len(asked), len(PAIRS)))
    assert first == again == {START_NS - 25 * NS_PER_MINUTE}, "nothing is listed yet"
    assert last == {START_NS}, "its gap is open; nothing before it is asked for"


async def test_a_client_is_opened_once_for_all_minutes(scene):
    async with serving_rest(scene.rest) as port:
        await scene.compare(port, NOW_NS, NOW_NS + NS_PER_MINUTE, NOW_NS + 2 * NS_PER_MINUTE)
    assert (scene.opened, scene.closed) == (1, 1)
