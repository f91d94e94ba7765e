"""QuestDB: exact tables, made before the first row, and idempotent writes. Blocks; call it from a thread.

Prices and sums are DECIMAL wide enough that nothing the venues send is rounded; the server refuses what would not
fit. Writing the same row again changes nothing (dedup keys: the timestamp and the whole identity), so a batch may
be sent again after a crash. What it does not do: retry, batch, or decide what to write.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import quote

from questdb import QuestDBError, Sender, TimestampNanos

from sofia_streams.errors import BadRecord, DependencyDown, QueryRefused
from sofia_streams.model import TradeBatch
from sofia_streams.stores.base import TABLES, Flaw, Record, rows_of, table_of
from sofia_streams.stores.columns import Kind

_TYPES: dict[Kind, str] = {
    "label": "SYMBOL",
    "text": "VARCHAR",
    "value": "DECIMAL(76,20)",
    "sum": "DECIMAL(76,40)",
    "number": "DOUBLE",
    "time": "TIMESTAMP_NS",
    "count": "LONG",
    "flag": "BOOLEAN",
}
_REFUSED = '"code":"invalid"'
_TIMEOUT_S = 10
_TIMEOUT_MS = 10_000


class QuestDb:
    """One QuestDB over HTTP. `prefix` goes before every table name: the label of a namespace."""

    name = "questdb"

    def __init__(self, address: str, prefix: str = "") -> None:
        self._address, self._prefix = address, prefix
        self._sender: Sender | None = None

    def create_tables(self, retention_days: dict[str, int]) -> list[Flaw]:
        """Make tables and columns that are missing, and mend DEDUP; what is or was wrong with those that are there.

        `retention_days` by table; 0 keeps for ever. Raises DependencyDown.
        """
        wrong: list[Flaw] = []
        doubling = self.doubling()  # of those that are there already
        for name, table in TABLES.items():
            days = retention_days.get(name, 0)
            columns = ", ".join(f"{column} {_TYPES[kind]}" for column, kind in table.columns.items())
            self.query(
                f"CREATE TABLE IF NOT EXISTS '{self.table(name)}' ({columns}) TIMESTAMP({table.time}) "
                f"PARTITION BY DAY{f' TTL {days} DAYS' if days else ''} WAL DEDUP UPSERT KEYS({', '.join(table.key)})"
            )
            wrong += self._complete(name)
            if self.table(name) in doubling:
                wrong.append(self._deduplicate(name))
        return wrong

    def doubling(self) -> list[str]:
        """Tables of ours that keep a row written again beside the first: DEDUP is off, or has other keys.

        Raises DependencyDown.
        """
        there = {str(row[0]): bool(row[1]) for row in self.query("SELECT table_name, dedup FROM tables()")}
        found = []
        for name, table in TABLES.items():
            own = self.table(name)
            if own in there:
                keys = self.query(f"SELECT \"column\" FROM table_columns('{own}') WHERE upsertKey")  # noqa: S608
                if not there[own] or {str(row[0]) for row in keys} != {*table.key}:
                    found.append(own)
        return found

    def _deduplicate(self, name: str) -> Flaw:
        """Switch DEDUP on for a table that is there; what to say of it."""
        own, keys = self.table(name), ", ".join(TABLES[name].key)
        found = f"questdb: expected {own} with DEDUP UPSERT KEYS({keys}), found DEDUP off or with other keys"
        try:
            self.query(f"ALTER TABLE '{own}' DEDUP ENABLE UPSERT KEYS({keys})")
        except QueryRefused as error:
            return Flaw(
                f"{found}, and it cannot be switched on; a row written again is doubled. Rename the table and restart "
                f"the writer, which makes it anew, then fill it from the log or the renamed table. {error}"
            )
        text = "Rows that were written twice before stay: `sofia verify` names them as surplus."
        return Flaw(f"{found}; it is switched on with these keys now. {text}", is_mended=True)

    def _complete(self, name: str) -> list[Flaw]:
        """Add the columns that an older version did not have; those of another type, with the cure."""
        found = {str(row[0]): str(row[1]) for row in self.query(f"SHOW COLUMNS FROM '{self.table(name)}'")}
        wrong = []
        for column, kind in TABLES[name].columns.items():
            if column not in found:
                self.query(f"ALTER TABLE '{self.table(name)}' ADD COLUMN IF NOT EXISTS {column} {_TYPES[kind]}")
            elif found[column] != _TYPES[kind]:
                text = (
                    f"questdb: expected column {column} of {self.table(name)} as {_TYPES[kind]}, found "
                    f"{found[column]}; rows that do not fit are put into `quarantine`. Rename the table, restart the "
                    "writer, which makes it anew, and fill it from the log or the renamed table."
                )
                wrong.append(Flaw(text))
        return wrong

    def suspended(self) -> list[str]:
        """Tables of ours that take rows but do not apply them: they stay invisible. Raises DependencyDown."""
        ours = {self.table(name) for name in TABLES}
        rows = self.query("SELECT name FROM wal_tables() WHERE suspended")
        return sorted(str(row[0]) for row in rows if row[0] in ours)

    def table(self, name: str) -> str:
        """The name of a table with the prefix."""
        return f"{self._prefix}{name}"

    def query(self, sql: str) -> list[list[Any]]:
        """The rows of a query; [] for a statement. Raises DependencyDown, QueryRefused."""
        connection = http.client.HTTPConnection(self._address, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", f"/exec?query={quote(sql)}")
            answer = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DependencyDown(f"questdb: expected an answer at {self._address}, found {error!r}") from error
        finally:
            connection.close()
        if "error" in answer:
            found = str(answer["error"])
            raise QueryRefused(self.name, self._address, sql, found, is_missing="does not exist" in found)
        rows: list[list[Any]] = answer.get("dataset", [])
        return rows

    def count(self, name: str) -> int:
        """How many rows are visible now. A write is visible some milliseconds after its ack."""
        return int(self.query(f"SELECT count() FROM '{self.table(name)}'")[0][0])  # noqa: S608  our own name

    def drop_tables(self) -> None:
        """Drop the tables of this prefix. Raises ValueError where there is none: the live tables are never dropped."""
        if not self._prefix:
            raise ValueError("expected a prefix, found the live tables, which are never dropped")
        for name in TABLES:
            self.query(f"DROP TABLE IF EXISTS '{self.table(name)}'")

    def write(self, records: Sequence[Record]) -> int:
        """Write all rows of these records and wait for the server's ack; how many rows.

        Raises DependencyDown (send the same records again), BadRecord where the server refuses a row.
        """
        try:
            sender = self._connected()
            rows = sum(self._add(sender, record) for record in records)
            sender.flush()
        except QuestDBError as error:
            self.close()
            if _REFUSED in str(error):
                raise BadRecord(f"questdb refused a row: {error}") from error
            raise DependencyDown(f"questdb: expected an ack from {self._address}, found {error}. Is it up?") from error
        return rows

    def close(self) -> None:
        """Give up the connection; what was not flushed is dropped, and its caller was told."""
        if self._sender is not None:
            self._sender.close(flush=False)
            self._sender = None

    def _connected(self) -> Sender:
        if self._sender is None:
            settings = f"http::addr={self._address};auto_flush=off;protocol_version=3;retry_timeout=0"
            sender = Sender.from_conf(f"{settings};request_timeout={_TIMEOUT_MS};")
            sender.establish()
            self._sender = sender
        return self._sender

    def _add(self, sender: Sender, record: Record) -> int:
        if isinstance(record, TradeBatch):
            self._add_trades(sender, record)
            return len(record.trades)
        self._add_row(sender, record)
        return 1

    def _add_trades(self, sender: Sender, batch: TradeBatch) -> None:
        table = self.table("trades")
        received = TimestampNanos(batch.received_ns)
        same = {"venue": batch.venue, "market": batch.market, "symbol": batch.symbol, "line": batch.line}
        for trade in batch.trades:
            sender.row(
                table,
                symbols={**same, "id_kind": trade.id_kind, "taker_side": trade.taker_side},
                columns={
                    "trade_id": trade.trade_id,
                    "price": trade.price,
                    "quantity": trade.quantity,
                    "received_ns": received,
                    "snapshot": trade.snapshot,
                    "stale": trade.stale,
                    "id_count": trade.count,
                    "backfilled": trade.backfilled,
                },
                at=TimestampNanos(trade.exchange_ns),
            )

    def _add_row(self, sender: Sender, record: Record) -> None:
        """What is not known is left out, which QuestDB takes for NULL (of a flag: for false)."""
        name = table_of(record)
        table, (row,) = TABLES[name], rows_of(record)
        symbols, columns, at_ns = dict[str, Any](), dict[str, Any](), 0
        for (column, kind), value in zip(table.columns.items(), row, strict=True):
            if value is None:
                continue
            if column == table.time:
                at_ns = cast(int, value)
            elif kind == "label":
                symbols[column] = value
            else:
                columns[column] = TimestampNanos(cast(int, value)) if kind == "time" else value
        sender.row(self.table(name), symbols=symbols, columns=columns, at=TimestampNanos(at_ns))
