"""The producer that writes our records into the log, and a few records at once with it. Coalesces nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from aiokafka import AIOKafkaProducer

from sofia_streams import codec, topics
from sofia_streams.model import NS_PER_MS
from sofia_streams.settings import Settings


class Written(NamedTuple):
    """One record for the log; `at_ns` becomes its time there."""

    topic: topics.Topic
    key: str
    record: object
    at_ns: int
    partition: int | None = None
    """None: by the key."""


def log_producer(settings: Settings) -> AIOKafkaProducer:
    """A producer as ingest's own; not started."""
    return AIOKafkaProducer(
        bootstrap_servers=settings.broker_address(),
        acks="all",
        enable_idempotence=True,
        linger_ms=5,
        max_request_size=topics.TRADES.record_bytes_max,
    )


async def write_records(settings: Settings, records: Iterable[Written]) -> None:
    """Connect, write these in order, each acknowledged, and leave. Raises KafkaError."""
    producer = log_producer(settings)
    try:  # `async with` would not stop one that could not start, and it complains of that later
        await producer.start()
        for one in records:
            await producer.send_and_wait(
                topics.wire_name(one.topic, settings.namespace),
                codec.encode(one.record),
                key=one.key.encode(),
                timestamp_ms=one.at_ns // NS_PER_MS,
                partition=one.partition,
            )
    finally:
        await producer.stop()
