"""When a process that ended may be started again, and when no more. A judgement; the time is a parameter."""

from __future__ import annotations

from collections import deque

_PAUSE_S_FIRST, _PAUSE_S_MAX, _STEADY_S = 0.5, 30.0, 60.0
ENDS_MAX, WITHIN_S = 5, 120.0
SLOW_ENDS_MAX, SLOW_WITHIN_S = 10, 1_800.0
"""The second limit is for what runs for a while each time: ends that are 200 s apart or less."""
_LIMITS = ((ENDS_MAX, WITHIN_S), (SLOW_ENDS_MAX, SLOW_WITHIN_S))


class Restarts:
    """After a pause that doubles, up to half a minute, until it has run for a minute; not any more after ENDS_MAX ends
    within WITHIN_S, or SLOW_ENDS_MAX within SLOW_WITHIN_S. How long it ran between does not matter for that.
    """

    def __init__(self, now_s: float) -> None:
        self.count = 0
        self.why_gave_up = ""
        self._started_s, self._pause_s = now_s, _PAUSE_S_FIRST
        self._again_s: float | None = None
        self._ends_s: deque[float] = deque(maxlen=max(most for most, _ in _LIMITS))

    @property
    def gave_up(self) -> bool:
        """Whether it is left down."""
        return bool(self.why_gave_up)

    @property
    def is_waiting(self) -> bool:
        """Whether the process has ended and its pause is not over."""
        return self._again_s is not None

    def ended(self, now_s: float, *, counts: bool = True) -> float:
        """The process has ended; how many seconds the pause is. An end that does not count is no sign of a fault."""
        if now_s - self._started_s >= _STEADY_S:
            self._pause_s = _PAUSE_S_FIRST
        if counts:
            self._ends_s.append(now_s)
            self.why_gave_up = self._too_often()
        pause_s, self._again_s = self._pause_s, now_s + self._pause_s
        self._pause_s = min(2 * pause_s, _PAUSE_S_MAX)
        return pause_s

    def is_due(self, now_s: float) -> bool:
        """Whether the pause is over; then call `started`."""
        return not self.gave_up and self._again_s is not None and now_s >= self._again_s

    def put_off(self, until_s: float) -> None:
        """The pause of a process that has ended lasts until then."""
        self._again_s = until_s

    def started(self, now_s: float) -> None:
        """It was started again."""
        self._started_s, self._again_s = now_s, None
        self.count += 1

    def _too_often(self) -> str:
        ends_s = list(self._ends_s)
        for most, within_s in _LIMITS:
            if len(ends_s) >= most and ends_s[-1] - ends_s[-most] <= within_s:
                return f"the {most}th time within {within_s:.0f} s"
        return ""
