"""The published shapes of predictions and signals in Redis Streams: names, order and text of every field."""

import re
from decimal import Decimal

import pytest

from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND
from sofia_streams.scored import Features, Prediction, Signal
from sofia_streams.stores.redis_entries import Entry, entry_of

BEGAN_NS = 1_700_000_000 * NS_PER_SECOND


def said(entry: Entry | None) -> list[tuple[str, str]]:
    """Fields as a client gets them, in order."""
    assert entry is not None
    words = re.findall(r"\$\d+\r\n(.*?)\r\n", entry.fields)
    assert len(words) == 2 * entry.pairs
    return [*zip(words[::2], words[1::2], strict=True)]


def test_a_prediction_has_the_published_fields_first_and_its_scores_to_the_last_bit():
    made = Prediction(
        "spot", "BTC/USDT", NS_PER_SECOND, BEGAN_NS, "sofia.bars.v1/2/77", "ensemble", "forward-1-0a", "forward", 15,
        0.1 + 0.2, 1e-300, "down", 1.0 - 1e-16, is_synthetic=True,
    )  # fmt: skip
    entry = entry_of(made, 5, "demo:")
    assert entry is not None
    assert (entry.stream, entry.offset, entry.nth) == ("demo:predictions:BTC/USDT", 5, 1)
    assert said(entry) == [
        ("symbol", "BTCUSDT"), ("model_type", "ensemble"), ("raw_score", "0.30000000000000004"),
        ("calibrated_score", "1e-300"), ("prediction_class", "down"), ("confidence", "0.9999999999999999"),
        ("timestamp", "1700000001.0"), ("pair", "BTC/USDT"), ("market", "spot"), ("size_ns", "1000000000"),
        ("start_ns", "1700000000000000000"), ("place", "sofia.bars.v1/2/77"), ("model_id", "forward-1-0a"),
        ("label", "forward"), ("horizon_bars", "15"), ("is_synthetic", "true"),
    ]  # fmt: skip


@pytest.mark.parametrize(("model", "kind"), [("forward-1-0a", "ensemble"), ("", "")])
def test_an_abstention_has_the_same_fields_with_nothing_in_them_and_says_why(model, kind):
    made = Prediction("linear", "BTC/USDT:USDT", NS_PER_MINUTE, BEGAN_NS, "p/0/1", kind, model, abstention="gap")
    assert said(entry_of(made, 5, "")) == [
        ("symbol", "BTCUSDT"), ("model_type", kind), ("raw_score", ""), ("calibrated_score", ""),
        ("prediction_class", ""), ("confidence", ""), ("timestamp", "1700000060.0"), ("pair", "BTC/USDT:USDT"),
        ("market", "linear"), ("size_ns", "60000000000"), ("start_ns", "1700000000000000000"), ("place", "p/0/1"),
        ("model_id", model), ("label", ""), ("horizon_bars", "0"), ("abstention", "gap"), ("is_synthetic", "false"),
    ]  # fmt: skip


def test_a_signal_says_what_to_do_and_the_price_it_was_said_at():
    made = Signal("spot", "ETH/BTC", NS_PER_SECOND, BEGAN_NS, "buy", "up", Decimal("1E-8"), 0.75, "m", "p/0/1")
    entry = entry_of(made, 9, "")
    assert entry is not None
    assert entry.stream == "signals:ETH/BTC"
    assert said(entry) == [
        ("symbol", "ETHBTC"), ("action", "buy"), ("reason", "up"), ("confidence", "0.75"),
        ("timestamp", "1700000001.0"), ("pair", "ETH/BTC"), ("market", "spot"), ("size_ns", "1000000000"),
        ("start_ns", "1700000000000000000"), ("close", "0.00000001"), ("model_id", "m"), ("place", "p/0/1"),
        ("is_synthetic", "false"),
    ]  # fmt: skip


def test_features_are_no_entry():
    assert entry_of(Features("spot", "BTC/USDT", NS_PER_SECOND, BEGAN_NS, "stale", None, {}), 1, "") is None
