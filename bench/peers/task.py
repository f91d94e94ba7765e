"""What a contestant is told and what it must do: the same fold, on one-trade records. Needs only msgspec.

A contestant writes `{"first_s": ...}` (monotonic clock of this machine) when its first trade is applied, and
`{"done_s": ...}` if it ends by itself.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

from sofia_streams import codec
from sofia_streams.core.bars import candles
from sofia_streams.core.bars.windows import Row, Rules

COMMIT_EVERY_S = 0.5
"""State and offsets are at most so old, in every contestant as in the real worker."""
RULES = Rules()


class Task(NamedTuple):
    """`folder` is for state and results; it is removed afterwards."""

    broker: str
    trades: str
    bars: str
    group: str
    partitions: int
    folder: str

    def mark(self, name: str) -> None:
        """Note that something happened now."""
        with (Path(self.folder) / "marks").open("a") as file:
            file.write(json.dumps({name: time.monotonic()}) + "\n")


def task() -> Task:
    """From the command line."""
    return Task(**json.loads(sys.argv.pop()))


def step(rows: dict[str, Row], value: bytes, offset: int) -> list[tuple[bytes, bytes]]:
    """Fold one record into `rows`; the bars to publish, as key and value."""
    done = candles.apply(rows, codec.decode_trades(value), offset=offset, rules=RULES)
    candles.store(rows, done.rows)
    return [(bar.symbol.encode(), codec.encode(bar)) for bar in done.bars]
