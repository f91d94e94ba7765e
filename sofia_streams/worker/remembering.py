"""What a worker must know of a log partition before it handles a record: the trades that came before it there.

A trade that stands in the log twice is told from a new one by those before it. They may have been handled by an earlier
process, or by another copy of the worker while it had the partition: then they are read from the log. What it does not
do: decide which trades repeat (`core.feeds.tape`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from aiokafka import TopicPartition

from sofia_streams.model import TradeBatch
from sofia_streams.worker.logtail import RECORDS_MAX
from sofia_streams.worker.retrying import retry

Read = Callable[[TopicPartition, int, int], AsyncIterator[object]]
"""The records of a partition from an offset to before another one; may raise DependencyDown."""


class Remembering:
    """Gives `note` every batch of trades that stands before what is handled, up to RECORDS_MAX records back."""

    def __init__(self, read: Read, note: Callable[[TradeBatch], object]) -> None:
        self._read, self._note = read, note
        self._next: dict[TopicPartition, int] = {}

    async def before(self, message: Any) -> None:
        """Call it before each record is handled, in their order; waits while the broker is away."""
        place, offset = TopicPartition(message.topic, message.partition), message.offset
        known = self._next.get(place, 0)
        if offset > known:
            await retry(lambda: self._remember(place, max(known, offset - RECORDS_MAX), offset), "log")
        self._next[place] = offset + 1

    async def _remember(self, place: TopicPartition, first: int, until: int) -> None:
        async for record in self._read(place, first, until):
            if isinstance(record, TradeBatch):
                self._note(record)
