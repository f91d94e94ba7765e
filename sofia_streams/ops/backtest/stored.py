"""Rows of stored trades and quotes: of QuestDB, or of Parquet as `sofia replay --out` and `sofia export` write it.

By time, a stretch of the database at once. What it does not do: make records of them (`tape`), read bars
(`training.sources`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from sofia_streams.errors import ConfigError, QueryRefused
from sofia_streams.model import NS_PER_MINUTE
from sofia_streams.stores.base import TABLES
from sofia_streams.stores.columns import Kind
from sofia_streams.stores.questdb import QuestDb

Row = dict[str, Any]
"""By column, as `stores.base.TABLES` names them: prices and quantities as text, times in ns."""
Name = tuple[str, str, str]
"""Venue, market, symbol."""
STORED = "questdb"
_STRETCH_NS, _BATCH = 10 * NS_PER_MINUTE, 10_000
_COLUMNS = {"is_snapshot": "snapshot", "is_stale": "stale"}
"""Columns of `replay --out` that have other names in the database."""
_MAY_LACK = {"line", "id_count", "backfilled"}
"""What it does not have."""


class Source(Protocol):
    """A place that has `trades` and perhaps `tickers`."""

    name: str

    def span_ns(self) -> tuple[int, int]:
        """Times of the first and the last trade. Raises ConfigError where there is none."""

    def instruments(self, table: str) -> set[Name]:
        """All that a table has; empty where there is no such table."""

    def rows(self, table: str, from_ns: int, until_ns: int) -> Iterator[Row]:
        """By the table's own time, from one to before the other."""


def source_of(place: str, store: QuestDb) -> Source:
    """QuestDB, a file of trades, or a folder that has one. Raises ConfigError."""
    if place == STORED:
        return _Database(store)
    path = Path(place)
    folder, trades = (path.parent, path) if path.is_file() else (path, path / "trades.parquet")
    if not trades.is_file():
        raise ConfigError(
            "--trades: expected questdb, a Parquet file of trades, or a folder with trades.parquet, found "
            f"{place[:200]}. `sofia replay --out FOLDER` and `sofia export trades --out FILE` write them."
        )
    return _Files({"trades": trades, "tickers": folder / "tickers.parquet"})


class _Database:
    def __init__(self, store: QuestDb) -> None:
        self.name, self._store = "QuestDB", store

    def span_ns(self) -> tuple[int, int]:
        found = self._query("SELECT cast(min(exchange_ns) as long), cast(max(exchange_ns) as long) FROM", "trades", "")
        if not found or found[0][0] is None:
            raise ConfigError("--trades: expected trades in QuestDB, found none. Let `sofia up` run for a while.")
        return int(found[0][0]), int(found[0][1])

    def instruments(self, table: str) -> set[Name]:
        found = self._query("SELECT DISTINCT venue, market, symbol FROM", table, "")
        return {(venue, market, symbol) for venue, market, symbol in found}

    def rows(self, table: str, from_ns: int, until_ns: int) -> Iterator[Row]:
        columns, time = TABLES[table].columns, TABLES[table].time
        chosen = ", ".join(_cast(name, kind) for name, kind in columns.items())
        for begin_ns in range(from_ns, until_ns, _STRETCH_NS):
            end_ns = min(begin_ns + _STRETCH_NS, until_ns)
            stretch = f"WHERE {time} >= cast({begin_ns} as timestamp_ns) AND {time} < cast({end_ns} as timestamp_ns)"
            for row in self._query(f"SELECT {chosen} FROM", table, f"{stretch} ORDER BY {time}"):
                yield dict(zip(columns, row, strict=True))

    def _query(self, begin: str, table: str, end: str) -> list[list[Any]]:
        try:
            return self._store.query(f"{begin} '{self._store.table(table)}' {end}")
        except QueryRefused as error:
            if error.is_missing:
                return []
            raise


def _cast(name: str, kind: Kind) -> str:
    as_text = kind in ("value", "sum")
    return f"cast({name} as varchar) {name}" if as_text else f"cast({name} as long) {name}" if kind == "time" else name


class _Files:
    def __init__(self, paths: Mapping[str, Path]) -> None:
        self.name = str(paths["trades"])
        self._paths = {table: path for table, path in paths.items() if path.is_file()}

    def span_ns(self) -> tuple[int, int]:
        times = self._column("trades", "exchange_ns")
        if not times:
            raise ConfigError(f"--trades: expected trades in {self.name}, found none.")
        return min(times), max(times)

    def instruments(self, table: str) -> set[Name]:
        columns = [self._column(table, name) for name in ("venue", "market", "symbol")]
        return {*zip(*columns, strict=True)} if table in self._paths else set()

    def rows(self, table: str, from_ns: int, until_ns: int) -> Iterator[Row]:
        time = TABLES[table].time
        if table in self._paths:
            found = self._table(table, None).sort_by(time)
            for batch in found.to_batches(max_chunksize=_BATCH):
                for row in batch.to_pylist():
                    if from_ns <= row[time] < until_ns:
                        yield {_COLUMNS.get(name, name): value for name, value in row.items()}

    def _column(self, table: str, name: str) -> list[Any]:
        return self._table(table, [name]).column(name).to_pylist() if table in self._paths else []

    def _table(self, table: str, columns: Sequence[str] | None) -> pa.Table:
        path = self._paths[table]
        try:
            names = {_COLUMNS.get(name, name) for name in pq.read_schema(path).names}
            if lacking := [name for name in TABLES[table].columns if name not in names | _MAY_LACK]:
                raise ConfigError(
                    f"--trades: {path}: expected the columns of {table}, found none named {', '.join(lacking)}. "
                    "`sofia replay --out FOLDER` and `sofia export` write such files."
                )
            return pq.read_table(path, columns=columns)
        except (OSError, pa.ArrowException) as error:
            found = str(error)[:200]
            raise ConfigError(f"--trades: {path}: expected a Parquet file of {table}, found {found}.") from error
