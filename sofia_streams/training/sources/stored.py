"""Bars from QuestDB: what features were computed from, and they themselves, where that is written down (`features_1m`);
else last revisions.

Reads in stretches, so that no answer is large. What it does not do: check bars (`bars`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sofia_streams.errors import ConfigError, QueryRefused
from sofia_streams.model import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND
from sofia_streams.scored import Features
from sofia_streams.stores.questdb import QuestDb
from sofia_streams.stores.scored_rows import SCORED_TABLES, scored_record
from sofia_streams.training.sources.bars import Row
from sofia_streams.training.sources.records import joined, row_of

DAYS = {NS_PER_SECOND: 1, NS_PER_MINUTE: 30}
"""So many days up to the newest bar, where nothing else is asked for."""
_STRETCH_NS = {NS_PER_SECOND: NS_PER_HOUR, NS_PER_MINUTE: NS_PER_DAY}
_BARS = ("start_ns", "symbol", "venue", "quality", "open", "high", "low", "close", "volume", "quote_volume",
         "buy_volume", "trade_count")  # fmt: skip
_DECIMALS = {"open", "high", "low", "close", "volume", "quote_volume", "buy_volume"}


def read_stored(store: QuestDb, size: str, size_ns: int, days: int | None) -> list[Row]:
    """Bars of the newest `days`. Raises ConfigError where there are none, DependencyDown."""
    known = {(row.symbol, row.start_ns): row for row in _bars(store, f"bars_{size}", size_ns, days)}
    known |= {(row.symbol, row.start_ns): row for row in _features(store, f"features_{size}", size_ns, days)}
    if not known:
        raise ConfigError(
            f"training: expected bars in bars_{size} of QuestDB, found none. Let `sofia up` run for a while, or give "
            "--data: a Parquet file, klines, or generated."
        )
    begin_ns = max(row.start_ns for row in known.values()) - (days or DAYS[size_ns]) * NS_PER_DAY
    return [row for row in known.values() if row.start_ns >= begin_ns]  # one table may end earlier than the other


def _bars(store: QuestDb, table: str, size_ns: int, days: int | None) -> list[Row]:
    return joined([*_records(store, table, _BARS, size_ns, days)])


def _features(store: QuestDb, table: str, size_ns: int, days: int | None) -> Iterator[Row]:
    for where, record in _records(store, table, tuple(SCORED_TABLES[table].columns), size_ns, days):
        row, found = row_of(where, record, {}), scored_record(table, record)
        yield row._replace(written=found.sets) if isinstance(found, Features) else row


def _records(
    store: QuestDb, table: str, columns: tuple[str, ...], size_ns: int, days: int | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """By column, stretch after stretch; nothing where the table is not there."""
    name = store.table(table)
    try:
        ((first_ns, last_ns),) = store.query(
            f"SELECT cast(min(start_ns) as long), cast(max(start_ns) as long) FROM '{name}'"  # noqa: S608  our own
        )
    except QueryRefused:
        return
    if first_ns is None or last_ns is None:
        return
    from_ns = max(int(first_ns), int(last_ns) - (days or DAYS[size_ns]) * NS_PER_DAY)
    decimals = table.startswith("bars_")
    chosen = ", ".join(
        f"cast({one} as varchar)" if decimals and one in _DECIMALS else f"cast({one} as long)" if one == "start_ns"
        else one for one in columns
    )  # fmt: skip
    while from_ns <= int(last_ns):
        until_ns = from_ns + _STRETCH_NS[size_ns]
        stretch = f"start_ns >= cast({from_ns} as timestamp_ns) AND start_ns < cast({until_ns} as timestamp_ns)"
        for row in store.query(f"SELECT {chosen} FROM '{name}' WHERE {stretch}"):  # noqa: S608  our own names
            record = dict(zip(columns, row, strict=True))
            yield f"{name} at {record['start_ns']} ns", record
        from_ns = until_ns
