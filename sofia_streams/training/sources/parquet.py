"""Bars from Parquet, with the columns that `sofia export`, `sofia replay --out` and `sofia download` write.

Of a symbol, the consolidated bars are taken where there are some, else those of the venue that has most; closes of
single venues stand beside them. What it does not do: check bars (`bars`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from sofia_streams.errors import ConfigError
from sofia_streams.model import CONSOLIDATED
from sofia_streams.training.sources.bars import Row, number, wrong

NEEDED = ("symbol", "start_ns", "open", "high", "low", "close", "volume")
_CANDLE = ("is_complete", "is_quiet", "venues")
WANTED = (*NEEDED, "venue", "market", "quote_volume", "buy_volume", "trade_count", "quality", *_CANDLE)
"""The last three are of `features_1s` and `features_1m`: candles as they were when features were computed."""


def read_parquet(paths: Sequence[Path]) -> list[Row]:
    """Bars of all files. Raises ConfigError for a damaged one, and for other columns."""
    records = [record for path in paths for record in _records(path)]
    return joined(records)


def is_synthetic(path: Path) -> bool:
    """Whether a file says that its bars are made up, as those do that `sofia download` got from the simulator."""
    try:
        said = msgspec.json.decode((pq.read_schema(path).metadata or {}).get(b"sofia", b"{}"))
    except (OSError, pa.ArrowException, msgspec.MsgspecError):
        return False  # reading its bars says what is wrong with it
    return isinstance(said, dict) and said.get("is_synthetic") is True


def joined(records: Sequence[tuple[str, dict[str, Any]]]) -> list[Row]:
    """One row a window and symbol, of records (and where they stand) of several venues. Raises ConfigError."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    closes: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
    for where, record in records:
        symbol, venue = record["symbol"], record.get("venue") or CONSOLIDATED
        if not isinstance(symbol, str) or not isinstance(record["start_ns"], int):
            raise wrong(where, "a symbol and start_ns", f"{symbol!r} and {record['start_ns']!r}")
        counts[symbol][venue] += 1
        if venue != CONSOLIDATED and (close := number(record["close"], where, "close")) is not None:
            closes[symbol, record["start_ns"]][venue] = close
    chosen = {symbol: _venue(found) for symbol, found in counts.items()}
    return [
        row_of(where, record, closes.get((record["symbol"], record["start_ns"]), {}))
        for where, record in records
        if (record.get("venue") or CONSOLIDATED) == chosen[record["symbol"]]
    ]


def row_of(where: str, record: dict[str, Any], venues: dict[str, float]) -> Row:
    """One record by the names of its columns; `venues` where it has none itself. Raises ConfigError."""
    is_quiet = record.get("is_quiet") is True
    prices = [None if is_quiet else number(record[name], where, name) for name in ("open", "high", "low", "close")]
    known = [price for price in prices if price is not None]
    if known and len(known) < len(prices):
        raise wrong(where, "open, high, low and close, or none of them", f"{prices}")
    count = record.get("trade_count")
    return Row(
        where, record["symbol"], record["start_ns"],
        (known[0], known[1], known[2], known[3]) if known else None,
        number(record["volume"], where, "volume") or 0.0,
        number(record.get("quote_volume"), where, "quote_volume"),
        number(record.get("buy_volume"), where, "buy_volume"),
        None if count is None else int(count), _is_complete(record), _closes(record.get("venues"), where) or venues,
    )  # fmt: skip


def _is_complete(record: dict[str, Any]) -> bool:
    said = record.get("is_complete")
    return record.get("quality") not in ("gap", "stale") if said is None else said is True


def _closes(text: str | None, where: str) -> dict[str, float]:
    try:
        return msgspec.json.decode(text, type=dict[str, float]) if text else {}
    except msgspec.MsgspecError as error:
        raise wrong(where, "closes by venue as JSON", str(error)) from error


def _venue(counts: Counter[str]) -> str:
    return CONSOLIDATED if CONSOLIDATED in counts else min(counts, key=lambda name: (-counts[name], name))


def _records(path: Path) -> Iterable[tuple[str, dict[str, Any]]]:
    try:
        names = pq.read_schema(path).names
        if not {*NEEDED} <= {*names}:
            raise ConfigError(
                f"training: {path}: expected the columns {', '.join(NEEDED)}, found {', '.join(names)[:200]}. "
                "`sofia export bars_1m --out FILE` writes them."
            )
        table = pq.read_table(path, columns=[name for name in WANTED if name in names])
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(f"training: {path}: expected a Parquet file, found {str(error)[:200]}.") from error
    for number_, record in enumerate(table.to_pylist()):
        yield f"{path.name} row {number_}", record
