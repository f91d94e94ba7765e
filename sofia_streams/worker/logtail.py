"""Reads a little of a log topic once: its end or what stands before a record, to remember it, or single records.

Follows nothing, commits nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from sofia_streams import topics
from sofia_streams.logread import broker_down, places, readable, reader, records_between
from sofia_streams.model import Gap, Punctuation, TradeBatch
from sofia_streams.settings import Settings
from sofia_streams.worker.trail import LogExtent, mark_of

_ANSWER_S = 30
RECORDS_MAX = 20_000
"""How far back, a partition: at 50 ms a record and 12 instruments, well over a minute."""


async def read_tail(
    settings: Settings, *, records_max: int = RECORDS_MAX
) -> AsyncIterator[TradeBatch | Punctuation | Gap]:
    """The last records of each partition of `trades`. Raises KafkaError."""
    async with reader(settings) as consumer:
        chosen = places(settings, topics.TRADES)
        first, last = await consumer.beginning_offsets(chosen), await consumer.end_offsets(chosen)
        starts = {place: max(first[place], last[place] - records_max) for place in chosen}
        async for record in _decoded(consumer, starts, last):
            yield record


async def read_before(
    settings: Settings, place: TopicPartition, first: int, until: int
) -> AsyncIterator[TradeBatch | Punctuation | Gap]:
    """The records of a partition of `trades` from an offset to before another one, as far as the log has them.

    Raises DependencyDown.
    """
    try:
        async with reader(settings) as consumer:
            begin, end = await consumer.beginning_offsets([place]), await consumer.end_offsets([place])
            starts, ends = {place: max(first, begin[place])}, {place: min(until, end[place])}
            async for record in _decoded(consumer, starts, ends):
                yield record
    except KafkaError as error:
        raise broker_down(settings, error) from error


async def _decoded(
    consumer: AIOKafkaConsumer, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> AsyncIterator[TradeBatch | Punctuation | Gap]:
    async for message in records_between(consumer, starts, ends):
        if (record := readable(message.value)) is not None:
            yield record


async def marks_at(settings: Settings, wanted: Mapping[TopicPartition, int]) -> dict[TopicPartition, str | None]:
    """The mark of the record at an offset of each partition; None where the log does not reach so far.

    A partition whose record retention has dropped is left out: nothing can be said of it. Raises DependencyDown.
    """
    found = await extents(settings, {place: (offset,) for place, offset in wanted.items()})
    return {place: found[place].marks[offset] for place, offset in wanted.items() if offset in found[place].marks}


async def extents(
    settings: Settings, wanted: Mapping[TopicPartition, Sequence[int]]
) -> dict[TopicPartition, LogExtent]:
    """Each partition as the log has it now, with the marks of these offsets. Raises DependencyDown."""
    found = await records_at(settings, wanted)
    return {
        place: log._replace(
            marks={at: mark_of(one.timestamp, one.value) if one else None for at, one in records.items()}
        )
        for place, (log, records) in found.items()
    }


async def records_at(
    settings: Settings, wanted: Mapping[TopicPartition, Sequence[int]]
) -> dict[TopicPartition, tuple[LogExtent, dict[int, Any]]]:
    """Each partition as the log has it now, and its records at these offsets: None where the log does not reach so far.

    What retention has dropped is left out. Raises DependencyDown.
    """
    if not wanted:
        return {}  # a broker is never heard to answer a question about nothing
    try:
        async with asyncio.timeout(_ANSWER_S), reader(settings) as consumer:
            first, ends = await consumer.beginning_offsets(list(wanted)), await consumer.end_offsets(list(wanted))
            logs = {place: LogExtent(first[place], ends[place]) for place in wanted}
            return {place: (log, await _records(consumer, place, wanted[place], log)) for place, log in logs.items()}
    except (KafkaError, TimeoutError) as error:
        raise broker_down(settings, error) from error


async def _records(
    consumer: AIOKafkaConsumer, place: TopicPartition, offsets: Sequence[int], log: LogExtent
) -> dict[int, Any]:
    found: dict[int, Any] = {offset: None for offset in offsets if offset >= log.end}
    consumer.assign([place])
    for offset in offsets:
        if log.first <= offset < log.end:
            consumer.seek(place, offset)
            message = await consumer.getone(place)
            if message.offset == offset:
                found[offset] = message
    return found
