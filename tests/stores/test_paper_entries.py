"""The published shape of paper executions in Redis Streams, and the account: names, order and text of every field."""

import re
from decimal import Decimal

import pytest

from sofia_streams.model import NS_PER_MS, NS_PER_SECOND
from sofia_streams.paper import Account, Fill, Order, Position, Taken
from sofia_streams.stores.redis_entries import Entry, entry_of, streams_of

D = Decimal
AT_NS = 1_700_000_000 * NS_PER_SECOND + 250 * NS_PER_MS


def said(entry: Entry | None) -> list[tuple[str, str]]:
    """Fields as a client gets them, in order."""
    assert entry is not None
    words = re.findall(r"\$\d+\r\n(.*?)\r\n", entry.fields)
    assert len(words) == 2 * entry.pairs
    return [*zip(words[::2], words[1::2], strict=True)]


def test_an_execution_has_the_published_fields_first_and_exact():
    made = Fill(
        "o1-2", "o1", "okx", "linear", "BTC/USDT:USDT", "sell", D("1E-8"), D("61234.50"), D("-0.0000012"),
        D("-0.00001"), "own", "maker", "partially_filled", AT_NS, D("-12.5"), None, D("61234.505"), D("-0.0008"),
        "trade 9", "t/0/2", is_synthetic=True,
    )  # fmt: skip
    entry = entry_of(made, 5, "demo:")
    assert entry is not None
    assert (entry.stream, entry.offset, entry.nth) == ("demo:executions:BTC/USDT:USDT", 5, 1)
    assert said(entry) == [
        ("order_id", "o1"), ("symbol", "BTCUSDT"), ("side", "sell"), ("quantity", "0.00000001"), ("price", "61234.50"),
        ("fees", "-0.0000012"), ("status", "partially_filled"), ("timestamp", "1700000000.25"),
        ("pair", "BTC/USDT:USDT"), ("fill_id", "o1-2"), ("venue", "okx"), ("market", "linear"),
        ("fee_rate", "-0.00001"), ("fee_schedule", "own"), ("liquidity", "maker"), ("at_ns", str(AT_NS)),
        ("realised_quote", "-12.5"), ("arrival_mid", "61234.505"), ("slippage_bps", "-0.0008"),
        ("evidence", "trade 9"), ("place", "t/0/2"), ("is_synthetic", "true"), ("account", "paper"),
    ]  # fmt: skip


def test_the_account_is_one_stream_with_positions_as_json():
    held = Position("spot", "BTC/USDT", D("0.5"), D("30000.10"), None, 60)
    made = Account(7, AT_NS, *[D("1.50")] * 9, 2, "HALTED", "control", reason="BY_COMMAND: news", positions=[held])
    entry = entry_of(made, 9, "")
    found = dict(said(entry))
    assert entry is not None and entry.stream == "account"
    assert set(found) == set(Account.__struct_fields__)
    assert [found[name] for name in ("serial", "equity_quote", "state", "open_orders")] == ["7", "1.50", "HALTED", "2"]
    assert found["positions"] == '[["spot","BTC/USDT","0.5","30000.10",null,60,"0","0"]]'


@pytest.mark.parametrize(
    "record",
    [
        Order("o2", "okx", "spot", "BTC/USDT", "buy", "market", "ioc", "entry", D(1), "new", 7, 7),
        Taken(1, "gave_up", "trades", 4, 7),
    ],
)
def test_orders_and_choices_of_order_are_no_entries(record):
    assert entry_of(record, 1, "") is None


def test_a_topics_streams_are_found_by_what_their_names_begin_with():
    fill = Fill("o2-1", "o2", "okx", "spot", "BTC/USDT", "buy", *[D(1)] * 4, "own", "taker", "filled", 7)
    for topic, record in (("fills", fill), ("account", Account(0, 7, *[D(1)] * 9, 0, "ACTIVE", "minute"))):
        entry = entry_of(record, 1, "")
        assert entry is not None and entry.stream.startswith(streams_of(topic))
    assert streams_of("trades") == "trades:"
