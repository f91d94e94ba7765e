"""What is compared: a row of any table as an identity, a moment, a name and its values as one text. Pure.

The same row gives the same text whichever store it comes from: decimals are plain digits without zeros at the end,
times ns, booleans `true` and `false`, and nothing is nothing. What it does not do: read a store or the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from sofia_streams.core.feeds.tape import identity_of
from sofia_streams.model import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_MS, NS_PER_SECOND, Bar, Gap, Ticker, Trade

_BETWEEN = "\t"
_SUMS = ("volume", "quote_volume", "buy_volume", "trade_count", "vwap")
_BAR = ("open", "high", "low", "close", *_SUMS, "first_trade_id", "last_trade_id", "revision", "quality")
_TICKER = (
    *("exchange_ns", "last", "bid", "bid_quantity", "ask", "ask_quantity"),
    *("open_24h", "high_24h", "low_24h", "volume_24h", "quote_volume_24h"),
)
_GAP = (
    *("cause", "state", "received_ns", "line", "until_ns", "id_kind", "first_id", "last_id"),
    *("missing", "filled", "missing_volume", "opened_ns", "detail"),
)
TRADE_EXTRAS = ("id_count", "backfilled")
"""The last values of a trade, which not every store has."""
FIELDS = {
    "trades": ("price", "quantity", "taker_side", "exchange_ns", "snapshot", "stale", *TRADE_EXTRAS),
    "bars_1s": _BAR,
    "bars_1m": _BAR,
    "tickers": _TICKER,
    "gaps": _GAP,
}
"""The values of each table that are compared; not how a trade came in (`received_ns`, `line`)."""
TABLES = tuple(FIELDS)


class Bucket(NamedTuple):
    """An hour, UTC, of one instrument in one table; for bars `venue` may be `all`."""

    table: str
    venue: str
    market: str
    symbol: str
    hour_ns: int


class Item(NamedTuple):
    """A row: what makes it itself within its bucket, when it was, what to call it, and its values."""

    identity: str
    at_ns: int
    name: str
    values: str


def bucket_of(table: str, venue: str, market: str, symbol: str, at_ns: int) -> Bucket:
    """Where a row of that moment belongs."""
    return Bucket(table, venue, market, symbol, at_ns - at_ns % NS_PER_HOUR)


def table_of(size_ns: int) -> str:
    """The table of bars of this size."""
    return "bars_1m" if size_ns == NS_PER_MINUTE else "bars_1s"


def size_of(table: str) -> int:
    """The width of the windows of a table of bars, ns."""
    return NS_PER_MINUTE if table == "bars_1m" else NS_PER_SECOND


def trade_item(trade: Trade, *, extras: bool = False) -> Item:
    """A trade; the same by what `core.feeds.tape` says. `extras`: whether the store has TRADE_EXTRAS."""
    price, quantity = _digits(trade.price), _digits(trade.quantity)
    flags = f"{_TEXT[trade.snapshot]}{_BETWEEN}{_TEXT[trade.stale]}"
    values = _BETWEEN.join((price, quantity, trade.taker_side, str(trade.exchange_ns), flags))
    if extras:
        values = _BETWEEN.join((values, str(trade.count), _TEXT[trade.backfilled]))
    kind, trade_id, at_ms = identity_of(trade)
    return Item(f"{kind} {trade_id} {at_ms}", trade.exchange_ns, trade_id, values)


def bar_item(bar: Bar) -> Item:
    """A bar, whatever its revision."""
    return _timed(bar.start_ns, [value_text(getattr(bar, name)) for name in _BAR])


def with_quality(item: Item, quality: str) -> Item:
    """The item of a bar with another quality, its last value."""
    return item._replace(values=f"{item.values.rpartition(_BETWEEN)[0]}{_BETWEEN}{quality}")


def ticker_item(ticker: Ticker) -> Item:
    """A ticker."""
    return _timed(ticker.received_ns, [value_text(getattr(ticker, name)) for name in _TICKER])


def gap_item(gap: Gap) -> Item:
    """A gap, as it was last known."""
    return Item(gap.gap_id, gap.from_ns, gap.gap_id, _BETWEEN.join([value_text(getattr(gap, name)) for name in _GAP]))


def item_from_texts(table: str, row: Mapping[str, str]) -> Item:
    """A row of a store, by column, every value as a text ("" or not there: nothing). Raises KeyError, ValueError."""
    names = FIELDS[table]
    if TRADE_EXTRAS[0] in names and TRADE_EXTRAS[0] not in row:
        names = names[: -len(TRADE_EXTRAS)]
    values = _BETWEEN.join([_canonical(name, row.get(name) or "") for name in names])
    if table == "gaps":
        return Item(row["gap_id"], int(row["from_ns"]), row["gap_id"], values)
    if table != "trades":
        at_ns = int(row["received_ns" if table == "tickers" else "start_ns"])
        return Item(str(at_ns), at_ns, str(at_ns), values)
    at_ns = int(row["exchange_ns"])
    return Item(f"{row['id_kind']} {row['trade_id']} {at_ns // NS_PER_MS}", at_ns, row["trade_id"], values)


def fields_that_differ(table: str, one: Item, other: Item) -> list[str]:
    """The names of the values that are not the same."""
    pairs = zip(FIELDS[table], one.values.split(_BETWEEN), other.values.split(_BETWEEN), strict=False)
    return [name for name, mine, theirs in pairs if mine != theirs]


def value_text(value: object) -> str:
    """A value as it is compared."""
    if isinstance(value, Decimal):
        return _digits(value)
    return "" if value is None else str(value)


def _timed(at_ns: int, values: list[str]) -> Item:
    return Item(str(at_ns), at_ns, str(at_ns), _BETWEEN.join(values))


_TEXT = {False: "false", True: "true"}
_DECIMALS = frozenset(
    {"price", "quantity", "volume", "quote_volume", "buy_volume", "vwap", "open", "high", "low", "close"}
    | {"missing_volume", *_TICKER[1:]}
)


def _canonical(name: str, text: str) -> str:
    return text.rstrip("0").rstrip(".") if name in _DECIMALS and "." in text else text


def _digits(value: Decimal) -> str:
    text = str(value)
    if "E" in text:
        text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
