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

from sofia_streams.errors import ConfigError
from sofia_streams.training.sources.bars import Row
from sofia_streams.training.sources.records import joined

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
