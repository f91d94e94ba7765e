"""How often to knock at a venue: turns a second, pauses after failures, what a refusal asks for, and means."""

from __future__ import annotations

import asyncio
import random
import ssl
import time

from websockets.exceptions import InvalidStatus

_PAUSE_S_FIRST, _PAUSE_S_MAX = 1.0, 60.0
_REFUSED_PAUSE_S, _RETRY_AFTER_S_MAX = 600.0, 3600.0
"""After HTTP 403 or 451, which mean geography or a ban: asking again soon makes it worse."""
_REFUSED = (403, 418, 429, 451)
_CERTIFICATE_TIMES = (9, 10)
"""OpenSSL's numbers for a certificate that is not valid yet, or no more."""


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


def words_of(error: Exception) -> str:
    """What went wrong, and what to look at where it is known."""
    words = f"{type(error).__name__}: {error}"[:300]
    if not isinstance(error, ssl.SSLCertVerificationError):
        return words
    if error.verify_code in _CERTIFICATE_TIMES:
        return f"{words}. Check the clock of this machine."
    return f"{words}. Who answers is not the venue: check HTTPS_PROXY and the system's certificates."


def wait_s(error: Exception, failures: int) -> float:
    """How long to wait after this error: as the venue asks, long after a refusal, else `pause_s`."""
    if not isinstance(error, InvalidStatus) or error.response.status_code not in _REFUSED:
        return pause_s(failures)
    asked = error.response.headers.get("Retry-After", "")
    if asked.isascii() and asked.isdigit() and len(asked) < 9:
        return min(max(float(asked), _PAUSE_S_FIRST), _RETRY_AFTER_S_MAX) + pause_s(0)
    return _REFUSED_PAUSE_S
