"""Tables to Parquet, exact: prices and sums as decimal text, times as int64 ns. From QuestDB, or from a replay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sofia_streams.core.bars.windows import SIZES_NS
from sofia_streams.errors import ConfigError
from sofia_streams.files import make_folder, whole
from sofia_streams.model import CONSOLIDATED, Bar, TradeBatch
from sofia_streams.ops.replay.bar_book import BarBook
from sofia_streams.ops.replay.paper_book import PaperBook
from sofia_streams.ops.replay.scored_book import ScoredBook
from sofia_streams.ops.replay.trade_book import TradeBook
from sofia_streams.paper import Paper
from sofia_streams.scored import Scored
from sofia_streams.stores.base import TABLES, rows_of
from sofia_streams.stores.questdb import QuestDb
from sofia_streams.stores.scored_rows import FEATURE_TABLES_NS

_ROWS_A_GROUP = 50_000
_BAR_DECIMALS = ("open", "high", "low", "close", "volume", "quote_volume", "buy_volume", "vwap")
BARS = pa.schema(
    [
        *((name, pa.string()) for name in ("venue", "market", "symbol")),
        ("start_ns", pa.int64()),
        *((name, pa.string()) for name in _BAR_DECIMALS[:7]),
        ("trade_count", pa.int64()),
        ("vwap", pa.string()),
        *((name, pa.string()) for name in ("first_trade_id", "last_trade_id")),
        ("revision", pa.int64()),
        ("quality", pa.string()),
    ]
)
"""Prices and sums as decimal strings: every digit, whatever the venue sends."""
_TYPES = {
    "time": pa.int64(), "count": pa.int64(), "number": pa.float64(), "flag": pa.bool_(),
    **dict.fromkeys(("label", "text", "value", "sum"), pa.string()),
}  # fmt: skip
TRADES = pa.schema(
    [
        *((name, pa.string()) for name in ("venue", "market", "symbol", "id_kind", "trade_id")),
        ("exchange_ns", pa.int64()),
        ("received_ns", pa.int64()),
        *((name, pa.string()) for name in ("price", "quantity", "taker_side")),
        ("is_snapshot", pa.bool_()),
        ("is_stale", pa.bool_()),
    ]
)


def write_replay(
    folder: Path, book: BarBook, trades: TradeBook, scored: ScoredBook, paper: PaperBook | None = None
) -> dict[str, int]:
    """trades, bars_1s and bars_1m of single venues, consolidated_1s and consolidated_1m, features, predictions; if it
    was traded orders, fills and account. Rows by file name.

    `folder` is made; files that are there are replaced, each by a whole one. Raises NotWritten.
    """
    make_folder(folder)
    rows = {"trades.parquet": write_trades(folder / "trades.parquet", trades.batches())}
    for size, size_ns in SIZES_NS.items():
        bars = book.bars(size_ns)
        for name, chosen in (
            (f"bars_{size}.parquet", [bar for bar in bars if bar.venue != CONSOLIDATED]),
            (f"consolidated_{size}.parquet", [bar for bar in bars if bar.venue == CONSOLIDATED]),
        ):
            rows[name] = write_bars(folder / name, chosen)
    features = next(name for name, size_ns in FEATURE_TABLES_NS.items() if size_ns == scored.size_ns)
    said: dict[str, tuple[str, Iterable[Scored | Paper]]] = {
        "features": (features, scored.features()),
        "predictions": ("predictions", scored.predictions()),
    }
    if paper is not None:
        said |= {"orders": ("orders", paper.orders()), "fills": ("fills", paper.fills())}
        said["account"] = ("account", paper.accounts())
    for name, (table, records) in said.items():
        rows[f"{name}.parquet"] = _write_records(folder / f"{name}.parquet", table, records)
    return rows


def _write_records(path: Path, table: str, records: Iterable[Scored | Paper]) -> int:
    """With the columns of the databases' table; floats are doubles, decimals text."""
    columns = TABLES[table].columns
    schema = pa.schema([(name, _TYPES[kind]) for name, kind in columns.items()])
    rows = (
        [_plain(value) if isinstance(value, Decimal) else value for value in row]
        for record in records
        for row in rows_of(record)
    )
    return _write(path, schema, (dict(zip(columns, row, strict=True)) for row in rows))


def write_bars(path: Path, bars: Iterable[Bar]) -> int:
    """The rows written."""
    return _write(path, BARS, (_bar_row(bar) for bar in bars))


def write_trades(path: Path, batches: Iterable[TradeBatch]) -> int:
    """One row a trade; the rows written."""
    return _write(path, TRADES, (row for batch in batches for row in _trade_rows(batch)))


def export_table(store: QuestDb, table: str, path: Path) -> int:
    """A table of QuestDB as it is, in pages; the rows written. Raises NotWritten, ConfigError for an unknown table."""
    if table not in TABLES:
        raise ConfigError(f"export: expected one of {', '.join(TABLES)}, found {table!r}.")
    columns = [(str(row[0]), str(row[1])) for row in store.query(f"SHOW COLUMNS FROM '{store.table(table)}'")]
    schema = pa.schema([(name, _arrow_type(kind)) for name, kind in columns])
    chosen = ", ".join(f"cast({name} as varchar) {name}" if kind.startswith("DECIMAL") else
                       f"cast({name} as long) {name}" if kind.startswith("TIMESTAMP") else name
                       for name, kind in columns)  # fmt: skip
    return _write(path, schema, _pages(store, table, chosen, [name for name, _ in columns]))


def _pages(store: QuestDb, table: str, chosen: str, names: Sequence[str]) -> Iterable[dict[str, Any]]:
    first = 0
    while True:
        sql = f"SELECT {chosen} FROM '{store.table(table)}' LIMIT {first},{first + _ROWS_A_GROUP}"  # noqa: S608
        rows = store.query(sql)
        yield from (dict(zip(names, row, strict=True)) for row in rows)
        if len(rows) < _ROWS_A_GROUP:
            return
        first += _ROWS_A_GROUP


def _arrow_type(kind: str) -> pa.DataType:
    if kind.startswith("TIMESTAMP") or kind == "LONG":
        return pa.int64()
    if kind == "DOUBLE":
        return pa.float64()
    return pa.bool_() if kind == "BOOLEAN" else pa.string()


def _write(path: Path, schema: pa.Schema, rows: Iterable[dict[str, Any]]) -> int:
    written, waiting = 0, []
    with whole(path) as partial, pq.ParquetWriter(partial, schema) as writer:
        for row in rows:
            waiting.append(row)
            if len(waiting) >= _ROWS_A_GROUP:
                writer.write_table(pa.Table.from_pylist(waiting, schema=schema))
                written, waiting = written + len(waiting), []
        writer.write_table(pa.Table.from_pylist(waiting, schema=schema))
    return written + len(waiting)


def _bar_row(bar: Bar) -> dict[str, Any]:
    row = {name: getattr(bar, name) for name in BARS.names}
    return row | {name: None if row[name] is None else _plain(row[name]) for name in _BAR_DECIMALS}


def _trade_rows(batch: TradeBatch) -> Iterable[dict[str, Any]]:
    same = {"venue": batch.venue, "market": batch.market, "symbol": batch.symbol, "received_ns": batch.received_ns}
    for trade in batch.trades:
        yield {
            **same,
            "id_kind": trade.id_kind,
            "trade_id": trade.trade_id,
            "exchange_ns": trade.exchange_ns,
            "price": _plain(trade.price),
            "quantity": _plain(trade.quantity),
            "taker_side": trade.taker_side,
            "is_snapshot": trade.snapshot,
            "is_stale": trade.stale,
        }


def _plain(value: Decimal) -> str:
    """Decimal text without trailing zeros, as the truth files of recordings have it."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
