"""Stretches of several partitions as one, in about the order in which they were written; and single records by place.

Partitions are read side by side by the records' own times, so that whoever puts them in order by event time has little
to hold. What it does not do: decode records, commit anything.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from sofia_streams import topics
from sofia_streams.logread import places, reader, records_between, since_ms
from sofia_streams.settings import Settings
from sofia_streams.topics import partition_name, partition_named, place_of

_WAIT_MS = 500
_NEAR = 1_000
"""Records so near to each other are read in one go."""


async def side_by_side(
    consumer: AIOKafkaConsumer, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> AsyncGenerator[Any]:
    """The records from each start to before its end: a partition's in order, the one with the oldest time first.

    Raises KafkaError.
    """
    ahead: dict[TopicPartition, deque[Any]] = {one: deque() for one, at in starts.items() if at < ends[one]}
    consumer.assign([*ahead])
    for place in ahead:
        consumer.seek(place, starts[place])
    unread, empty, heap = set(ahead), set(ahead), list[tuple[int, TopicPartition]]()
    while empty or heap:
        while empty:  # the oldest is known once each has one
            for place, messages in (await consumer.getmany(*empty, timeout_ms=_WAIT_MS)).items():
                ahead[place].extend(one for one in messages if one.offset < ends[place])
            for place in [*empty]:
                if await consumer.position(place) >= ends[place]:
                    consumer.pause(place)
                    unread.discard(place)
                if ahead[place]:
                    heapq.heappush(heap, (ahead[place][0].timestamp, place))
                if ahead[place] or place not in unread:
                    empty.discard(place)
        if not heap:
            return
        _, place = heapq.heappop(heap)
        yield ahead[place].popleft()
        if ahead[place]:
            heapq.heappush(heap, (ahead[place][0].timestamp, place))
        elif place in unread:
            empty.add(place)


class Dropped(NamedTuple):
    """A place whose record is not there: before the first record that is left, or behind the last."""

    place: str
    reason: str


class LogView:
    """The log as it is now, by place and by symbol. `consumer` is only asked where things are.

    Each stretch is read by a consumer of its own: one that stands at the end of a partition waits there for half a
    second, and all that it is asked waits behind that.
    """

    def __init__(self, settings: Settings, consumer: AIOKafkaConsumer) -> None:
        self._settings, self.consumer = settings, consumer
        self._known: dict[str, Any] = {}

    async def at(self, place: str) -> Any:
        """The record at "topic/partition/offset", or why there is none (`Dropped`). Raises KafkaError."""
        await self.fetch([place])
        return self._known[place]

    async def fetch(self, wanted: Iterable[str]) -> None:
        """Read records that `at` is asked for next, those near to each other at once. Raises KafkaError."""
        offsets: dict[TopicPartition, set[int]] = {}
        for place in {*wanted} - self._known.keys():
            name, _, number = place.rpartition("/")
            offsets.setdefault(TopicPartition(*partition_named(name)), set()).add(int(number))
        for where, numbers in offsets.items():
            begin = (await self.consumer.beginning_offsets([where]))[where]
            end = (await self.consumer.end_offsets([where]))[where]
            for offset in numbers:
                self._known[f"{partition_name(where)}/{offset}"] = _dropped(where, offset, begin, end)
            for first, last in _stretches([one for one in numbers if begin <= one < end]):
                async for message in self.between({where: first}, {where: last + 1}):
                    if message.offset in numbers:
                        self._known[place_of(message)] = message

    async def between(
        self, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> AsyncGenerator[Any]:
        """The records from each start to before its end; those of a partition in order. Raises KafkaError."""
        if all(start >= ends[place] for place, start in starts.items()):
            return  # a consumer that is stopped before it has read anything raises
        async with reader(self._settings) as consumer:
            async for message in records_between(consumer, starts, ends):
                yield message

    async def since(
        self, topic: topics.Topic, since_ns: int, partition: int | None = None
    ) -> AsyncGenerator[Any]:
        """Records that may speak of a moment or later, to the end; those of a partition in order."""
        chosen = [one for one in places(self._settings, topic) if partition is None or one.partition == partition]
        ends = await self.consumer.end_offsets(chosen)
        starts = await self.starts(chosen, since_ns, ends)
        async for message in self.between(starts, ends):
            yield message

    async def starts(
        self, chosen: list[TopicPartition], since_ns: int, ends: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """From where on records may speak of a moment or later; the end where none does."""
        found = await self.consumer.offsets_for_times(dict.fromkeys(chosen, since_ms(since_ns)))
        return {place: one.offset if (one := found.get(place)) else ends[place] for place in chosen}


def _dropped(where: TopicPartition, offset: int, begin: int, end: int) -> Dropped:
    name = partition_name(where)
    if offset < begin:
        return Dropped(f"{name}/{offset}", f"retention has dropped it: {name} begins with record {begin} now")
    if offset >= end:
        return Dropped(f"{name}/{offset}", f"{name} ends before it, with record {end - 1}: it is another log")
    return Dropped(f"{name}/{offset}", "it is not there")


def _stretches(offsets: list[int]) -> list[tuple[int, int]]:
    """First and last of offsets that are near to each other."""
    found: list[tuple[int, int]] = []
    for offset in sorted(offsets):
        if found and offset - found[-1][1] <= _NEAR:
            found[-1] = found[-1][0], offset
        else:
            found.append((offset, offset))
    return found
