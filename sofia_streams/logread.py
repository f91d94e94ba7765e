"""Reads a stretch of the log once: the partitions of a topic, their records up to a known end. Commits nothing.

Every consumer beside Faust's own is made here (`reader`, `connected`). Where the records that speak of a moment
begin in the log is said here once, for all readers (`since_ms`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from sofia_streams import codec, topics
from sofia_streams.errors import BadRecord, ConfigError, DependencyDown
from sofia_streams.model import NS_PER_MINUTE, NS_PER_MS, Gap, Punctuation, TradeBatch
from sofia_streams.settings import Settings

_WAIT_MS = 500
EARLY_NS = 5 * NS_PER_MINUTE
"""A record stands in the log at most so long before the moments that it speaks of, by the record's own time.

That time is the receiver's clock, the moments are the venue's. A trade is taken in from up to a minute ahead of the
receiver's clock (`core.feeds.plausible`); the rest is room for a clock that is set. How late one may stand has no
bound.
"""


def since_ms(moment_ns: int) -> int:
    """From which record time on to read, ms, so that everything is found that speaks of `moment_ns` or later."""
    return max(0, moment_ns - EARLY_NS) // NS_PER_MS


DECODE: Mapping[topics.Topic, Callable[[bytes | None], Any]] = {
    topics.TRADES: codec.decode_trades,
    topics.TICKERS: codec.decode_ticker,
    topics.BARS: codec.decode_bars,
    topics.GAPS: codec.decode_gap,
    topics.FEATURES: codec.decode_scored,
    topics.PREDICTIONS: codec.decode_scored,
    topics.SIGNALS: codec.decode_signals,
    topics.MODEL_QUALITY: codec.decode_scored,
    topics.ORDERS: codec.decode_orders,
    topics.FILLS: codec.decode_fills,
    topics.ACCOUNT: codec.decode_account,
    topics.CONTROL: codec.decode_control,
}
"""What reads the records of a topic that is followed; each raises BadRecord."""


async def connected(
    settings: Settings, *, begin: Literal["earliest", "latest", "none"] = "earliest", group: str | None = None
) -> AIOKafkaConsumer:
    """A connected consumer, to be assigned partitions; it commits nothing. Its caller stops it. Raises KafkaError.

    `begin` is where it reads a partition that is not sought, and where it goes on once retention has dropped what it
    was to read next: at the first record that is left, at the end (which passes over the rest), or it raises. With a
    `group` it can be asked what that group has committed. Assign only what is read next: the rest is read ahead as
    well, and holds up what is wanted.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.broker_address(), group_id=group, enable_auto_commit=False, auto_offset_reset=begin
    )
    try:
        await consumer.start()
    except BaseException:
        await consumer.stop()  # else it complains when it is collected
        raise
    return consumer


@asynccontextmanager
async def reader(
    settings: Settings, *, begin: Literal["earliest", "latest", "none"] = "earliest", group: str | None = None
) -> AsyncIterator[AIOKafkaConsumer]:
    """As `connected`, stopped at the end, for what reads once and goes. Raises KafkaError."""
    consumer = await connected(settings, begin=begin, group=group)
    try:
        yield consumer
    finally:
        await consumer.stop()


def broker_down(settings: Settings, error: KafkaError | TimeoutError) -> DependencyDown:
    """The broker does not answer, in words for whoever runs it."""
    return DependencyDown(f"expected the broker at {settings.broker_address()} to answer, found {error!r}. Is it up?")


def places(settings: Settings, topic: topics.Topic) -> list[TopicPartition]:
    """The partitions of a topic in the settings' namespace."""
    name = topics.wire_name(topic, settings.namespace)
    return [TopicPartition(name, number) for number in range(topics.partitions(topic, settings.topic_partitions))]


def check_partitions(described: Iterable[Mapping[str, Any]], settings: Settings) -> None:
    """Raise ConfigError where a topic, as a broker describes it, has other partitions than configured.

    A symbol would be in another partition than its state. DependencyDown where there is no such topic.
    """
    wanted = topics.all_partitions(settings.namespace, settings.topic_partitions)
    for found in described:
        if not found["partitions"]:
            raise DependencyDown(
                f"expected a topic {found['topic']}, found none (code {found['error_code']}). "
                "`sofia topics apply` makes it; `sofia up` does so by itself."
            )
        count, right = len(found["partitions"]), wanted[found["topic"]]
        if count != right:
            raise ConfigError(
                f"TOPIC_PARTITIONS: expected {right} partitions of {found['topic']}, found {count}. Set it so, "
                "or start with an empty data folder: a symbol must stay in its partition."
            )


async def records_between(
    consumer: AIOKafkaConsumer, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> AsyncIterator[Any]:
    """The records of each partition from its start to before its end, in order within a partition.

    The consumer is assigned to what there is to read, and to nothing else: it would read that ahead. Raises KafkaError.
    """
    waiting = {place for place, start in starts.items() if start < ends[place]}
    if waiting:
        consumer.assign(list(waiting))
    for place in waiting:
        consumer.seek(place, starts[place])
    while waiting:
        for place, messages in (await consumer.getmany(*waiting, timeout_ms=_WAIT_MS)).items():
            for message in messages:
                if message.offset < ends[place]:
                    yield message
            if await consumer.position(place) >= ends[place]:
                waiting.discard(place)


async def whole_topic(settings: Settings, topic: topics.Topic) -> AsyncIterator[bytes]:
    """The values of a topic's records up to its present end, each partition in order. Raises KafkaError."""
    async with reader(settings) as consumer:
        chosen = places(settings, topic)
        first, ends = await consumer.beginning_offsets(chosen), await consumer.end_offsets(chosen)
        async for message in records_between(consumer, first, ends):
            yield message.value


def readable(data: bytes | None) -> TradeBatch | Punctuation | Gap | None:
    """A record of `trades`; None where it cannot be read: whoever follows the log has quarantined it."""
    try:
        return codec.decode_trades(data)
    except BadRecord:
        return None


async def read_gaps(settings: Settings) -> AsyncIterator[Gap]:
    """Every record of `gaps`, those of an instrument in order. Raises KafkaError."""
    async for value in whole_topic(settings, topics.GAPS):
        try:
            yield codec.decode_gap(value)
        except BadRecord:
            continue  # its readers have quarantined it
