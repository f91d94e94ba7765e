"""PostgreSQL, with TimescaleDB where its extension is there: the tables of QuestDB, exact, written by upsert. Blocks.

Rows go by binary COPY into a stage and from there into the table, in one transaction a write; a row of a higher
revision is never replaced by one of a lower. A write whose end is not known (a connection lost after COMMIT was sent)
is sent again: its rows are there once. What it does not do: retry, batch, or decide what to write.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec
import psycopg
from psycopg import errors

from sofia_streams.errors import BadRecord, DependencyDown, QueryRefused
from sofia_streams.model import NS_PER_DAY, NS_PER_MINUTE, NS_PER_SECOND, Bar, Gap, Ticker, Trade, TradeBatch
from sofia_streams.stores import timescale
from sofia_streams.stores.base import TABLES, Flaw, Record, rows_of, table_of
from sofia_streams.stores.columns import Kind, Table, Value
from sofia_streams.stores.paper_rows import PAPER_TABLES, paper_record
from sofia_streams.stores.scored_rows import SCORED_TABLES, scored_record

_TYPES: dict[Kind, str] = {
    "label": "text", "text": "text", "value": "numeric", "sum": "numeric",
    "number": "float8", "time": "int8", "count": "int8", "flag": "bool",
}
_STORED = "stored_ns"
"""When a row was written, by the writer's clock; no column of QuestDB."""
_PAGE_ROWS = 5_000
_NOT_OURS = (errors.UndefinedColumn, errors.DatatypeMismatch, errors.InvalidColumnReference)
_REFUSED = (psycopg.DataError, psycopg.IntegrityError, OverflowError, *_NOT_OURS)
_LIMITS: dict[str, Any] = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,  # ms; a server that is cut off is given up
    "options": "-c statement_timeout=30000 -c client_min_messages=warning",
    "application_name": "sofia",
}


class Postgres:
    """One database by its URL. `prefix` goes before every table name: the label of a namespace."""

    name = "postgres"

    def __init__(self, url: str, prefix: str = "") -> None:
        self._url, self._prefix = url, prefix
        parts = urlsplit(url)
        self._address = f"{parts.hostname}:{parts.port or 5432}"
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._staged: set[str] = set()

    def create_tables(self, retention_days: dict[str, int]) -> list[Flaw]:
        """Make tables and columns that are missing, and delete what is older than `retention_days` (0: for ever).

        What is wrong with the tables that are there, with the cure. Raises DependencyDown.
        """
        wrong: list[Flaw] = []
        has_timescale = timescale.is_there(self.query)
        for name, table in TABLES.items():
            quoted = self._quoted(name)
            columns = [f"{column} {_TYPES[kind]}" for column, kind in table.columns.items()]
            self.query(
                f"CREATE TABLE IF NOT EXISTS {quoted} ({', '.join(columns)}, {_STORED} int8 NOT NULL, "
                f"PRIMARY KEY ({', '.join(table.key)}))"
            )
            wrong += self._complete(name)
            days = retention_days.get(name, 0)
            if has_timescale:
                timescale.make_hypertable(self.query, self.table(name), table, days)
            elif days:
                before = time.time_ns() - days * NS_PER_DAY
                self.query(f"DELETE FROM {quoted} WHERE {table.time} < %s", (before,))  # noqa: S608  our own names
        return wrong

    def _complete(self, name: str) -> list[Flaw]:
        rows = self.query(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            (self._quoted(name),),
        )
        found = {str(column): str(kind) for column, kind in rows}
        names = {"int8": "bigint", "bool": "boolean", "float8": "double precision"}
        wrong = []
        for column, kind in TABLES[name].columns.items():
            wanted = names.get(_TYPES[kind], _TYPES[kind])
            if column not in found:
                self.query(f"ALTER TABLE {self._quoted(name)} ADD COLUMN IF NOT EXISTS {column} {wanted}")
            elif found[column] != wanted:
                text = (
                    f"postgres: expected column {column} of {self.table(name)} as {wanted}, found {found[column]}; "
                    f"rows that do not fit are put into `quarantine`. Cure: ALTER TABLE {self.table(name)} "
                    f"ALTER COLUMN {column} TYPE {wanted}, or rename the table and restart the writer."
                )
                wrong.append(Flaw(text))
        return wrong

    def table(self, name: str) -> str:
        """The name of a table with the prefix."""
        return f"{self._prefix}{name}"

    def query(self, sql: str, values: Sequence[Value] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query; [] for a statement. Raises DependencyDown, QueryRefused."""
        try:
            with self._connected().transaction(), self._connected().cursor() as cursor:
                cursor.execute(sql, values or None)
                return cursor.fetchall() if cursor.description else []
        except (psycopg.ProgrammingError, psycopg.DataError) as error:
            is_missing = isinstance(error, errors.UndefinedTable)
            raise QueryRefused(self.name, self._address, sql, str(error), is_missing=is_missing) from error
        except psycopg.Error as error:
            raise self._down(error) from error

    def count(self, name: str) -> int:
        """How many rows there are. Raises DependencyDown."""
        return int(self.query(f"SELECT count(*) FROM {self._quoted(name)}")[0][0])  # noqa: S608  our own name

    def drop_tables(self) -> None:
        """Drop the tables of this prefix. Raises ValueError where there is none: the live tables are never dropped."""
        if not self._prefix:
            raise ValueError("expected a prefix, found the live tables, which are never dropped")
        for name in TABLES:
            self.query(f"DROP TABLE IF EXISTS {self._quoted(name)}")

    def write(self, records: Sequence[Record]) -> int:
        """Write all rows of these records in one transaction, committed when this returns; how many.

        Raises DependencyDown (send the same records again; also where the end of the transaction is not known),
        BadRecord where the server refuses a row.
        """
        try:
            with self._connected().transaction(), self._connected().cursor() as cursor:
                for name, rows in _by_table(records).items():
                    self._upsert(cursor, name, list(rows.values()))
        except _REFUSED as error:
            hint = " Restart the writer: it adds missing columns and names wrong ones." * isinstance(error, _NOT_OURS)
            raise BadRecord(f"postgres refused a row: {error}.{hint}") from error
        except psycopg.Error as error:
            raise self._down(error) from error
        return sum(len(record.trades) if isinstance(record, TradeBatch) else 1 for record in records)

    def stored_between(self, name: str, from_ns: int, until_ns: int) -> Iterator[Record]:
        """What was last written into a table within a time, ends included, as records. Raises DependencyDown.

        A trade's `order` is not kept; it is 0.
        """
        columns = ", ".join(TABLES[name].columns)
        sql = f"SELECT {columns} FROM {self._quoted(name)} WHERE {_STORED} BETWEEN %s AND %s"  # noqa: S608
        try:
            with self._connected().transaction(), self._connected().cursor("stored") as cursor:
                cursor.itersize = _PAGE_ROWS
                cursor.execute(sql, (from_ns, until_ns))
                named = (dict(zip(TABLES[name].columns, row, strict=True)) for row in cursor)
                yield from _records(name, named)
        except psycopg.Error as error:
            raise self._down(error) from error

    def close(self) -> None:
        """Give up the connection; a transaction that is under way is undone."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._staged.clear()

    def _connected(self) -> psycopg.Connection[tuple[Any, ...]]:
        if self._connection is None or self._connection.closed:
            self._staged.clear()
            self._connection = psycopg.connect(self._url, autocommit=True, **_LIMITS)
        return self._connection

    def _down(self, error: psycopg.Error) -> DependencyDown:
        self.close()
        return DependencyDown(f"postgres: expected an answer at {self._address}, found {error}. Is it up?")

    def _quoted(self, name: str) -> str:
        return f'"{self.table(name)}"'

    def _upsert(self, cursor: psycopg.Cursor[tuple[Any, ...]], name: str, rows: list[tuple[Value, ...]]) -> None:
        table, stage = TABLES[name], f'pg_temp."stage_{name}"'
        columns = ", ".join(table.columns)
        if name not in self._staged:
            kinds = ", ".join(f"{column} {_TYPES[kind]}" for column, kind in table.columns.items())
            _run(cursor, f'CREATE TEMP TABLE IF NOT EXISTS "stage_{name}" ({kinds}) ON COMMIT DELETE ROWS')
        with cursor.copy(f"COPY {stage} ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types([_TYPES[kind] for kind in table.columns.values()])
            for row in rows:
                copy.write_row(row)
        _run(cursor, _upsert_sql(self._quoted(name), stage, table), (time.time_ns(),))
        self._staged.add(name)


def _run(cursor: psycopg.Cursor[tuple[Any, ...]], sql: str, values: Sequence[Value] | None = None) -> None:
    cursor.execute(sql, values)


def _upsert_sql(quoted: str, stage: str, table: Table) -> str:
    columns = ", ".join(table.columns)
    changed = ", ".join(f"{name} = excluded.{name}" for name in (*table.columns, _STORED) if name not in table.key)
    only = f" WHERE excluded.{table.newer} >= stored.{table.newer}" if table.newer else ""
    return (
        f"INSERT INTO {quoted} AS stored ({columns}, {_STORED}) SELECT {columns}, %s FROM {stage} "  # noqa: S608
        f"ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {changed}{only}"
    )


def _by_table(records: Sequence[Record]) -> dict[str, dict[tuple[Value, ...], tuple[Value, ...]]]:
    """The rows by table and key, of each key the newest: one statement may touch a row only once."""
    found: dict[str, dict[tuple[Value, ...], tuple[Value, ...]]] = {}
    places = {name: [list(table.columns).index(column) for column in table.key] for name, table in TABLES.items()}
    for record in records:
        name = table_of(record)
        rows, key_at, newer = found.setdefault(name, {}), places[name], TABLES[name].newer
        newer_at = list(TABLES[name].columns).index(newer) if newer else -1
        for row in rows_of(record):
            key = tuple([row[at] for at in key_at])
            if newer and key in rows and cast(int, row[newer_at]) < cast(int, rows[key][newer_at]):
                continue
            rows[key] = row
    return {name: rows for name, rows in found.items() if rows}


def _records(name: str, rows: Iterator[dict[str, Any]]) -> Iterator[Record]:
    if name == "trades":
        yield from _batches(rows)
    elif name == "tickers":
        yield from (msgspec.convert(row, Ticker) for row in rows)
    elif name == "gaps":
        yield from (msgspec.convert(row, Gap) for row in rows)
    elif name in SCORED_TABLES:
        yield from (scored_record(name, row) for row in rows)
    elif name in PAPER_TABLES:
        yield from (paper_record(name, row) for row in rows)
    else:
        size_ns = NS_PER_MINUTE if name == "bars_1m" else NS_PER_SECOND
        yield from (msgspec.convert({**row, "size_ns": size_ns}, Bar) for row in rows)


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[TradeBatch]:
    def head(row: dict[str, Any]) -> tuple[Any, ...]:
        return row["venue"], row["market"], row["symbol"], row["received_ns"], row["line"]

    for (venue, market, symbol, received_ns, line), same in groupby(rows, head):
        trades = [
            Trade(
                row["trade_id"], row["price"], row["quantity"], row["taker_side"], row["exchange_ns"], 0,
                row["id_kind"], row["snapshot"], row["stale"], row["id_count"], row["backfilled"],
            )
            for row in same
        ]  # fmt: skip
        yield TradeBatch(venue, market, symbol, received_ns, line, trades)
