"""For how long the watch has not seen how far a worker is, and when that is said. A judgement; the time is a parameter.

Blindness is no sign of a fault in a worker: nothing is ended because of it. It is said, since meanwhile nobody would
notice a worker that stands still.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

BLIND_S, AGAIN_S = 30.0, 60.0
"""A worker that was not seen for so long is named; and again each time so long after that."""
_STEP_S_MAX = 5.0
"""Of a longer time between two looks at the clock this much counts: this process may have slept."""


class Blind(NamedTuple):
    """Workers that were not seen, the longest time of any of them, and what kept the watch from it."""

    workers: list[str]
    seconds: float
    why: str


class Sight:
    """Of each worker, for how many seconds it was not seen. Call `passed` about once a second."""

    def __init__(self, workers: Iterable[str], now_s: float) -> None:
        self.blind_s = dict.fromkeys(workers, 0.0)
        self._now_s = now_s
        self._said_s: float | None = None
        self._why = "no look has come to its end"

    def saw(self, workers: Iterable[str]) -> None:
        """A look that can be judged by, at these."""
        for name in workers:
            self.blind_s[name] = 0.0

    def missed(self, why: str) -> None:
        """What kept the last look from seeing all."""
        self._why = why

    @property
    def blind(self) -> Blind | None:
        """Who is not seen for BLIND_S or longer, if anybody."""
        names = [name for name, seconds in self.blind_s.items() if seconds >= BLIND_S]
        return Blind(names, max(self.blind_s.values()), self._why) if names else None

    def passed(self, now_s: float) -> Blind | None:
        """Time goes on; what is to be said now, if anything."""
        step_s, self._now_s = min(now_s - self._now_s, _STEP_S_MAX), now_s
        for name in self.blind_s:
            self.blind_s[name] += step_s
        found = self.blind
        if found is None or (self._said_s is not None and now_s - self._said_s < AGAIN_S):
            return None
        self._said_s = now_s
        return found

    def recovered(self) -> bool:
        """Whether all are seen again since blindness was said; true once."""
        if self._said_s is None or self.blind is not None:
            return False
        self._said_s = None
        return True
