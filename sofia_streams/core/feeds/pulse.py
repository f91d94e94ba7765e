"""When an instrument has been silent for too long, judged by its own rate. Pure; the receiver's clock is a parameter.

What is usual is the longest pause lately: it rises at once and fades by a hundredth with each frame. Silence of three
times that is too long, and never less than a floor: a market may pause. Before FRAMES_MIN frames nothing is usual.
"""

from __future__ import annotations

_FADE_PARTS = 100
_TIMES = 3
FRAMES_MIN = 20


class Pulse:
    """One instrument's frames, of any kind."""

    __slots__ = ("_floor_ns", "_frames", "_usual_ns", "heard_ns")

    def __init__(self, heard_ns: int, floor_ns: int) -> None:
        self.heard_ns, self._floor_ns = heard_ns, floor_ns
        self._usual_ns = self._frames = 0

    def saw(self, now_ns: int) -> None:
        """A frame came."""
        pause_ns, faded_ns = now_ns - self.heard_ns, self._usual_ns - self._usual_ns // _FADE_PARTS
        self._usual_ns = pause_ns if pause_ns > faded_ns else faded_ns
        self._frames += 1
        if pause_ns > 0:
            self.heard_ns = now_ns

    def moved(self, by_ns: int) -> None:
        """The receiver's clock was set."""
        self.heard_ns += by_ns

    @property
    def limit_ns(self) -> int:
        """A longer silence than this is not usual."""
        return max(self._floor_ns, _TIMES * self._usual_ns)

    def level(self, now_ns: int) -> int:
        """How many times the limit it has been silent: 0 is well, also at a moment before it was heard last."""
        return 0 if self._frames < FRAMES_MIN else max(0, now_ns - self.heard_ns) // self.limit_ns
