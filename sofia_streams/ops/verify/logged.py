"""Log records as the rows they become in the stores, each with its place in the log. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from sofia_streams.model import Bar, Gap, Market, Ticker, Trade, TradeBatch
from sofia_streams.ops.verify.rows import (
    Bucket,
    Item,
    bar_item,
    bucket_of,
    gap_item,
    table_of,
    ticker_item,
    trade_item,
)
from sofia_streams.stores.base import Record as Stored

Record = Trade | Bar | Ticker | Gap


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


class _LoggedGap(Logged, frozen=True, array_like=True):
    record: Gap


class _LoggedTicker(Logged, frozen=True, array_like=True):
    record: Ticker


_BARS: Any = msgspec.msgpack.Decoder(list[_LoggedBar])
_DECODERS: dict[str, Any] = {
    "trades": msgspec.msgpack.Decoder(list[_LoggedTrade]),
    "bars_1s": _BARS,
    "bars_1m": _BARS,
    "gaps": msgspec.msgpack.Decoder(list[_LoggedGap]),
    "tickers": msgspec.msgpack.Decoder(list[_LoggedTicker]),
}


def decoder_of(table: str) -> msgspec.msgpack.Decoder[list[Logged]]:
    """Reads rows of a table back from a spool."""
    found: msgspec.msgpack.Decoder[list[Logged]] = _DECODERS[table]
    return found


def logged_rows(record: object, offset: int) -> Iterator[tuple[Bucket, int, Logged]]:
    """Bucket, moment and row of everything that a record becomes; nothing of punctuation, of a ticker said again."""
    if isinstance(record, TradeBatch):
        venue, market, symbol = record.venue, record.market, record.symbol
        for nth, trade in enumerate(record.trades, 1):
            at_ns = trade.exchange_ns
            row = Logged(offset, nth, trade, record.received_ns, record.line)
            yield bucket_of("trades", venue, market, symbol, at_ns), at_ns, row
    elif isinstance(record, Bar):
        bucket = bucket_of(table_of(record.size_ns), record.venue, record.market, record.symbol, record.start_ns)
        yield bucket, record.start_ns, Logged(offset, 1, record)
    elif isinstance(record, Gap):
        bucket = bucket_of("gaps", record.venue, record.market, record.symbol, record.from_ns)
        yield bucket, record.from_ns, Logged(offset, 1, record)
    elif isinstance(record, Ticker) and record.state == "said":
        bucket = bucket_of("tickers", record.venue, record.market, record.symbol, record.received_ns)
        yield bucket, record.received_ns, Logged(offset, 1, record)


def item_of(record: Record, *, extras: bool = False) -> Item:
    """The row of any record. `extras`: see `rows.trade_item`."""
    if isinstance(record, Trade):
        return trade_item(record, extras=extras)
    if isinstance(record, Bar):
        return bar_item(record)
    return gap_item(record) if isinstance(record, Gap) else ticker_item(record)


def stored_record(bucket: Bucket, row: Logged) -> Stored:
    """The row as a store writes it."""
    if isinstance(row.record, Trade):
        market: Market = bucket.market  # type: ignore[assignment]  # it came from a record
        return TradeBatch(bucket.venue, market, bucket.symbol, row.received_ns, row.line, [row.record])
    found: Bar | Ticker | Gap = row.record
    return found


class Expected(NamedTuple):
    """What a store must have of a bucket, by identity; `ignored` are identities of which something is on its way."""

    items: dict[str, Item]
    rows: dict[str, Logged]
    ignored: frozenset[str]


def rows_and_items(rows: Sequence[Logged], *, extras: bool = False) -> list[tuple[Logged, Item]]:
    """Each row with what is compared of it."""
    return [(row, item_of(row.record, extras=extras)) for row in rows]


def last_of_each(rows: Sequence[tuple[Logged, Item]], settled_before: int, recent: Collection[str]) -> Expected:
    """For a database, where a row that comes again replaces the first."""
    items: dict[str, Item] = {}
    kept: dict[str, Logged] = {}
    ignored = set(recent)
    for row, item in rows:
        items[item.identity], kept[item.identity] = item, row
        if row.offset >= settled_before:
            ignored.add(item.identity)
    return Expected(items, kept, frozenset(ignored))


def each_once(rows: Sequence[tuple[Logged, Item]], settled_before: int, recent: Collection[str]) -> Expected:
    """For streams: a trade's first copy is an entry, and so is every record of anything else."""
    items: dict[str, Item] = {}
    kept: dict[str, Logged] = {}
    ignored = set(recent)
    for row, item in rows:
        if not isinstance(row.record, Trade):
            item = item._replace(identity=place_of(row.offset, row.nth))
        if item.identity not in items:
            items[item.identity], kept[item.identity] = item, row
            if row.offset >= settled_before:
                ignored.add(item.identity)
    return Expected(items, kept, frozenset(ignored))


def any_version(found: Iterable[Item], rows: Sequence[tuple[Logged, Item]], expected: Expected) -> Iterator[Item]:
    """What a fallback has, each row that the log ever had in that form taken for its last one.

    It was written for a while only, and does not see later revisions.
    """
    versions = {(item.identity, item.values) for _, item in rows}
    for item in found:
        yield expected.items[item.identity] if (item.identity, item.values) in versions else item


def place_of(offset: int, nth: int) -> str:
    """A row's place in the log, by which entries that are no trades are known."""
    return f"{offset}-{nth}"
