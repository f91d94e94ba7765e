"""What a worker must know of a partition before it handles its first record: what stands before, a bounded time back.

For a worker that follows two topics with the same partitions, whose records of one bar belong together: both are read
from so far back that the one which is behind has what it needs. What it does not do: follow the log, keep anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from sofia_streams import topics
from sofia_streams.errors import BadRecord
from sofia_streams.logread import broker_down, reader, records_between, since_ms
from sofia_streams.settings import Settings
from sofia_streams.worker.retrying import retry

_RECORDS_MAX = 500_000


class Ended(Protocol):
    """A record of a bar."""

    @property
    def end_ns(self) -> int: ...  # noqa: D102


T = TypeVar("T", bound=Ended)


class Recalling(Generic[T]):
    """`decode` reads a record and raises BadRecord; `take` is given what stands before; `back_ns` is how far."""

    def __init__(
        self,
        settings: Settings,
        worker: str,
        both: Sequence[topics.Topic],
        decode: Callable[[bytes | None], T],
        take: Callable[[T], object],
        *,
        back_ns: int,
    ) -> None:
        self._settings, self._group = settings, topics.app_id(worker, settings.namespace)
        self._names = [topics.wire_name(topic, settings.namespace) for topic in both]
        self._decode, self._take, self._back_ns = decode, take, back_ns
        self._lock = asyncio.Lock()
        self._known: set[int] = set()

    def forget(self) -> None:
        """Another worker may have had the partitions meanwhile."""
        self._known.clear()

    async def before(self, message: Any) -> None:
        """Call it before each record is handled; waits while the broker is away."""
        async with self._lock:
            if message.partition not in self._known:
                await retry(lambda: self._recall(message), "log")
                self._known.add(message.partition)

    async def _recall(self, message: Any) -> None:
        """Raises DependencyDown."""
        both = [TopicPartition(name, message.partition) for name in self._names]
        try:
            async with reader(self._settings, group=self._group) as consumer:
                first, ends = await consumer.beginning_offsets(both), await consumer.end_offsets(both)
                until = {place: min(await consumer.committed(place) or first[place], ends[place]) for place in both}
                until[TopicPartition(message.topic, message.partition)] = message.offset
                oldest_ns = min([await self._end_ns(consumer, place, until[place], ends[place]) for place in both])
                starts = await self._starts(consumer, both, first, until, oldest_ns)
                async for found in records_between(consumer, starts, until):
                    try:
                        self._take(self._decode(found.value))
                    except BadRecord:
                        continue  # it is set aside when it is followed
        except KafkaError as error:
            raise broker_down(self._settings, error) from error

    async def _end_ns(self, consumer: AIOKafkaConsumer, place: TopicPartition, offset: int, end: int) -> int:
        """End of the first bar from there on; far ahead where there is none yet."""
        async for found in records_between(consumer, {place: offset}, {place: end}):
            try:
                return self._decode(found.value).end_ns
            except BadRecord:
                continue
        return 2**63

    async def _starts(
        self,
        consumer: AIOKafkaConsumer,
        both: Sequence[TopicPartition],
        first: Mapping[TopicPartition, int],
        until: Mapping[TopicPartition, int],
        end_ns: int,
    ) -> dict[TopicPartition, int]:
        """A record is never older than its bar, so those of a moment stand behind that time in the log."""
        since = await consumer.offsets_for_times(dict.fromkeys(both, since_ms(end_ns - self._back_ns)))
        starts = {}
        for place in both:
            found = since.get(place)
            start = until[place] if found is None else found.offset
            starts[place] = min(max(start, first[place], until[place] - _RECORDS_MAX), until[place])
        return starts
