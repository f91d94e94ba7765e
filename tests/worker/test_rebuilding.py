"""Old bars made again from a log in memory: how often it is read, and what is in it before that counts."""

from collections import Counter
from decimal import Decimal
from types import SimpleNamespace

import msgspec
import pytest
from aiokafka import TopicPartition

from sofia_streams import codec, logread, topics
from sofia_streams.core.bars.candles import apply, store
from sofia_streams.core.bars.rebuild import place_of
from sofia_streams.core.bars.windows import Rules
from sofia_streams.model import CONSOLIDATED, NS_PER_MS, NS_PER_SECOND, Gap, Trade, TradeBatch
from sofia_streams.obs import metrics
from sofia_streams.settings import Settings
from sofia_streams.worker.rebuilding import Rebuilder

S = NS_PER_SECOND
BEGIN_S = 1_767_225_600
SETTINGS = Settings(broker_url="kafka://127.0.0.1:1", topic_partitions=1)
TRADES, BARS = (TopicPartition(topics.wire_name(topic, ""), 0) for topic in (topics.TRADES, topics.BARS))


class Scene:
    """A worker's table and its log. What is sent is in the log once it, or what was sent later, is waited for."""

    def __init__(self, monkeypatch):
        self.log, self.first, self.reads = {TRADES: [], BARS: []}, 0, Counter()
        self.rows, self.sent, self.due = {}, [], []
        monkeypatch.setattr(logread, "AIOKafkaConsumer", lambda *_, **__: Reader(self))
        self._start()

    def _start(self):
        self.rebuilder = Rebuilder(SETTINGS, self.publish, self.flush)

    def restart(self, rows):
        """The worker is killed, what it had sent is in the log, and of the changelog these rows."""
        for outputs in self.due:
            for output in outputs:
                output.close()
        self.rows, self.due = dict(rows), []
        self._start()

    async def publish(self, bar):
        self.sent.append(bar)
        return self.acknowledged(bar)

    async def acknowledged(self, bar):
        while any(one is bar for one in self.sent):
            self.put(BARS, self.sent.pop(0), 0)

    async def flush(self):
        while self.sent:
            self.put(BARS, self.sent.pop(0), 0)

    def put(self, place, record, at_s):
        offset, at_ms = len(self.log[place]), (BEGIN_S + at_s) * S // NS_PER_MS
        written = SimpleNamespace(offset=offset, value=codec.encode(record), record=record, timestamp=at_ms)
        self.log[place].append(written)

    async def fold(self, record, at_s):
        """A record that was written at this second is read; what it causes is not waited for."""
        self.put(TRADES, record, at_s)
        await self.take(len(self.log[TRADES]) - 1)

    async def take(self, offset):
        """A record of the log is read."""
        step = apply(self.rows, self.log[TRADES][offset].record, offset=offset, rules=Rules())
        outputs = [await self.publish(bar) for bar in step.bars]
        if step.rebuild or step.remark:
            outputs.append(self.rebuilder.rebuild(step, 0, offset))
        store(self.rows, step.rows)
        self.due.append(outputs)

    async def settle(self):
        """All outputs are waited for in the order of their records, as the acknowledger does."""
        for outputs in self.due:
            for output in outputs:
                await output
        self.due = []

    def bars(self):
        """The last of each bar in the log."""
        found = [one.record for one in self.log[BARS]]
        contents = {}
        for bar in found:
            assert contents.setdefault((place_of(bar), bar.revision), bar) == bar, "one revision says one thing"
        return {place_of(bar): bar for bar in found}

    def second(self, at_s, venue="binance", symbol="BTC/USDT"):
        """The last bar of a second."""
        return self.bars()[venue, "spot", symbol, S, (BEGIN_S + at_s) * S]

    def qualities(self, venue, symbol="BTC/USDT"):
        """Of each second what its last bar is worth."""
        wanted = (venue, "spot", symbol, S)
        return {place.start_ns // S - BEGIN_S: bar.quality for place, bar in self.bars().items() if place[:4] == wanted}


class Reader:
    """As much of a consumer as rebuilding uses; it counts how often a partition is read from somewhere on."""

    def __init__(self, scene):
        self._scene, self._at = scene, {}

    async def start(self): ...
    async def stop(self): ...
    def assign(self, places): ...

    def seek(self, place, offset):
        self._at[place] = offset

    async def position(self, place):
        return self._at[place]

    async def beginning_offsets(self, places):
        return {place: self._scene.first if place == TRADES else 0 for place in places}

    async def end_offsets(self, places):
        return {place: len(self._scene.log[place]) for place in places}

    async def offsets_for_times(self, wanted):
        return {
            place: next((one for one in self._left(place) if place == BARS or one.timestamp >= since_ms), None)
            for place, since_ms in wanted.items()
        }

    async def getone(self, place):
        return self._scene.log[place][self._at[place]]

    async def getmany(self, *places, timeout_ms):
        self._scene.reads.update(places)
        found = {place: self._scene.log[place][self._at[place] :] for place in places}
        self._at |= {place: self._at[place] + len(records) for place, records in found.items()}
        return found

    def _left(self, place):
        return self._scene.log[place][self._scene.first if place == TRADES else 0 :]


@pytest.fixture
def scene(monkeypatch):
    return Scene(monkeypatch)


def trades(number, at_s, *, symbol="BTC/USDT", venue="binance", fetched=False):
    at_ns = (BEGIN_S + at_s) * S
    found = Trade(str(number), Decimal(10), Decimal(1), "buy", at_ns, number, backfilled=fetched)
    return TradeBatch(venue, "spot", symbol, at_ns, "1", [found])


def gap(at_s, *, symbol="BTC/USDT", until_s=None):
    from_ns, until_ns = (BEGIN_S + at_s) * S, (BEGIN_S + (until_s or at_s + 1)) * S
    return Gap("binance", "spot", symbol, 0, "1", f"trade:{at_s}", "ids", "open", from_ns, until_ns)


async def two_symbols(scene, last_s):
    """A trade a second of two venues each, and what it causes, all in the log."""
    for at_s in range(last_s + 1):
        for symbol in ("BTC/USDT", "ETH/USDT"):
            for venue in ("binance", "okx"):
                await scene.fold(trades(at_s, at_s, symbol=symbol, venue=venue), at_s)
    await scene.settle()


async def test_news_of_many_old_gaps_that_wait_are_served_by_one_reading_of_the_log(scene):
    await two_symbols(scene, 500)
    holes = [gap(at_s, symbol=symbol) for at_s in range(20, 220, 4) for symbol in ("BTC/USDT", "ETH/USDT")]
    scene.reads.clear()
    for hole in holes:
        await scene.fold(hole, 501)
    await scene.settle()
    assert scene.reads == {TRADES: 1, BARS: 1}
    for venue in ("binance", CONSOLIDATED):
        found = scene.qualities(venue, "ETH/USDT")
        assert [found[at_s] for at_s in range(20, 220)] == ["gap", "gap", "complete", "complete"] * 50
    for place, hole in enumerate(holes):
        number = 1000 + place
        await scene.fold(trades(number, 20 + place // 2 * 4, symbol=hole.symbol, fetched=True), 502)
        await scene.fold(msgspec.structs.replace(hole, state="closed"), 502)
    await scene.settle()
    assert scene.reads[TRADES] < len(holes) / 4
    found = scene.qualities(CONSOLIDATED)
    assert [found[at_s] for at_s in range(20, 220)] == ["backfilled", "revised", "complete", "complete"] * 50


async def test_news_that_comes_later_is_served_by_a_reading_of_its_own(scene):
    await two_symbols(scene, 500)
    await scene.fold(gap(20), 501)
    await scene.settle()
    await scene.fold(gap(30), 501)
    await scene.settle()
    assert {scene.second(20).quality, scene.second(30).quality} == {"gap"}
    await scene.fold(msgspec.structs.replace(gap(20), state="closed"), 501)
    await scene.settle()
    assert (scene.second(20).quality, scene.second(30).quality) == ("revised", "gap")


async def test_what_is_on_its_way_to_the_log_is_waited_for_before_news_that_it_is_older_than(scene):
    """A second is revised, then no longer kept, then touched by news that is served with earlier news."""
    await two_symbols(scene, 400)
    await scene.fold(gap(100), 401)
    await scene.fold(trades(9999, 250), 401)
    for at_s in (500, 501):
        await scene.fold(trades(at_s, at_s), at_s)
        await scene.fold(trades(at_s, at_s, venue="okx"), at_s)
    await scene.fold(gap(245, until_s=255), 501)
    await scene.settle()
    assert scene.reads[TRADES] == 1
    found = scene.second(250)
    assert (found.trade_count, found.quality, found.revision) == (2, "gap", 2)


@pytest.mark.parametrize("is_closed", [True, False])
async def test_a_kill_within_a_batch_of_news_leaves_no_bar_behind_a_higher_revision_of_it(scene, is_closed):
    """Between two pieces of news a second closes and is no longer kept; the second one is served with the first."""
    await two_symbols(scene, 400)
    rows, first = dict(scene.rows), len(scene.log[TRADES])
    hole = gap(405, until_s=406)
    await scene.fold(gap(100), 401)
    for at_s in (405, 406, 407, 600, 601):
        for venue in ("binance", "okx"):
            await scene.fold(trades(at_s, at_s, venue=venue), at_s)
    await scene.fold(hole, 602)
    for output in scene.due[0]:
        await output
    assert (scene.second(405).revision, scene.second(405).quality) == (1, "gap"), "served with the first"
    until = len(scene.log[TRADES])
    scene.restart(rows)
    if is_closed:
        scene.put(TRADES, msgspec.structs.replace(hole, state="closed"), 603)
    for offset in range(first, until):
        await scene.take(offset)
    await scene.settle()
    assert scene.second(405).quality == ("revised" if is_closed else "gap")
    highest = Counter()
    for one in scene.log[BARS]:
        place = place_of(one.record)
        highest[place] = max(highest[place], one.record.revision)
    assert {place: bar.revision for place, bar in scene.bars().items()} == highest
    await scene.fold(trades(9999, 405), 604)
    await scene.settle()
    assert (scene.second(405).trade_count, scene.second(405).revision) == (2, 3)


async def test_what_was_made_again_is_remembered_only_while_earlier_records_may_ask_for_it(scene):
    await two_symbols(scene, 500)
    for place in range(20):
        await scene.fold(trades(1000 + place, 10 + place), 501 + place)
        await scene.settle()
        assert sum(map(len, scene.rebuilder._reached.values())) == 2  # the minute of the venue and the consolidated one
    scene.reads.clear()
    for place in range(20):
        await scene.fold(trades(2000 + place, 10 + 60 * (place % 5)), 600)
    await scene.settle()
    assert scene.reads[TRADES] == 5, "each minute once, for every record that was there by then"
    assert scene.second(10).trade_count == 6


def not_rebuilt():
    return metrics.BARS_NOT_REBUILT._value.get()


async def test_what_retention_dropped_is_said_and_left_and_what_is_whole_is_made_again(scene):
    await two_symbols(scene, 900)
    scene.first = next(one.offset for one in scene.log[TRADES] if one.timestamp == (BEGIN_S + 150) * S // NS_PER_MS)
    before = not_rebuilt()
    await scene.fold(gap(60, until_s=700), 901)
    await scene.settle()
    assert not_rebuilt() - before == 14  # what is left stands whole from five minutes after its first record on
    assert scene.second(479).quality == "complete"
    assert scene.second(480).quality == "gap"
    before, late = not_rebuilt(), trades(9998, 421)
    late.trades.extend(trades(9999, 481).trades)
    await scene.fold(late, 902)
    await scene.settle()
    assert not_rebuilt() - before == 2  # the minute of the venue and the consolidated one
    assert (scene.second(421).trade_count, scene.second(481).trade_count) == (1, 2)


async def test_of_trades_that_are_all_dropped_nothing_is_made_again(scene):
    await two_symbols(scene, 500)
    scene.first = len(scene.log[TRADES]) + 1
    before = not_rebuilt()
    await scene.fold(gap(60), 501)
    await scene.settle()
    assert not_rebuilt() - before == 2  # the minute of the venue and the consolidated one
    assert scene.second(60).quality == "complete"


async def test_a_minute_that_several_news_of_one_batch_reach_too_late_is_counted_once(scene):
    await two_symbols(scene, 500)
    scene.first = len(scene.log[TRADES]) + 10
    before = not_rebuilt()
    for hole in (gap(60, until_s=239), gap(130, until_s=150), gap(190), gap(60, symbol="ETH/USDT")):
        await scene.fold(hole, 501)
    await scene.settle()
    assert not_rebuilt() - before == 2 * (3 + 1)  # each of the venue and consolidated
