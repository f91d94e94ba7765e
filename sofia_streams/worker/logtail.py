"""Reads a little of a log topic once: its end, to remember what was there before a restart, or single records.

Follows nothing, commits nothing.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from sofia_streams import codec, topics
from sofia_streams.errors import BadRecord, DependencyDown
from sofia_streams.logread import places, records_between, whole_topic
from sofia_streams.model import Gap, Punctuation, TradeBatch
from sofia_streams.settings import Settings

_ANSWER_S = 30
RECORDS_MAX = 20_000
"""How far back, a partition: at 50 ms a record and 12 instruments, well over a minute."""


async def read_tail(
    settings: Settings, topic: topics.Topic, *, group: str | None = None, records_max: int = RECORDS_MAX
) -> AsyncIterator[tuple[int, TradeBatch | Punctuation | Gap]]:
    """(offset, record) of the last records of `trades`: up to the end, or up to what `group` has committed."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.broker_address(), group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        chosen = places(settings, topic)
        consumer.assign(chosen)
        first, last = await consumer.beginning_offsets(chosen), await consumer.end_offsets(chosen)
        if group is not None:
            last = {place: min(await consumer.committed(place) or 0, last[place]) for place in chosen}
        starts = {place: max(first[place], last[place] - records_max) for place in chosen}
        async for message in records_between(consumer, starts, last):
            try:
                yield message.offset, codec.decode_trades(message.value)
            except BadRecord:
                continue  # its reader has quarantined it
    finally:
        await consumer.stop()


async def read_gaps(settings: Settings) -> AsyncIterator[Gap]:
    """Every record of `gaps`, those of an instrument in order."""
    async for value in whole_topic(settings, topics.GAPS):
        try:
            yield codec.decode_gap(value)
        except BadRecord:
            continue  # nobody else can write there but us; a torn one is nobody's gap


def mark_of(timestamp_ms: int, value: bytes | None) -> str:
    """A short text by which a record is known again."""
    return f"{timestamp_ms}-{zlib.crc32(value or b''):08x}"


async def marks_at(settings: Settings, wanted: Mapping[TopicPartition, int]) -> dict[TopicPartition, str | None]:
    """The mark of the record at an offset of each partition; None where the log does not reach so far.

    A partition whose record retention has dropped is left out: nothing can be said of it. Raises DependencyDown.
    """
    address = settings.broker_address()
    try:
        async with (
            asyncio.timeout(_ANSWER_S),
            AIOKafkaConsumer(bootstrap_servers=address, enable_auto_commit=False) as consumer,
        ):
            return await _marks(consumer, wanted)
    except (KafkaError, TimeoutError) as error:
        raise DependencyDown(f"expected the broker at {address} to answer, found {error!r}. Is it up?") from error


async def _marks(consumer: AIOKafkaConsumer, wanted: Mapping[TopicPartition, int]) -> dict[TopicPartition, str | None]:
    consumer.assign(list(wanted))
    first, last = await consumer.beginning_offsets(list(wanted)), await consumer.end_offsets(list(wanted))
    found: dict[TopicPartition, str | None] = {
        place: None for place, offset in wanted.items() if offset >= last[place]
    }
    for place, offset in wanted.items():
        if first[place] <= offset < last[place]:
            consumer.seek(place, offset)
            message = await consumer.getone(place)
            if message.offset == offset:
                found[place] = mark_of(message.timestamp, message.value)
    return found
