"""The records of the benchmarks hold every trade, as ingest would send them; one fold makes one result."""

from collections import Counter, defaultdict

import pytest

from bench.prefill import fold, prepare, shape
from bench.stream import REPEATED_ONE_IN, SYMBOLS, VENUES, coalesced, ended, frames, one_by_one
from sofia_streams.core.bars.windows import Rules
from sofia_streams.ingest.coalesce import TRADES_A_RECORD_MAX
from sofia_streams.model import Punctuation, TradeBatch

RATE, COUNT = 20_000.0, 40_000


@pytest.fixture(scope="module")
def batches():
    return list(frames(COUNT, RATE))


def ids(records):
    found = defaultdict(list)
    for record in records:
        if isinstance(record, TradeBatch):
            found[record.venue, record.symbol] += [trade.trade_id for trade in record.trades]
    return found


def test_the_stream_has_so_many_distinct_trades_of_twelve_instruments(batches):
    counts = Counter((batch.venue, batch.symbol, batch.trades[0].trade_id) for batch in batches)
    assert len(counts) == COUNT
    assert sum(counts.values()) == COUNT + COUNT // REPEATED_ONE_IN
    assert {(venue, symbol) for venue, symbol, _ in counts} == {(venue, name) for venue in VENUES for name in SYMBOLS}


def test_the_stream_has_the_rate(batches):
    seconds = (batches[-1].received_ns - batches[0].received_ns) / 1e9
    assert COUNT / seconds == pytest.approx(RATE, rel=0.05)


def test_coalescing_loses_no_trade_and_keeps_the_order_of_each_instrument(batches):
    assert ids(timed.record for timed in coalesced(batches)) == ids(batches)


def test_no_trade_waits_longer_than_the_linger_and_a_look(batches):
    waits_s = [timed.at_s - (timed.record.received_ns - batches[0].received_ns) / 1e9 for timed in coalesced(batches)]
    assert max(waits_s) <= 0.05 + 0.005 + 0.002
    assert min(waits_s) >= 0


def test_records_are_no_giants(batches):
    shown = shape(prepare(coalesced(batches)))
    assert shown["trades"] == len(batches)
    assert 1 < shown["trades_a_record"] <= shown["trades_a_record_max"] <= TRADES_A_RECORD_MAX
    assert shown["trades_a_record_max"] < 0.06 * RATE, "more than one instrument can get within the linger"


def test_every_feed_ends_once_after_its_last_trade(batches):
    records = [timed.record for timed in ended(coalesced(batches))]
    ends = [record for record in records if isinstance(record, Punctuation)]
    assert records[-len(ends) :] == ends
    assert sorted((end.venue, end.symbol) for end in ends) == sorted(ids(batches))
    assert not any(end.alive for end in ends)


def test_coalesced_and_single_records_make_the_same_bars_and_repeated_trades_count_once(batches):
    together = fold(prepare(ended(coalesced(batches))), Rules())
    single = fold(prepare(ended(one_by_one(batches))), Rules())
    assert together == single
    assert together[0] == COUNT


def test_a_lost_trade_changes_the_hash(batches):
    whole = fold(prepare(ended(one_by_one(batches))), Rules())
    assert fold(prepare(ended(one_by_one(batches[:5] + batches[6:]))), Rules()) != whole
