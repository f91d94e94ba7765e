"""What every table store offers, and the tables themselves: those of market data here. Opens nothing.

QuestDB and PostgreSQL hold the same tables under the same names; each says below how it stores a kind of column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from sofia_streams.model import NS_PER_MINUTE, Bar, Gap, Ticker, TradeBatch
from sofia_streams.paper import Paper
from sofia_streams.scored import Scored
from sofia_streams.stores.columns import Kind, Table, Value
from sofia_streams.stores.paper_rows import PAPER_TABLES, paper_row, paper_table
from sofia_streams.stores.scored_rows import SCORED_TABLES, scored_row, scored_table

Record = TradeBatch | Bar | Ticker | Gap | Scored | Paper
"""What a store takes; trades come in batches, everything else is one row."""
_INSTRUMENT: dict[str, Kind] = {"venue": "label", "market": "label", "symbol": "label"}
_OWN = ("venue", "market", "symbol")
TICKER_VALUES = (
    *("last", "bid", "bid_quantity", "ask", "ask_quantity"),
    *("open_24h", "high_24h", "low_24h", "volume_24h", "quote_volume_24h"),
)
_BARS = Table(
    {
        "start_ns": "time", **_INSTRUMENT, "open": "value", "high": "value", "low": "value", "close": "value",
        "volume": "value", "quote_volume": "sum", "buy_volume": "value", "trade_count": "count", "vwap": "sum",
        "first_trade_id": "text", "last_trade_id": "text", "revision": "count", "quality": "label",
    },
    time="start_ns",
    key=("start_ns", *_OWN),
    newer="revision",
)
TABLES = {
    "trades": Table(
        {
            "exchange_ns": "time", **_INSTRUMENT, "id_kind": "label", "trade_id": "text", "price": "value",
            "quantity": "value", "taker_side": "label", "received_ns": "time", "line": "label",
            "snapshot": "flag", "stale": "flag", "id_count": "count", "backfilled": "flag",
        },
        time="exchange_ns",
        key=("exchange_ns", *_OWN, "id_kind", "trade_id"),
    ),
    "bars_1s": _BARS,
    "bars_1m": _BARS,
    "tickers": Table(
        {"received_ns": "time", **_INSTRUMENT, "exchange_ns": "time", **dict.fromkeys(TICKER_VALUES, "sum")},
        time="received_ns",
        key=("received_ns", *_OWN),
    ),
    "gaps": Table(
        {
            "from_ns": "time", **_INSTRUMENT, "gap_id": "text", "cause": "label", "state": "label",
            "received_ns": "time", "line": "label", "until_ns": "time", "id_kind": "label", "first_id": "text",
            "last_id": "text", "missing": "count", "filled": "count", "missing_volume": "value",
            "opened_ns": "time", "detail": "text",
        },
        time="from_ns",
        key=("from_ns", *_OWN, "gap_id"),
        newer="received_ns",
    ),
    **SCORED_TABLES,
    **PAPER_TABLES,
}
"""Every table. A gap's `from_ns` never changes, so that its later records replace the earlier ones."""


class Flaw(NamedTuple):
    """What was found of a table that is not as this version needs it, in words, with the cure where one is left."""

    text: str
    is_mended: bool = False
    """Whether the table is right from now on."""


class Store(Protocol):
    """A database that takes the tables. Everything blocks: call it from a thread, one call at a time."""

    name: str

    def create_tables(self, retention_days: dict[str, int]) -> list[Flaw]:
        """Make tables and columns that are missing; what is or was wrong with those that are there.

        `retention_days` by table; 0 keeps for ever. Raises DependencyDown.
        """

    def write(self, records: Sequence[Record]) -> int:
        """Write all rows of these records, acknowledged when this returns; how many. Writing again changes nothing.

        Raises DependencyDown (send the same records again), BadRecord where the store refuses a row.
        """

    def count(self, name: str) -> int:
        """How many rows of a table are visible now. Raises DependencyDown."""

    def drop_tables(self) -> None:
        """Drop the tables of this prefix. Raises ValueError where there is none: the live tables are never dropped."""

    def close(self) -> None:
        """Give up the connection."""


class Fallback(Store, Protocol):
    """A store whose rows can be had again by when they were written."""

    def stored_between(self, name: str, from_ns: int, until_ns: int) -> Iterator[Record]:
        """What was last written into a table within a time, ends included, as records. Raises DependencyDown."""


def table_of(record: Record) -> str:
    """The table that a record's rows go to."""
    if isinstance(record, TradeBatch):
        return "trades"
    if isinstance(record, Bar):
        return "bars_1m" if record.size_ns == NS_PER_MINUTE else "bars_1s"
    if isinstance(record, Scored):
        return scored_table(record)
    if isinstance(record, Paper):
        return paper_table(record)
    return "tickers" if isinstance(record, Ticker) else "gaps"


def rows_of(record: Record) -> Iterator[tuple[Value, ...]]:
    """The rows of a record, values in the order of the table's columns."""
    if isinstance(record, TradeBatch):
        own = (record.venue, record.market, record.symbol)
        for trade in record.trades:
            yield (
                *(trade.exchange_ns, *own, trade.id_kind, trade.trade_id, trade.price, trade.quantity),
                *(trade.taker_side, record.received_ns, record.line, trade.snapshot, trade.stale),
                *(trade.count, trade.backfilled),
            )
    elif isinstance(record, Scored):
        yield scored_row(record)
    elif isinstance(record, Paper):
        yield paper_row(record)
    else:
        yield tuple(getattr(record, name) for name in TABLES[table_of(record)].columns)
