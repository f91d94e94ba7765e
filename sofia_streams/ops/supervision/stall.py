"""Whether a worker stands still although there is work: a judgement over what was seen, with the time as a parameter.

What it does not do: look (`watchdog`), decide what happens to the worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

_START_FACTOR = 4
"""A worker that has not moved since its start may be joining its group or reading its table back."""


class Stall(NamedTuple):
    """A partition that stands: committed up to `done`, the log ends at `end`, for so many seconds."""

    place: str
    done: int
    end: int
    seconds: float


class StallWatch:
    """One process of one worker. Call `begin` for a new one, `look_again` when nothing could be seen for a while."""

    def __init__(self, stall_s: float) -> None:
        self._stall_s = stall_s
        self.begin()

    def begin(self) -> None:
        """Forget everything: a worker that has only started gets longer."""
        self.look_again()
        self._moved = False

    def look_again(self) -> None:
        """Every partition gets its whole time again."""
        self._since: dict[str, tuple[int, float]] = {}

    def look(self, now_s: float, places: Mapping[str, tuple[int, int]]) -> Stall | None:
        """Take (done, end) of each partition; the one that has stood too long with work to do, if any."""
        limit_s = self._stall_s * (1 if self._moved else _START_FACTOR)
        stalled = None
        for place, (done, end) in places.items():
            known = self._since.get(place)
            if done >= end:
                self._since.pop(place, None)
            elif known is None or known[0] != done:
                self._since[place] = (done, now_s)
            elif now_s - known[1] > limit_s:
                stalled = Stall(place, done, end, now_s - known[1])
            if known is not None and done > known[0]:
                self._moved = True
        return stalled
