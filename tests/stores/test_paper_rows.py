"""Rows of orders, fills and the account: each record comes back from its own as it was, and none is doubled."""

from decimal import Decimal

import msgspec
import pytest

from sofia_streams.paper import Account, Fill, Order, Position
from sofia_streams.settings import Settings
from sofia_streams.stores.base import TABLES, rows_of, table_of
from sofia_streams.stores.paper_rows import PAPER_TABLES, paper_record
from sofia_streams.stores.postgres import _by_table

D = Decimal
ORDER = Order(
    "o1", "okx", "spot", "BTC/USDT", "sell", "limit", "gtd", "stop_loss", D("0.5"), "expired", 70, 90, revision=2,
    limit_price=D("61234.50"), stop_price=D(61000), filled_quantity=D("0.1"), notional_quote=D("6123.45"),
    fees_quote=D("-0.06"), decision_mid=D("61234.505"), active_ns=80, expires_ns=85, reduce_only=True,
    reason="TIME_IN_FORCE_ENDED", signal_start_ns=60, signal_size_ns=10, signal_place="t/0/1", model_id="m",
    is_synthetic=True, account="other",
)  # fmt: skip
FILL = Fill(
    "o1-1", "o1", "okx", "spot", "BTC/USDT", "sell", D("0.1"), D("61234.50"), D("-0.06"), D("-0.00001"), "own", "maker",
    "partially_filled", 75, D("-12.5"), D("61234.505"), D("61234.51"), D("-0.0008"), "trade 9", "t/0/2", True, "other",
)  # fmt: skip
POSITION = Position("linear", "BTC/USDT:USDT", D("-0.5"), D("-30000.10"), D("61000.1"), 60, D("-1"), D("0.25"))
SAID = Account(
    7, 90, D("-20000.5"), D("9999.5"), D(10000), D("-1"), D("-500.05"), D("0.25"), D(10001), D(10002), D("30500.05"), 1,
    "HALTED", "state", D(-5), "DRAWDOWN", [POSITION, msgspec.structs.replace(POSITION, mark=None)], "other",
)  # fmt: skip
PLAIN = [
    Order("o2", "", "spot", "XYZ/USDT", "buy", "market", "ioc", "entry", D(0), "rejected", 7, 7),
    Fill("o2-1", "o2", "okx", "spot", "BTC/USDT", "buy", *[D(1)] * 4, "own", "taker", "filled", 7),
    Account(0, 7, *[D(1)] * 9, 0, "ACTIVE", "minute"),
]


@pytest.mark.parametrize("record", [ORDER, FILL, SAID, *PLAIN])
def test_a_record_comes_back_from_its_row(record):
    name = table_of(record)
    (row,) = rows_of(record)
    assert paper_record(name, dict(zip(TABLES[name].columns, row, strict=True))) == record


@pytest.mark.parametrize("record", [ORDER, FILL, SAID])
def test_a_table_has_every_field_and_the_examples_have_another_value_than_the_default_in_each(record):
    assert {*TABLES[table_of(record)].columns} == {*record.__struct_fields__}
    for field in msgspec.structs.fields(record):
        if field.default is not msgspec.NODEFAULT:
            assert getattr(record, field.name) != field.default, field.name


def test_the_same_again_is_one_row_and_of_an_order_the_last_revision_counts():
    older = msgspec.structs.replace(ORDER, revision=1, status="new")
    found = _by_table([ORDER, older, FILL, FILL, SAID, SAID, *PLAIN])
    assert {name: len(rows) for name, rows in found.items()} == {"orders": 2, "fills": 2, "account": 2}
    (row, _) = found["orders"].values()
    assert dict(zip(TABLES["orders"].columns, row, strict=True))["status"] == "expired"


def test_what_was_bought_and_sold_is_kept_for_ever_by_default():
    assert not {*PAPER_TABLES} & {*Settings().retention_days()}
