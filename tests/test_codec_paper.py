"""Records of paper trading in the log: read back as written, and no value that an account could not add up."""

import json
from decimal import Decimal

import pytest

from sofia_streams import codec
from sofia_streams.errors import BadRecord
from sofia_streams.paper import Account, Command, Fill, Order, Position, Taken

AT_NS = 1_672_515_782_136_000_000
D = Decimal
ORDER = Order(
    "o1", "okx", "spot", "BTC/USDT", "sell", "limit", "gtd", "take_profit", D("0.5"), "partially_filled", AT_NS, AT_NS,
    revision=2, limit_price=D("61234.50"), filled_quantity=D("0.1"), notional_quote=D("6123.45"), fees_quote=D("-0.06"),
    expires_ns=AT_NS + 1, reduce_only=True, reason="", is_synthetic=True,
)  # fmt: skip
REJECTED = Order(
    "o2", "", "spot", "XYZ/USDT", "buy", "market", "ioc", "entry", D(0), "rejected", AT_NS, AT_NS, reason="NO_QUOTE"
)
FILL = Fill(
    "o1-1", "o1", "okx", "spot", "BTC/USDT", "sell", D("0.1"), D("61234.50"), D("-0.06"), D("-0.00001"), "own", "maker",
    "partially_filled", AT_NS, realised_quote=D("-12.5"), decision_mid=D("61234.505"), slippage_bps=D("-0.0008"),
)  # fmt: skip
SHORT = Position("linear", "BTC/USDT:USDT", D("-0.5"), D("-30000"), D("61000.1"), AT_NS, D("-1"), D("0.25"))
SAID = Account(
    7, AT_NS, D("-20000.5"), D("9999.5"), D(10000), D("-1"), D("-500.05"), D("0.25"), D(10000), D(10000), D("30500.05"),
    1, "REDUCING", "fill", flows_quote=D(-5), reason="DAILY_LOSS", positions=[SHORT],
)  # fmt: skip
TAKEN = Taken(3, "applied", "control", 9, AT_NS)
COMMAND = Command("halt-1", "halt", "news at 14:00 UTC", "ada", AT_NS)
RECORDS = [
    (codec.decode_orders, ORDER), (codec.decode_orders, REJECTED), (codec.decode_fills, FILL),
    (codec.decode_account, SAID), (codec.decode_account, TAKEN), (codec.decode_control, COMMAND),
]  # fmt: skip


@pytest.mark.parametrize(("decode", "record"), RECORDS)
def test_what_was_written_is_read_back_to_the_last_digit(decode, record):
    assert decode(codec.encode(record)) == record


@pytest.mark.parametrize(
    ("decode", "record", "name", "value"),
    [
        *((codec.decode_orders, ORDER, name, "NaN") for name in ("quantity", "limit_price", "fees_quote")),
        *((codec.decode_orders, ORDER, name, -1) for name in ("quantity", "limit_price", "notional_quote", "at_ns")),
        (codec.decode_orders, ORDER, "filled_quantity", "0.51"),
        (codec.decode_orders, ORDER, "order_id", ""),
        (codec.decode_orders, ORDER, "venue", ""),
        (codec.decode_orders, ORDER, "status", "done"),
        (codec.decode_orders, ORDER, "symbol", "a|b"),
        (codec.decode_orders, ORDER, "expires_ns", 2**63),
        *((codec.decode_fills, FILL, name, 0) for name in ("quantity", "price")),
        *((codec.decode_fills, FILL, name, "1e999999999") for name in ("fee_quote", "realised_quote", "decision_mid")),
        (codec.decode_fills, FILL, "order_status", "new"),
        (codec.decode_fills, FILL, "fill_id", "x" * 65),
        *((codec.decode_account, SAID, name, "-Infinity") for name in ("cash_quote", "flows_quote")),
        (codec.decode_account, SAID, "serial", -1),
        (codec.decode_account, SAID, "positions", [["spot", "BTC/USDT", "sNaN", 1, 1, AT_NS, 0, 0]]),
        (codec.decode_account, SAID, "positions", [["spot", "BTC/USDT", 1, 1, -1, AT_NS, 0, 0]]),
        (codec.decode_account, SAID, "positions", [["spot", "", 1, 1, 1, AT_NS, 0, 0]]),
        (codec.decode_account, TAKEN, "serial", -2),
        (codec.decode_account, TAKEN, "input", "a\nb"),
        (codec.decode_control, COMMAND, "action", "stop"),
        (codec.decode_control, COMMAND, "by", ""),
        (codec.decode_control, COMMAND, "reason", "x" * 201),
        (codec.decode_control, COMMAND, "reason", "\x1b[2J"),
    ],
)
def test_a_value_that_none_can_be_is_refused(decode, record, name, value):
    with pytest.raises(BadRecord):
        decode(json.dumps(json.loads(codec.encode(record)) | {name: value}).encode())


DECODERS = (codec.decode_orders, codec.decode_fills, codec.decode_account, codec.decode_control)


@pytest.mark.parametrize("decode", DECODERS)
def test_another_topics_record_is_refused(decode):
    others = [record for own, record in RECORDS if own is not decode]
    for data in (b"", b"{}", None, *map(codec.encode, others)):
        with pytest.raises(BadRecord):
            decode(data)
