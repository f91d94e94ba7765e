"""Batches for sinks: by size or time, written, retried while the sink is down, acknowledged after. Knows no sink.

Nothing is dropped: while a write is retried, the bounded queue fills and the log waits. Where another process gets the
partitions, what was not written is left to it: written by both, an older row could come after a newer one.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

import structlog

from sofia_streams.crash_points import passing
from sofia_streams.errors import BadRecord
from sofia_streams.obs import metrics
from sofia_streams.worker import canary
from sofia_streams.worker.acks import Acknowledgeable
from sofia_streams.worker.retrying import retry

_log = structlog.get_logger("sink")
_REFUSED_IN_ROW_MAX = 10


class Item(NamedTuple):
    """One log record on its way to a sink: what to write, how many rows, when its data came in (0: unknown)."""

    event: Acknowledgeable
    received_ns: int
    record: Any
    rows: int


class _HandedOver(Exception):
    """Somebody else has the partitions of these records now."""


class Sink:
    """Collects items and hands them to `write` in batches of about `rows_max` rows or after `wait_s_max`."""

    def __init__(
        self, name: str, write: Callable[[list[Item]], Awaitable[None]], *, rows_max: int, wait_s_max: float
    ) -> None:
        self._name, self._write = name, write
        self._rows_max, self._wait_s_max = rows_max, wait_s_max
        self.refused: Callable[[Item, Exception], Awaitable[None]] | None = None
        self._refused_in_row = 0
        self._queue: asyncio.Queue[tuple[int, Item]] = asyncio.Queue(max(64, rows_max // 4))
        self._handovers = 0
        self._writing = asyncio.Lock()

    async def put(self, item: Item) -> None:
        """Queue one record; waits while the sink is behind."""
        passing("read")
        await self._queue.put((self._handovers, item))
        metrics.SINK_QUEUE.labels(self._name).set(self._queue.qsize())

    async def hand_over(self) -> None:
        """Partitions were revoked: nothing that was put so far is written any more, and none of it is acknowledged, so
        whoever has them next reads it again. What is being written is waited for.
        """
        self._handovers += 1
        async with self._writing:
            return

    async def run(self) -> None:
        """Write for ever. A record that the sink cannot take is handed to `refused`; where every record is, or where
        there is no `refused`, what was raised ends this.
        """
        while True:
            found = await self._collect()
            handovers = self._handovers
            batch = [item for put_at, item in found if put_at == handovers]
            with contextlib.suppress(_HandedOver):
                if batch:
                    await self._put_down(batch, handovers)

    async def _put_down(self, batch: list[Item], handovers: int) -> None:
        began_s = time.monotonic()
        is_early = canary.is_on(canary.ACK_FIRST)
        if is_early:
            _acknowledge(batch)
        await self._write_all(batch, handovers)
        passing("sink_stored")
        if not is_early:
            _acknowledge(batch)
        metrics.SINK_WRITE_SECONDS.labels(self._name).observe(time.monotonic() - began_s)
        metrics.SINK_ROWS.labels(self._name).inc(sum(item.rows for item in batch))
        now_ns = time.time_ns()
        for item in batch:
            if item.received_ns:
                metrics.STAGE_MS.labels(self._name).observe((now_ns - item.received_ns) / 1e6)
        if batch[-1].received_ns:
            metrics.BUS_LAG_MS.labels(self._name).set((now_ns - batch[-1].received_ns) / 1e6)

    async def _attempt(self, batch: list[Item], handovers: int) -> None:
        async with self._writing:
            if handovers != self._handovers:
                raise _HandedOver
            await self._write(batch)

    async def _write_all(self, batch: list[Item], handovers: int) -> None:
        """As a whole; where that is refused for another reason than that the sink is away, one by one."""
        try:
            await retry(partial(self._attempt, batch, handovers), self._name)
            self._refused_in_row = 0
        except (MemoryError, _HandedOver):
            raise
        except Exception as error:
            if self.refused is None:
                raise
            _log.exception("a write was refused; its records are tried one by one", sink=self._name, error=str(error))
            for item in batch:
                await self._write_one(item, self.refused, handovers)

    async def _write_one(
        self, item: Item, refused: Callable[[Item, Exception], Awaitable[None]], handovers: int
    ) -> None:
        try:
            await retry(partial(self._attempt, [item], handovers), self._name)
            self._refused_in_row = 0
        except (MemoryError, _HandedOver):
            raise
        except Exception as error:
            self._refused_in_row += not isinstance(error, BadRecord)  # that one is surely the record's own fault
            if self._refused_in_row >= _REFUSED_IN_ROW_MAX:
                raise  # that is no matter of a record
            await refused(item, error)

    async def _collect(self) -> list[tuple[int, Item]]:
        batch = [await self._queue.get()]
        rows = batch[0][1].rows
        deadline_s = time.monotonic() + self._wait_s_max
        while rows < self._rows_max:
            try:
                item = self._queue.get_nowait()
            except asyncio.QueueEmpty:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    break
                try:
                    item = await asyncio.wait_for(self._queue.get(), left_s)
                except TimeoutError:
                    break
            batch.append(item)
            rows += item[1].rows
        return batch


def _acknowledge(batch: list[Item]) -> None:
    for item in batch:
        item.event.ack()
        passing("acknowledged")
