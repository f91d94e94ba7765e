"""Candles being built, and the closed ones that may still be revised.

key        see `core.bars.windows`: "venue|market|symbol", "...|gaps", "...|1s|start_ns"; co-partitioned with `trades`
value      core.bars.windows.Row: Feed, Gaps, Joint or Window
window     1 s and 1 m of exchange time, opened and closed by core.bars.candles; never by Faust's clock
retention  per instrument at most three minutes of closed windows; older ones are deleted by the step itself
changelog  sofia-ohlcv-ohlcv-changelog, compacted; start-up and recovery are the same path
"""

from __future__ import annotations

from typing import Any

import faust


def ohlcv_table(app: faust.App, partitions: int) -> Any:
    """The table on the app of its one worker."""
    return app.Table("ohlcv", partitions=partitions, help="candles being built, and closed ones")
