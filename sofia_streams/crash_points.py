"""Ends this process at a named point of its life, for tests of recovery: `SOFIA_CRASH_AT=point:n`, at the n-th passage.

Without the variable a passage does nothing. No setting, no `.env` key, and no worker inherits it: only a test that
starts a worker gives it (`ops.workers.start_worker`). The end is `os._exit`, so nothing is flushed, as with SIGKILL.
"""

from __future__ import annotations

import os

CRASH_AT = "SOFIA_CRASH_AT"
EXIT_CODE = 137
POINTS = {
    "read": "a record was read and folded in memory; nothing of it is in the log or a store",
    "published": "its outputs are in the log, its table rows are not sent",
    "rows_sent": "its table rows are sent, not yet acknowledged",
    "rows_stored": "its table rows are in the log, its offset is not acknowledged",
    "acknowledged": "its offset may be committed, and is not yet",
    "sink_stored": "a store has acknowledged its rows, its offset is not acknowledged",
    "fallback_stored": "the fallback has the rows of a batch, the log does not say that the primary misses them",
    "outage_said": "the log says what the primary misses, the batch is not acknowledged",
    "outage_ended": "the log says that the primary is back and what it misses, nothing of it is filled",
    "hole_part_filled": "a part of what the primary missed is in it",
    "hole_filled": "all that the primary missed is in it, the log does not say so",
    "recovery": "a row of a table is read back, or the input is about to be sought",
    "rebalance": "partitions are being given up",
    "shutdown": "the worker was asked to end, and has not left its group",
    "admitted": "ingest has admitted the trades of a frame, and sent none",
    "sent": "ingest has sent a record, not yet acknowledged",
}
"""Every point, and what is true there."""


class CrashPoints:
    """Counts passages of one point. Raises ValueError for a text that names none."""

    def __init__(self, text: str) -> None:
        self._point, _, count = text.partition(":")
        if text and (self._point not in POINTS or not count.isdecimal()):
            raise ValueError(f"{CRASH_AT}: expected point:n with one of {', '.join(POINTS)}, found {text!r}.")
        self._left = int(count or 0)

    def passing(self, point: str) -> None:
        """Call at a point; does not return from the chosen passage."""
        if point == self._point:
            self._left -= 1
            if self._left <= 0:
                os._exit(EXIT_CODE)


passing = CrashPoints(os.environ.get(CRASH_AT, "")).passing
