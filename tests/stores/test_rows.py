"""The tables and the rows of records, without a server."""

from decimal import Decimal

import msgspec
import pytest

from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND, Bar, Gap, Ticker, Trade, TradeBatch
from sofia_streams.stores.base import TABLES, rows_of, table_of
from sofia_streams.stores.paper_rows import PAPER_TABLES
from sofia_streams.stores.postgres import _by_table, _upsert_sql
from sofia_streams.stores.scored_rows import SCORED_TABLES

BAR = Bar("okx", "spot", "BTC/USDT", NS_PER_SECOND, 7, None, None, None, None, Decimal(0), Decimal(0), Decimal(0), 0,
          None, "", "", 3)  # fmt: skip
TRADE = Trade("1", Decimal("1.50"), Decimal("0.1"), "buy", 5, 9, "agg", True, True, 4, True)
RECORDS = {
    "trades": TradeBatch("okx", "spot", "BTC/USDT", 6, "a", [TRADE]),
    "bars_1s": BAR,
    "bars_1m": msgspec.structs.replace(BAR, size_ns=NS_PER_MINUTE),
    "tickers": Ticker("okx", "spot", "BTC/USDT", 8, last=Decimal("2.5")),
    "gaps": Gap("okx", "spot", "BTC/USDT", 9, "a", "1-2", "ids", "open", 4),
}  # fmt: skip


MARKET_DATA = [name for name in TABLES if name not in {**SCORED_TABLES, **PAPER_TABLES}]


@pytest.mark.parametrize("name", MARKET_DATA)
def test_a_record_has_a_value_for_every_column_of_its_table(name):
    record = RECORDS[name]
    assert table_of(record) == name
    (row,) = rows_of(record)
    named = dict(zip(TABLES[name].columns, row, strict=True))
    source = record if name != "trades" else record.trades[0]
    renamed = {"id_count": "count"}
    of_the_batch = ("venue", "market", "symbol", "received_ns", "line")
    for column, value in named.items():
        holder = record if name == "trades" and column in of_the_batch else source
        assert value == getattr(holder, renamed.get(column, column)), column


@pytest.mark.parametrize("name", MARKET_DATA)
def test_a_key_holds_the_time_and_the_instrument(name):
    table = TABLES[name]
    assert table.time in table.key and {"venue", "market", "symbol"} <= set(table.key) <= set(table.columns)


def test_of_rows_with_one_key_the_newest_is_written_whatever_their_order():
    old, new = (msgspec.structs.replace(BAR, revision=number) for number in (1, 2))
    for order in ([old, new], [new, old]):
        (row,) = _by_table(order)["bars_1s"].values()
        assert dict(zip(TABLES["bars_1s"].columns, row, strict=True))["revision"] == 2


def test_where_nothing_says_which_is_newer_the_last_counts():
    first, second = (TradeBatch("okx", "spot", "BTC/USDT", at_ns, "a", [TRADE]) for at_ns in (1, 2))
    (row,) = _by_table([first, second])["trades"].values()
    assert dict(zip(TABLES["trades"].columns, row, strict=True))["received_ns"] == 2


def test_only_tables_with_revisions_refuse_an_older_row():
    assert "excluded.revision >= stored.revision" in _upsert_sql("t", "s", TABLES["bars_1m"])
    assert "WHERE" not in _upsert_sql("t", "s", TABLES["trades"])
