"""Log records as the rows they become in the stores, each with its place in the log. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from sofia_streams.model import Bar, Market, Ticker, Trade, TradeBatch
from sofia_streams.ops.verify.rows import (
    Bucket,
    Item,
    bar_item,
    bucket_of,
    table_of,
    ticker_item,
    trade_item,
)

Record = Trade | Bar | Ticker


class Logged(msgspec.Struct, frozen=True, array_like=True):
    """One row: the offset of its record, its place there from 1 (as in a Redis id), and the record itself.

    `received_ns` and `line` are those of a trade's batch.
    """

    offset: int
    nth: int
    record: Any
    received_ns: int = 0
    line: str = ""


class _LoggedTrade(Logged, frozen=True, array_like=True):
    record: Trade


class _LoggedBar(Logged, frozen=True, array_like=True):
    record: Bar


class _LoggedTicker(Logged, frozen=True, array_like=True):
    record: Ticker


_BARS: Any = msgspec.msgpack.Decoder(list[_LoggedBar])
_DECODERS: dict[str, Any] = {
    "trades": msgspec.msgpack.Decoder(list[_LoggedTrade]),
    "bars_1s": _BARS,
    "bars_1m": _BARS,
    "tickers": msgspec.msgpack.Decoder(list[_LoggedTicker]),
}


def decoder_of(table: str) -> msgspec.msgpack.Decoder[list[Logged]]:
    """Reads rows of a table back from a spool."""
    found: msgspec.msgpack.Decoder[list[Logged]] = _DECODERS[table]
    return found


def logged_rows(record: object, offset: int) -> Iterator[tuple[Bucket, int, Logged]]:
    """Bucket, moment and row of everything that a record becomes; nothing of punctuation and gaps."""
    if isinstance(record, TradeBatch):
        venue, market, symbol = record.venue, record.market, record.symbol
        for nth, trade in enumerate(record.trades, 1):
            at_ns = trade.exchange_ns
            row = Logged(offset, nth, trade, record.received_ns, record.line)
            yield bucket_of("trades", venue, market, symbol, at_ns), at_ns, row
    elif isinstance(record, Bar):
        bucket = bucket_of(table_of(record), record.venue, record.market, record.symbol, record.start_ns)
        yield bucket, record.start_ns, Logged(offset, 1, record)
    elif isinstance(record, Ticker):
        bucket = bucket_of("tickers", record.venue, record.market, record.symbol, record.received_ns)
        yield bucket, record.received_ns, Logged(offset, 1, record)


def item_of(record: Record) -> Item:
    """The row of any record."""
    if isinstance(record, Trade):
        return trade_item(record)
    return bar_item(record) if isinstance(record, Bar) else ticker_item(record)


def stored_record(bucket: Bucket, row: Logged) -> TradeBatch | Bar | Ticker:
    """The row as a store writes it."""
    if isinstance(row.record, Trade):
        market: Market = bucket.market  # type: ignore[assignment]  # it came from a record
        return TradeBatch(bucket.venue, market, bucket.symbol, row.received_ns, row.line, [row.record])
    found: Bar | Ticker = row.record
    return found


class Expected(NamedTuple):
    """What a store must have of a bucket, by identity; `ignored` are identities of which something is on its way."""

    items: dict[str, Item]
    rows: dict[str, Logged]
    ignored: frozenset[str]


def last_of_each(rows: Sequence[Logged], settled_before: int, recent: Collection[str]) -> Expected:
    """For a database, where a row that comes again replaces the first."""
    items: dict[str, Item] = {}
    kept: dict[str, Logged] = {}
    ignored = set(recent)
    for row in rows:
        item = item_of(row.record)
        items[item.identity], kept[item.identity] = item, row
        if row.offset >= settled_before:
            ignored.add(item.identity)
    return Expected(items, kept, frozenset(ignored))


def each_once(rows: Sequence[Logged], settled_before: int, recent: Collection[str]) -> Expected:
    """For streams: a trade's first copy is an entry, and so is every revision of a bar, every ticker."""
    items: dict[str, Item] = {}
    kept: dict[str, Logged] = {}
    ignored = set(recent)
    for row in rows:
        item = item_of(row.record)
        if not isinstance(row.record, Trade):
            item = item._replace(identity=place_of(row.offset, row.nth))
        if item.identity not in items:
            items[item.identity], kept[item.identity] = item, row
            if row.offset >= settled_before:
                ignored.add(item.identity)
    return Expected(items, kept, frozenset(ignored))


def place_of(offset: int, nth: int) -> str:
    """A row's place in the log, by which entries that are no trades are known."""
    return f"{offset}-{nth}"
