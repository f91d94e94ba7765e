"""Reads the end of a log topic once: to remember what was there before a restart. Follows nothing, commits nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiokafka import AIOKafkaConsumer, TopicPartition

from sofia_streams import codec, topics
from sofia_streams.errors import BadRecord
from sofia_streams.model import TradeBatch
from sofia_streams.settings import Settings

RECORDS_MAX = 20_000
"""How far back, a partition: at 50 ms a record and 12 instruments, well over a minute."""


async def read_tail(
    settings: Settings, topic: topics.Topic, *, group: str | None = None, records_max: int = RECORDS_MAX
) -> AsyncIterator[tuple[int, TradeBatch]]:
    """(offset, batch) of the last records of `trades`: up to the end, or up to what `group` has committed."""
    name = topics.wire_name(topic, settings.namespace)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.broker().removeprefix("kafka://"), group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        places = [TopicPartition(name, number) for number in range(settings.topic_partitions)]
        consumer.assign(places)
        first, last = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        for place in places:
            end = last[place] if group is None else (await consumer.committed(place) or 0)
            last[place] = min(end, last[place])
            consumer.seek(place, max(first[place], last[place] - records_max))
        waiting = {place for place in places if await consumer.position(place) < last[place]}
        while waiting:
            for place, messages in (await consumer.getmany(*waiting, timeout_ms=1_000)).items():
                for message in messages:
                    if message.offset >= last[place]:
                        break
                    try:
                        record = codec.decode_trades(message.value)
                    except BadRecord:
                        continue  # its reader has quarantined it
                    if isinstance(record, TradeBatch):
                        yield message.offset, record
                if await consumer.position(place) >= last[place]:
                    waiting.discard(place)
    finally:
        await consumer.stop()
