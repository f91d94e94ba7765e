"""Bars from QuestDB: what features were computed from, and they themselves, where that is written down (`features_1m`);
else last revisions.

Reads in stretches, and hands on only rows: neither an answer nor what waits to be joined is large. What it does not do:
check bars (`bars`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sofia_streams.errors import ConfigError, QueryRefused
from sofia_streams.model import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND
from sofia_streams.stores.questdb import QuestDb
from sofia_streams.stores.scored_rows import SCORED_TABLES
from sofia_streams.training.sources.bars import Row
from sofia_streams.training.sources.records import WRITTEN, joined, row_of, venue_of, written

DAYS = {NS_PER_SECOND: 1, NS_PER_MINUTE: 30}
"""So many days up to the newest bar, where nothing else is asked for."""
_STRETCH_NS = {NS_PER_SECOND: NS_PER_HOUR // 4, NS_PER_MINUTE: NS_PER_DAY // 2}
_BARS = ("start_ns", "symbol", "venue", "quality", "open", "high", "low", "close", "volume", "quote_volume",
         "buy_volume", "trade_count")  # fmt: skip
_DECIMALS = {"open", "high", "low", "close", "volume", "quote_volume", "buy_volume"}


def read_stored(store: QuestDb, size: str, size_ns: int, days: int | None) -> Iterator[Row]:
    """Bars of the newest `days`, by time; only a stretch of them is held at once.

    Raises ConfigError where there are none; DependencyDown, and ConfigError for a bar that cannot be, also later.
    """
    days_ns = (days or DAYS[size_ns]) * NS_PER_DAY
    bars, features = _Span.of(store, f"bars_{size}", days_ns), _Span.of(store, f"features_{size}", days_ns)
    found = [one for one in (bars, features) if one is not None]
    if not found:
        raise ConfigError(
            f"bars: expected bars in bars_{size} of QuestDB, found none. Let `sofia up` run for a while, or give "
            "--data: a Parquet file, klines, or generated."
        )
    begin_ns = max(one.last_ns for one in found) - days_ns  # one table may end earlier than the other
    chosen = {} if bars is None else _chosen(store, bars)
    return _rows(store, [one._replace(first_ns=max(one.first_ns, begin_ns)) for one in found], size_ns, chosen)


class _Span(NamedTuple):
    """What a table has of the newest days: its name here and in the database, first and last start."""

    table: str
    name: str
    first_ns: int
    last_ns: int

    @classmethod
    def of(cls, store: QuestDb, table: str, days_ns: int) -> _Span | None:
        """None where the table is not there, or empty."""
        name = store.table(table)
        try:
            ((first_ns, last_ns),) = store.query(
                f"SELECT cast(min(start_ns) as long), cast(max(start_ns) as long) FROM '{name}'"  # noqa: S608  our own
            )
        except QueryRefused:
            return None
        if first_ns is None or last_ns is None:
            return None
        return cls(table, name, max(int(first_ns), int(last_ns) - days_ns), int(last_ns))


def _chosen(store: QuestDb, bars: _Span) -> dict[str, str]:
    """By symbol, the venue whose bars are taken: over all of them, not stretch by stretch."""
    counts: dict[str, dict[str, int]] = {}
    for symbol, venue, count in store.query(
        f"SELECT symbol, venue, count() FROM '{bars.name}' "  # noqa: S608  our own names
        f"WHERE start_ns >= cast({bars.first_ns} as timestamp_ns) GROUP BY symbol, venue"
    ):
        counts.setdefault(symbol, {})[venue] = int(count)
    return {symbol: venue_of(found) for symbol, found in counts.items()}


def _rows(store: QuestDb, spans: Sequence[_Span], size_ns: int, chosen: Mapping[str, str]) -> Iterator[Row]:
    """Stretch after stretch: bars, and what is known of features in their place."""
    from_ns = min(one.first_ns for one in spans)
    last_ns = max(one.last_ns for one in spans)
    while from_ns <= last_ns:
        until_ns = from_ns + _STRETCH_NS[size_ns]
        known: dict[tuple[int, str], Row] = {}
        for one in spans:  # those of features last
            records = _records(store, one, max(from_ns, one.first_ns), until_ns)
            rows = joined([*records], chosen) if one.table.startswith("bars_") else _features(records, size_ns)
            known |= {(row.start_ns, row.symbol): row for row in rows}
        yield from (known.pop(key) for key in sorted(known))
        from_ns = until_ns


def _features(records: Iterable[tuple[str, dict[str, Any]]], size_ns: int) -> Iterator[Row]:
    for where, record in records:
        yield row_of(where, record | {WRITTEN: written(size_ns, record)}, {})


def _records(store: QuestDb, span: _Span, from_ns: int, until_ns: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """By column, of one stretch."""
    is_bars = span.table.startswith("bars_")
    columns = _BARS if is_bars else tuple(SCORED_TABLES[span.table].columns)
    chosen = ", ".join(
        f"cast({one} as varchar)" if is_bars and one in _DECIMALS else f"cast({one} as long)" if one == "start_ns"
        else one for one in columns
    )  # fmt: skip
    stretch = f"start_ns >= cast({from_ns} as timestamp_ns) AND start_ns < cast({until_ns} as timestamp_ns)"
    for row in store.query(f"SELECT {chosen} FROM '{span.name}' WHERE {stretch}"):  # noqa: S608  our own names
        record = dict(zip(columns, row, strict=True))
        yield f"{span.name} at {record['start_ns']} ns", record
