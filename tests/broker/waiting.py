"""Waiting in the tests with servers: for what must come to hold, with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable

_EVERY_S = 0.1


async def eventually(holds: Callable[[], Awaitable[bool]], within_s: float = 60.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not await holds():
        assert time.monotonic() < deadline_s, "it did not come to hold in time"
        await asyncio.sleep(_EVERY_S)


def blocking_eventually(holds: Callable[[], bool], within_s: float = 60.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come to hold in time"
        time.sleep(_EVERY_S)
