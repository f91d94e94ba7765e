"""Lets a log record be acknowledged once everything it caused is in the log itself, without holding up the next one.

What a record publishes comes first, then the table rows that say so, then its acknowledgement: a crash in between
sends the same outputs again and loses none. Records overlap: the outputs of many may be on their way at once. Knows no
Faust.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from sofia_streams.crash_points import passing


class Acknowledgeable(Protocol):
    """A log record as Faust hands it out."""

    def ack(self) -> bool: ...  # noqa: D102


Effects = tuple[Acknowledgeable, Sequence[Awaitable[Any]], Sequence[Any]]


class Acknowledger:
    """Two bounded queues; `run` must be running. `write` sends one table row and returns the future of its ack."""

    def __init__(self, write: Callable[[Any], Awaitable[Any]], waiting_max: int = 2_000) -> None:
        self._write = write
        self._published: asyncio.Queue[Effects] = asyncio.Queue(waiting_max)
        self._stored: asyncio.Queue[tuple[Acknowledgeable, Sequence[Awaitable[Any]]]] = asyncio.Queue(waiting_max)
        self.in_hand = asyncio.Lock()
        """Held from when a record is folded until it is added: `drain` waits for it too."""

    async def add(self, event: Acknowledgeable, outputs: Sequence[Awaitable[Any]], rows: Sequence[Any]) -> None:
        """`outputs` are awaited in order, then `rows` are written in order, then the event is acknowledged.

        Call it holding `in_hand`. Waits while too many records are under way. A coroutine among the outputs runs when
        its turn comes, when all outputs of earlier records are in the log.
        """
        passing("read")
        await self._published.put((event, outputs, rows))

    async def run(self) -> None:
        """For ever. Raises what an output or a write raised: then the worker must stop and begin from the log."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._store())
            group.create_task(self._acknowledge())

    async def drain(self) -> None:
        """Until nothing is under way, and none in hand."""
        async with self.in_hand:
            await self._published.join()
            await self._stored.join()

    async def _store(self) -> None:
        while True:
            event, outputs, rows = await self._published.get()
            for output in outputs:
                await output
            passing("published")
            written = [self._write(row) for row in rows]
            passing("rows_sent")
            await self._stored.put((event, written))
            self._published.task_done()

    async def _acknowledge(self) -> None:
        while True:
            event, written = await self._stored.get()
            for future in written:
                await future
            passing("rows_stored")
            event.ack()
            passing("acknowledged")
            self._stored.task_done()
