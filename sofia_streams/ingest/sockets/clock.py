"""The receiver's clock: it runs evenly, and says when the wall clock was set instead of jumping with it.

All that ingest measures is a difference between two readings. A wall clock that is set (by hand, or by NTP after a
start with a wrong battery clock) must not look like an hour of silence, nor stop for an hour what is done each second.
Opens nothing, waits for nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_SET_NS_MIN = 500_000_000
"""A smaller difference is drift, and is followed at once."""


def _even_ns() -> int:
    """Time since the start of the machine, its sleep included where the system counts that."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic_ns() if boot is None else time.clock_gettime_ns(boot)


class Clock:
    """Wall time as it was at the last `adjust`, moved on by a clock that nobody can set."""

    def __init__(self, wall_ns: Callable[[], int] = time.time_ns, even_ns: Callable[[], int] = _even_ns) -> None:
        self.wall_ns, self._even_ns = wall_ns, even_ns
        self._offset_ns = wall_ns() - even_ns()

    def now_ns(self) -> int:
        """Nanoseconds since 1970."""
        return self._even_ns() + self._offset_ns

    def adjust(self) -> int:
        """Follow the wall clock; by how much it was set since the last time, 0 where it only drifted.

        The caller must move what it remembers of earlier readings by as much.
        """
        offset_ns = self.wall_ns() - self._even_ns()
        moved_ns, self._offset_ns = offset_ns - self._offset_ns, offset_ns
        return moved_ns if abs(moved_ns) >= _SET_NS_MIN else 0


CLOCK = Clock()
"""The one that live ingest reads."""
