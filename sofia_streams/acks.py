"""Acknowledges log records in order, once everything they caused is in the log itself. Knows no Faust.

Faust commits the offset of an event whose changelog writes may still be on their way; a kill at that moment would
lose state. Here an event is acknowledged after its futures are done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, Protocol


class Acknowledgeable(Protocol):
    """A log record as Faust hands it out."""

    def ack(self) -> bool: ...  # noqa: D102


class Acknowledger:
    """A bounded queue of processed events; `run` must be running."""

    def __init__(self, waiting_max: int = 2_000) -> None:
        self._waiting: asyncio.Queue[tuple[Acknowledgeable, Sequence[Awaitable[Any]]]] = asyncio.Queue(waiting_max)

    async def add(self, event: Acknowledgeable, caused: Sequence[Awaitable[Any]]) -> None:
        """The event is done once all of `caused` is; waits while too many are not."""
        await self._waiting.put((event, caused))

    async def run(self) -> None:
        """Acknowledge for ever. Raises what a future raised: then the worker must stop and begin from the log."""
        while True:
            event, caused = await self._waiting.get()
            for future in caused:
                await future
            event.ack()
