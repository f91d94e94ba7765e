"""The databases' side of a comparison: which hours a database has, their rows, and writing rows again. Blocks.

`Database` is what any of them must offer; QuestDB's is here. What it does not do: decide what should be there.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from sofia_streams.errors import DependencyDown
from sofia_streams.model import NS_PER_DAY, NS_PER_HOUR, NS_PER_SECOND
from sofia_streams.ops.verify.log import Span
from sofia_streams.ops.verify.rows import FIELDS, TABLES, TRADE_EXTRAS, Bucket, Item, item_from_texts
from sofia_streams.stores.base import TABLES as STORED
from sofia_streams.stores.base import Record
from sofia_streams.stores.questdb import QuestDb

_ROWS_A_PAGE = 50_000
_APPLIED_S_MAX, _POLL_S = 60.0, 0.05
_IDENTITY = ("venue", "market", "symbol")
_NUMBERS = ("value", "sum")
_INT64 = 2**63


class Database(Protocol):
    """A database with the tables of the writer; a row written again replaces the one that is there."""

    name: str
    worker: str
    """Who writes it: what that worker has not committed is not asked for."""
    holds_all: bool
    """Whether it must have every row of the log (a fallback has only what the primary missed)."""
    on_surplus: str
    """What can be done about rows that the log does not have."""

    has_extras: bool
    """Whether its trades have TRADE_EXTRAS; known after `hours`."""

    def settle(self) -> None:
        """Wait until everything acknowledged is visible. Raises DependencyDown."""
        ...

    def hours(self, span: Span) -> dict[Bucket, int]:
        """Rows by bucket. Raises DependencyDown."""
        ...

    def expired(self, buckets: Iterable[Bucket]) -> set[Bucket]:
        """Those whose rows retention may have dropped."""
        ...

    def items(self, bucket: Bucket, count: int) -> Iterator[Item]:
        """The rows of a bucket that has about `count`. Raises DependencyDown."""
        ...

    def write(self, records: Sequence[Record]) -> int:
        """Write rows again; how many. Raises DependencyDown, BadRecord."""
        ...

    def close(self) -> None:
        """Give up the connection."""
        ...


class QuestDbSide:
    """QuestDB. `retention_days` by table: what is older may be gone."""

    name, worker, holds_all = "questdb", "timeseries_writer", True
    on_surplus = (
        "QuestDB deletes no rows: where the log has the whole day, drop its partition (ALTER TABLE … DROP PARTITION) "
        "and run sofia verify --repair; or stop the writer and copy the table without them, with the clauses that SHOW "
        "CREATE TABLE shows (CREATE TABLE … AS (SELECT …) TIMESTAMP(…) PARTITION BY DAY WAL DEDUP UPSERT KEYS(…)): "
        "without DEDUP a row written again is doubled"
    )

    def __init__(self, store: QuestDb, retention_days: dict[str, int]) -> None:
        self._store, self._days, self.has_extras = store, retention_days, False
        self.write, self.close = store.write, store.close

    def settle(self) -> None:
        """Wait until everything acknowledged is visible. Raises DependencyDown, also for a suspended table."""
        deadline_s = time.monotonic() + _APPLIED_S_MAX
        while True:
            suspended = self._store.suspended()
            if suspended:
                raise DependencyDown(
                    f"questdb: expected tables that take rows, found {', '.join(suspended)} suspended. See its log, "
                    f"then: ALTER TABLE {suspended[0]} RESUME WAL"
                )
            waiting = self._store.query("SELECT name FROM wal_tables() WHERE sequencerTxn != writerTxn")
            if not {row[0] for row in waiting} & {self._store.table(name) for name in TABLES}:
                return
            if time.monotonic() > deadline_s:
                raise DependencyDown(
                    f"questdb: expected its rows to be visible within {_APPLIED_S_MAX:.0f} s; see its log"
                )
            time.sleep(_POLL_S)

    def hours(self, span: Span) -> dict[Bucket, int]:
        """Rows by bucket; none for a table that is not there. Raises DependencyDown."""
        there = {row[0] for row in self._store.query("SELECT table_name FROM tables()")}
        trades = self._store.table("trades")
        if trades in there:
            self.has_extras = {*TRADE_EXTRAS} <= {row[0] for row in self._store.query(f"SHOW COLUMNS FROM '{trades}'")}
        found: dict[Bucket, int] = {}
        for table in TABLES:
            if self._store.table(table) in there:
                at = STORED[table].time
                sql = (
                    f"SELECT {', '.join(_IDENTITY)}, cast(timestamp_floor('h', {at}) AS long), count() "  # noqa: S608
                    f"FROM '{self._store.table(table)}' WHERE {_within(at, span)}"
                )
                for *labels, hour_ns, count in self._store.query(sql):
                    venue, market, symbol = (text or "" for text in labels)  # NULL: nobody of ours wrote it
                    bucket = Bucket(table, venue, market, symbol, hour_ns)
                    found[bucket] = found.get(bucket, 0) + count
        return found

    def expired(self, buckets: Iterable[Bucket]) -> set[Bucket]:
        """Those whose rows retention may have dropped: by day, counted from the newest row."""
        chosen = list(buckets)
        newest = {table: max((one.hour_ns for one in chosen if one.table == table), default=0) for table in TABLES}
        kept_ns = {table: self._days[table] * NS_PER_DAY for table in TABLES if self._days.get(table, 0)}
        return {one for one in chosen if one.table in kept_ns and one.hour_ns < newest[one.table] - kept_ns[one.table]}

    def items(self, bucket: Bucket, count: int) -> Iterator[Item]:
        """The rows of a bucket, in slices of time that hold about a page each. Raises DependencyDown."""
        table, at = bucket.table, STORED[bucket.table].time
        names = selected_names(table, extras=self.has_extras)
        instrument = " AND ".join(_equals(name, getattr(bucket, name)) for name in _IDENTITY)
        for start_ns, end_ns in slices(bucket, count):
            sql = (
                f"SELECT {', '.join(_selected(table, name) for name in names)} FROM '{self._store.table(table)}' "  # noqa: S608  our names
                f"WHERE {_within(at, Span(start_ns, end_ns))} AND {instrument}"
            )
            for row in self._store.query(sql):
                yield item_from_texts(table, dict(zip(names, map(_text, row), strict=True)))


def slices(bucket: Bucket, count: int) -> Iterator[tuple[int, int]]:
    """The hour of a bucket of about `count` rows, in stretches of time that hold about a page each."""
    step_ns = -(-NS_PER_HOUR // (count // _ROWS_A_PAGE + 1))
    for start_ns in range(bucket.hour_ns, bucket.hour_ns + NS_PER_HOUR, step_ns):
        yield start_ns, min(start_ns + step_ns, bucket.hour_ns + NS_PER_HOUR)


def selected_names(table: str, *, extras: bool = True) -> list[str]:
    """The columns from which a row is made: those that say which row it is, and its values."""
    own = [name for name in STORED[table].key if name not in _IDENTITY]
    left_out = {*own} if extras else {*own, *TRADE_EXTRAS}
    return [*own, *(name for name in FIELDS[table] if name not in left_out)]


def _selected(table: str, name: str) -> str:
    """A column so that no digit is lost in JSON."""
    kind = STORED[table].columns[name]
    cast = "long" if kind == "time" else "varchar" if kind in _NUMBERS else ""
    return f"cast({name} AS {cast}) {name}" if cast else name


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else str(value).lower()


def _within(column: str, span: Span) -> str:
    """A condition on a time column; one that holds for all where there is no bound, or none that int64 ns hold."""
    parts = [] if span.from_ns is None else [f"{column} >= '{_moment(span.from_ns)}'"]
    if span.until_ns is not None and span.until_ns < _INT64:
        parts.append(f"{column} < '{_moment(span.until_ns)}'")
    return " AND ".join(parts) or f"{column} IS NOT NULL"


def _moment(at_ns: int) -> str:
    seconds, rest_ns = divmod(at_ns, NS_PER_SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns:09d}Z"


def _equals(column: str, text: str) -> str:
    """A condition on a label; no text: also where it is NULL."""
    same = f"{column} = {_quoted(text)}"
    return same if text else f"({same} OR {column} IS NULL)"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
