"""QuestDB: exact tables, made before the first row, and idempotent writes. Blocks; call it from a thread.

Prices and sums are DECIMAL wide enough that nothing the venues send is rounded; the server refuses what would not
fit. Writing the same row again changes nothing (dedup keys: the timestamp and the whole identity), so a batch may
be sent again after a crash. What it does not do: retry, batch, or decide what to write.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from questdb import QuestDBError, Sender, TimestampNanos

from sofia_streams.errors import BadRecord, DependencyDown
from sofia_streams.model import NS_PER_MINUTE, Bar, Ticker, TradeBatch

_IDENTITY = "venue SYMBOL, market SYMBOL, symbol SYMBOL"
_VALUE = "DECIMAL(76, 20)"  # what one venue number can have: 20 digits after the point
_SUM = "DECIMAL(76, 40)"  # products of two of them
_TRADES = f"""(exchange_ns TIMESTAMP_NS, {_IDENTITY}, id_kind SYMBOL, trade_id VARCHAR, price {_VALUE},
    quantity {_VALUE}, taker_side SYMBOL, received_ns TIMESTAMP_NS, line SYMBOL, snapshot BOOLEAN, stale BOOLEAN)
    TIMESTAMP(exchange_ns) PARTITION BY DAY{{ttl}} WAL
    DEDUP UPSERT KEYS(exchange_ns, venue, market, symbol, id_kind, trade_id)"""
_BARS = f"""(start_ns TIMESTAMP_NS, {_IDENTITY}, open {_VALUE}, high {_VALUE}, low {_VALUE}, close {_VALUE},
    volume {_VALUE}, quote_volume {_SUM}, buy_volume {_VALUE}, trade_count LONG, vwap {_SUM},
    first_trade_id VARCHAR, last_trade_id VARCHAR, revision LONG, quality SYMBOL)
    TIMESTAMP(start_ns) PARTITION BY DAY{{ttl}} WAL DEDUP UPSERT KEYS(start_ns, venue, market, symbol)"""
_TICKER_VALUES = (
    *("last", "bid", "bid_quantity", "ask", "ask_quantity"),
    *("open_24h", "high_24h", "low_24h", "volume_24h", "quote_volume_24h"),
)
_TICKERS = f"""(received_ns TIMESTAMP_NS, {_IDENTITY}, exchange_ns TIMESTAMP_NS,
    {", ".join(f"{name} {_SUM}" for name in _TICKER_VALUES)})
    TIMESTAMP(received_ns) PARTITION BY DAY{{ttl}} WAL DEDUP UPSERT KEYS(received_ns, venue, market, symbol)"""
SCHEMA = {"trades": _TRADES, "bars_1s": _BARS, "bars_1m": _BARS, "tickers": _TICKERS}
_REFUSED = '"code":"invalid"'
_TIMEOUT_S = 10
_TIMEOUT_MS = 10_000


class QuestDb:
    """One QuestDB over HTTP. `prefix` goes before every table name: the label of a namespace."""

    def __init__(self, address: str, prefix: str = "") -> None:
        self._address, self._prefix = address, prefix
        self._sender: Sender | None = None

    def create_tables(self, retention_days: dict[str, int]) -> None:
        """Make the tables that are missing. `retention_days` by table; 0 keeps for ever. Raises DependencyDown."""
        for name, columns in SCHEMA.items():
            days = retention_days.get(name, 0)
            ttl = f" TTL {days} DAYS" if days else ""
            self.query(f"CREATE TABLE IF NOT EXISTS '{self.table(name)}' {columns.format(ttl=ttl)}")

    def table(self, name: str) -> str:
        """The name of a table with the prefix."""
        return f"{self._prefix}{name}"

    def query(self, sql: str) -> list[list[Any]]:
        """The rows of a query; [] for a statement. Raises DependencyDown, ValueError for SQL the server refuses."""
        connection = http.client.HTTPConnection(self._address, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", f"/exec?query={quote(sql)}")
            answer = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DependencyDown(f"questdb: expected an answer at {self._address}, found {error!r}") from error
        finally:
            connection.close()
        if "error" in answer:
            raise ValueError(f"questdb refused {sql[:200]!r}: {answer['error']}")
        rows: list[list[Any]] = answer.get("dataset", [])
        return rows

    def count(self, name: str) -> int:
        """How many rows are visible now. A write is visible some milliseconds after its ack."""
        return int(self.query(f"SELECT count() FROM '{self.table(name)}'")[0][0])  # noqa: S608  our own name

    def drop_tables(self) -> None:
        """Drop the tables of this prefix. Raises ValueError where there is none: the live tables are never dropped."""
        if not self._prefix:
            raise ValueError("expected a prefix, found the live tables, which are never dropped")
        for name in SCHEMA:
            self.query(f"DROP TABLE IF EXISTS '{self.table(name)}'")

    def write(self, records: Sequence[TradeBatch | Bar | Ticker]) -> int:
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

    def _add(self, sender: Sender, record: TradeBatch | Bar | Ticker) -> int:
        if isinstance(record, TradeBatch):
            self._add_trades(sender, record)
            return len(record.trades)
        if isinstance(record, Bar):
            self._add_bar(sender, record)
        else:
            self._add_ticker(sender, record)
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
                },
                at=TimestampNanos(trade.exchange_ns),
            )

    def _add_bar(self, sender: Sender, bar: Bar) -> None:
        names = ("open", "high", "low", "close", "volume", "quote_volume", "buy_volume", "trade_count", "vwap")
        more = ("first_trade_id", "last_trade_id", "revision")
        sender.row(
            self.table("bars_1m" if bar.size_ns == NS_PER_MINUTE else "bars_1s"),
            symbols={"venue": bar.venue, "market": bar.market, "symbol": bar.symbol, "quality": bar.quality},
            columns={name: getattr(bar, name) for name in (*names, *more)},
            at=TimestampNanos(bar.start_ns),
        )

    def _add_ticker(self, sender: Sender, ticker: Ticker) -> None:
        values: dict[str, Decimal | TimestampNanos] = {
            name: value for name in _TICKER_VALUES if (value := getattr(ticker, name)) is not None
        }
        if ticker.exchange_ns is not None:
            values["exchange_ns"] = TimestampNanos(ticker.exchange_ns)
        sender.row(
            self.table("tickers"),
            symbols={"venue": ticker.venue, "market": ticker.market, "symbol": ticker.symbol},
            columns=values,
            at=TimestampNanos(ticker.received_ns),
        )
