"""What the log has of symbols' consolidated bars before a moment. Reads a stretch of their partitions once.

What it does not do: follow the log, say what venues had before (`rest.history`).
"""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from sofia_streams import codec, topics
from sofia_streams.core.features.history import Before
from sofia_streams.errors import BadRecord
from sofia_streams.ingest.log_trades import partition_of
from sofia_streams.logread import broker_down, reader, records_between, since_ms
from sofia_streams.model import Bar
from sofia_streams.scored import History
from sofia_streams.settings import Settings

_BACK_WINDOWS = 80
"""So far back is looked: more bars than any feature needs."""


async def known_before(settings: Settings, firsts_ns: Mapping[str, int], size_ns: int) -> set[str]:
    """Which of these symbols need no history at a bar (its start, ns), since the log has enough of what was before it.

    Enough bars of that size without a hole, or their history. Raises DependencyDown.
    """
    symbols = {symbol: Before(first_ns, size_ns) for symbol, first_ns in firsts_ns.items()}
    by_key = {symbol.encode(): one for symbol, one in symbols.items()}
    count = topics.partitions(topics.BARS, settings.topic_partitions)
    name = topics.wire_name(topics.BARS, settings.namespace)
    places = [TopicPartition(name, number) for number in sorted({partition_of(one, count) for one in symbols})]
    from_ms = since_ms(max(0, min(firsts_ns.values()) - _BACK_WINDOWS * size_ns))
    try:
        async with reader(settings) as consumer:
            begins = await consumer.offsets_for_times(dict.fromkeys(places, from_ms))
            starts = {place: found.offset for place, found in begins.items() if found is not None}
            ends = dict(await consumer.end_offsets(places))
            async for message in records_between(consumer, starts, ends):
                one = by_key.get(message.key)
                if one is not None and isinstance(record := _readable(message.value), Bar | History):
                    one.take(record)
    except KafkaError as error:
        raise broker_down(settings, error) from error
    return {symbol for symbol, one in symbols.items() if one.is_known()}


def _readable(data: bytes | None) -> codec.InBars | None:
    """None where it cannot be read: whoever follows the log has quarantined it."""
    try:
        return codec.decode_bars(data)
    except BadRecord:
        return None
