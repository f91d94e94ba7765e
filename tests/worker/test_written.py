"""Every table has a topic that fills it, and what stands in a topic goes into a table of its own."""

from decimal import Decimal

import pytest

from sofia_streams import codec, topics
from sofia_streams.model import NS_PER_SECOND, Ticker
from sofia_streams.ops.workers import INPUTS
from sofia_streams.paper import Account, Fill, Order, Taken
from sofia_streams.scored import Activation, Features, History, ModelQuality, Prediction, Signal, Silence
from sofia_streams.stores.base import TABLES, table_of
from sofia_streams.worker.written import READS, REPLACED, TABLES_OF

SILENCE = Silence("spot", "BTC/USDT", 7)
SAME = ("spot", "BTC/USDT", NS_PER_SECOND, 7)
RECORDS = {
    topics.FEATURES: Features(*SAME, "stale", None, {}),
    topics.PREDICTIONS: Prediction(*SAME, "t/0/1", abstention="no model"),
    topics.SIGNALS: Signal(*SAME, "abstain", "no model"),
    topics.MODEL_QUALITY: ModelQuality("BTC/USDT", "m", "champion", 7, 9, 0.5, 0.25, 0.1, 0.5, 0.7),
    topics.ORDERS: Order("o", "okx", "spot", "BTC/USDT", "buy", "market", "ioc", "entry", Decimal(1), "new", 7, 7),
    topics.FILLS: Fill(
        "o-1", "o", "okx", "spot", "BTC/USDT", "buy", *[Decimal(1)] * 4, "own", "taker", "filled", 7,
    ),
    topics.ACCOUNT: Account(3, 7, *[Decimal(1)] * 9, 0, "ACTIVE", "minute"),
}  # fmt: skip


def test_each_table_is_filled_from_one_topic_that_the_writer_reads():
    assert sorted(name for names in TABLES_OF.values() for name in names) == sorted(TABLES)
    assert set(READS) == set(TABLES_OF) == set(INPUTS["timeseries_writer"])


@pytest.mark.parametrize("topic", RECORDS)
def test_a_record_behind_bars_or_signals_goes_into_a_table_of_its_topic(topic):
    decode, prepare = READS[topic]
    (found,) = prepare(decode(codec.encode(RECORDS[topic])), 0)
    assert found == RECORDS[topic]
    assert table_of(found) in TABLES_OF[topic]


@pytest.mark.parametrize(
    "record",
    [Activation("a", "m", "0", 1, 2), History("spot", "BTC/USDT", NS_PER_SECOND, ["okx"], [], 1), SILENCE],
)
def test_model_swaps_history_and_silence_in_bars_write_nothing(record):
    decode, prepare = READS[topics.BARS]
    assert prepare(decode(codec.encode(record)), 0) == []


def test_a_decision_on_order_writes_nothing():
    decode, prepare = READS[topics.ACCOUNT]
    assert prepare(decode(codec.encode(Taken(1, "gave_up", "trades", 4, 7))), 0) == []


def test_every_topic_whose_rows_have_revisions_is_filled_to_the_end_of_the_log():
    newer = {name for name, table in TABLES.items() if table.newer}
    assert newer == {name for topic in REPLACED for name in TABLES_OF[topic]}


def test_silence_in_signals_writes_nothing():
    decode, prepare = READS[topics.SIGNALS]
    assert prepare(decode(codec.encode(SILENCE)), 0) == []


@pytest.mark.parametrize(("state", "rows"), [("said", 1), ("quiet", 0), ("dead", 0)])
def test_a_ticker_that_is_said_again_writes_nothing(state, rows):
    decode, prepare = READS[topics.TICKERS]
    ticker = Ticker("okx", "spot", "BTC/USDT", 8, last=Decimal("2.5"), state=state)
    assert prepare(decode(codec.encode(ticker)), 0) == [ticker] * rows
