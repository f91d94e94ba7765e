"""Bars from Parquet, with the columns that `sofia export`, `sofia replay --out` and `sofia download` write.

What it does not do: choose among venues (`records`), check bars (`bars`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from sofia_streams.core.features.sets import sets_of
from sofia_streams.errors import ConfigError
from sofia_streams.training.sources.bars import Row
from sofia_streams.training.sources.records import WRITTEN, joined, written

NEEDED = ("symbol", "start_ns", "open", "high", "low", "close", "volume")
_CANDLE = ("is_complete", "is_quiet", "venues")
WANTED = (*NEEDED, "venue", "market", "quote_volume", "buy_volume", "trade_count", "quality", *_CANDLE)
"""The last three are of `features_1s` and `features_1m`: candles as they were when features were computed."""
_BATCH = 10_000


def read_parquet(paths: Sequence[Path], size_ns: int) -> list[Row]:
    """Bars of all files; with what was known live behind them, where a file has all columns of `features_*`.

    Raises ConfigError for a damaged one, and for other columns.
    """
    records = [record for path in paths for record in _records(path, size_ns)]
    return joined(records)


def is_synthetic(path: Path) -> bool:
    """Whether a file says that its bars are made up, as those do that `sofia download` got from the simulator."""
    try:
        said = msgspec.json.decode((pq.read_schema(path).metadata or {}).get(b"sofia", b"{}"))
    except (OSError, pa.ArrowException, msgspec.MsgspecError):
        return False  # reading its bars says what is wrong with it
    return isinstance(said, dict) and said.get("is_synthetic") is True


def _records(path: Path, size_ns: int) -> Iterable[tuple[str, dict[str, Any]]]:
    try:
        schema = pq.read_schema(path)
        names = schema.names
        if not {*NEEDED} <= {*names}:
            raise ConfigError(
                f"bars: {path}: expected the columns {', '.join(NEEDED)}, found {', '.join(names)[:200]}. "
                "`sofia export bars_1m --out FILE` writes them."
            )
        values = _values(schema, size_ns)
        table = pq.read_table(path, columns=[name for name in WANTED if name in names] + values)
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(
            f"bars: {path}: expected a Parquet file, found {str(error)[:200]}. Correct the file, or leave it out."
        ) from error
    rows = (row for batch in table.to_batches(max_chunksize=_BATCH) for row in batch.to_pylist())
    for number_, record in enumerate(rows):
        if values:
            known = {name: record.pop(name) for name in values}
            record[WRITTEN] = written(size_ns, known)
        yield f"{path.name} row {number_}", record


def _values(schema: pa.Schema, size_ns: int) -> list[str]:
    """Columns of what was known live, where the file has all of them and features are numbers; else none."""
    numbers = [feature.name for one in sets_of(size_ns) for feature in one.features]
    others = [f"{one.name}_{what}" for one in sets_of(size_ns) for what in ("schema", "ready")]
    there = {field.name: field.type for field in schema}
    is_ours = {*others} <= {*there} and all(pa.types.is_floating(there.get(name, pa.null())) for name in numbers)
    return [*others, *numbers] if is_ours else []
