"""How often to knock at a venue: turns a second, pauses after failures, and what a refusal asks for."""

from __future__ import annotations

import asyncio
import random
import time

from websockets.exceptions import InvalidStatus

_PAUSE_S_FIRST, _PAUSE_S_MAX = 1.0, 60.0
_REFUSED_PAUSE_S, _RETRY_AFTER_S_MAX = 600.0, 3600.0
"""After HTTP 403 or 451, which mean geography or a ban: asking again soon makes it worse."""
_REFUSED = (403, 418, 429, 451)


class Pace:
    """At most `per_s` turns a second."""

    def __init__(self, per_s: float) -> None:
        self._every_s, self._next_s = 1.0 / per_s, 0.0

    async def turn(self) -> None:
        """Wait for the next turn."""
        at_s = max(time.monotonic(), self._next_s)
        self._next_s = at_s + self._every_s
        await asyncio.sleep(at_s - time.monotonic())


def pause_s(failures: int) -> float:
    """A random pause up to 1, 2, 4, ... 60 s: full jitter, so that clients do not come back together."""
    return random.uniform(0.0, min(_PAUSE_S_MAX, _PAUSE_S_FIRST * 2.0 ** min(failures, 10)))  # noqa: S311


def wait_s(error: Exception, failures: int) -> float:
    """How long to wait after this error: as the venue asks, long after a refusal, else `pause_s`."""
    if not isinstance(error, InvalidStatus) or error.response.status_code not in _REFUSED:
        return pause_s(failures)
    asked = error.response.headers.get("Retry-After", "")
    if asked.isascii() and asked.isdigit() and len(asked) < 9:
        return min(max(float(asked), _PAUSE_S_FIRST), _RETRY_AFTER_S_MAX) + pause_s(0)
    return _REFUSED_PAUSE_S
