"""Bars of a store, a stretch at a time: what is held, and values that were known live, from files as from QuestDB.

The store here answers from memory: what is measured is what reading keeps. tests/broker/test_training_data.py asks a
real one.
"""

import re
import tracemalloc
from collections import deque

from trained_models import bars

from sofia_streams.core.features.book import Book, feature_values
from sofia_streams.core.features.sets import sets_of
from sofia_streams.core.scoring.labels import Rule
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, NS_PER_SECOND
from sofia_streams.ops.replay.bar_book import BarBook
from sofia_streams.ops.replay.export import write_replay
from sofia_streams.ops.replay.scored_book import ScoredBook
from sofia_streams.ops.replay.trade_book import TradeBook
from sofia_streams.scored import Features
from sofia_streams.settings import load_settings
from sofia_streams.stores.scored_rows import scored_row
from sofia_streams.training.dataset import build
from sofia_streams.training.sources.bars import windows
from sofia_streams.training.sources.generated import generate
from sofia_streams.training.sources.reading import Generation, read
from sofia_streams.training.sources.stored import read_stored

VENUES = (CONSOLIDATED, "okx", "bybit")


class Answers:
    """A store with so many seconds of one symbol, in `bars_1s` of three venues and in `features_1s`."""

    def __init__(self, count: int) -> None:
        book, self.seen = Book(sets_of(NS_PER_SECOND)), bars(count).seen
        self.begin_ns = self.seen[0].start_ns
        self.features = [
            Features(
                "spot", "BTC/USDT", NS_PER_SECOND, one.start_ns, "complete", one.candle,
                feature_values(book.sets, book.take(one.start_ns, one.candle) or []),
            )
            for one in self.seen
        ]  # fmt: skip

    def table(self, name: str) -> str:
        return name

    def query(self, sql: str) -> list[tuple[object, ...]]:
        if "min(start_ns)" in sql:
            return [(self.begin_ns, self.seen[-1].start_ns)]
        if "count()" in sql:
            return [("BTC/USDT", venue, len(self.seen)) for venue in VENUES]
        from_ns, until_ns = map(int, re.findall(r"cast\((\d+) as timestamp_ns\)", sql))
        chosen = slice(*((one - self.begin_ns) // NS_PER_SECOND for one in (from_ns, until_ns)))
        if "features_1s" in sql:
            return [scored_row(one) for one in self.features[chosen]]
        return [
            (start_ns, symbol, venue, "complete", *map(str, (one.open, one.high, one.low, one.close, one.volume)), None,
             None, one.trade_count)
            for symbol, start_ns, one, _ in self.seen[chosen] for venue in VENUES
        ]  # fmt: skip


def held(store: Answers, *, keep: bool) -> int:
    """Bytes at most while all is read; with windows kept or not."""
    tracemalloc.start()
    try:
        rows = read_stored(store, "1s", NS_PER_SECOND, None)  # type: ignore[arg-type]  # it has what is asked of it
        if keep:
            assert len(windows(rows, NS_PER_SECOND, data="memory")) == len(store.seen)
        else:
            deque(rows, maxlen=0)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_rows_of_a_long_time_take_no_more_memory_than_those_of_a_short_one():
    """And windows, with what was known live behind them, take less than 2 kB each."""
    short, long = Answers(2_000), Answers(8_000)
    stretch = held(short, keep=False)
    assert held(long, keep=False) < 1.2 * stretch
    assert held(long, keep=True) - stretch < 2_000 * len(long.seen)


def test_windows_of_a_store_are_the_candles_and_values_that_were_known():
    store = Answers(2_000)
    found = windows(read_stored(store, "1s", NS_PER_SECOND, None), NS_PER_SECOND, data="memory")  # type: ignore[arg-type]
    assert [(one.start_ns, one.candle) for one in found] == [(one.start_ns, one.candle) for one in store.seen]
    for one, record in zip(found, store.features, strict=True):
        values = [[None if value != value else value for value in known.values] for known in one.written]
        assert values == [known.values for known in record.sets.values()]


def test_what_a_warm_start_told_the_worker_is_in_rows_from_an_export_too(tmp_path):
    """Features that remember history cannot be computed again from the candles beside them."""
    sets, rule = sets_of(NS_PER_MINUTE)[:1], Rule("forward", 5)
    made = generate({"A/B": 100.0}, size_ns=NS_PER_MINUTE, bars=500, until_ns=500 * NS_PER_MINUTE, seed=2).seen
    candles = [(one.start_ns, one.candle) for one in made]
    live, scored = Book(sets_of(NS_PER_MINUTE)), ScoredBook(NS_PER_MINUTE)
    live.take(*candles[200])
    live.learn(candles[:200])
    known = {}
    for start_ns, candle in candles[201:]:
        found = feature_values(live.sets, live.take(start_ns, candle) or [])
        known[start_ns] = [found["base"].values[place] for place in sets[0].inputs]
        scored.add(Features("spot", "A/B", NS_PER_MINUTE, start_ns, "complete", candle, found))
    write_replay(tmp_path, BarBook(), TradeBook(0, keep=True), scored)
    seen = read(str(tmp_path / "features.parquet"), load_settings(None, {}), "1m", None, Generation(0, 0, 0)).seen
    data = build(seen, sets, rule)
    assert len(data) == len(known) - rule.horizon_bars
    assert data.inputs.tolist() == [known[start_ns] for start_ns in data.start_ns.tolist()]
    alone = build([one._replace(written=()) for one in seen], sets, rule)
    assert len(alone) < len(data)
    assert alone.inputs.tolist() != data.inputs[-len(alone) :].tolist()
