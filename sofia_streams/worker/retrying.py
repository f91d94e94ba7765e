"""Does again what the other side, a store or the broker, was not there for. Gives up never; knows no side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import structlog

from sofia_streams.errors import DependencyDown
from sofia_streams.obs import metrics

_log = structlog.get_logger("retry")
_RETRY_S_MAX = 5.0
_LONG_S, _LONG_S_MAX = 2.0, 60.0
T = TypeVar("T")


async def retry(action: Callable[[], Awaitable[T]], name: str) -> T:
    """The action's result, tried again with growing pauses while it raises DependencyDown.

    That it waits is said (`sofia_waiting`) while the other side is down, and while it lets one action wait for long, up
    to a minute: every store's own limits are shorter.
    """
    pause_s = 0.1
    down_since_s: float | None = None
    try:
        while True:
            try:
                with _said_when_long(name):
                    result = await action()
                break
            except DependencyDown as error:
                metrics.SINK_ERRORS.labels(name).inc()
                metrics.WAITING.labels(name).set(1)
                if down_since_s is None:
                    down_since_s = time.monotonic()
                    _log.warning("does not answer, waiting; nothing is lost", of=name, error=str(error))
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _RETRY_S_MAX)
    finally:
        metrics.WAITING.labels(name).set(0)
    if down_since_s is not None:
        _log.warning("answers again", of=name, down_s=round(time.monotonic() - down_since_s, 1))
    return result


@contextmanager
def _said_when_long(name: str) -> Iterator[None]:
    """Inside, the page says that it waits, from _LONG_S until _LONG_S_MAX."""
    waiting, loop = metrics.WAITING.labels(name), asyncio.get_running_loop()
    timers = [loop.call_later(_LONG_S, waiting.set, 1), loop.call_later(_LONG_S_MAX, waiting.set, 0)]
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()
