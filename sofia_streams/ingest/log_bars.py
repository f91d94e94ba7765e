"""What the log has of symbols' consolidated bars before a moment. Reads a stretch of their partitions once.

What it does not do: follow the log, say what venues had before (`rest.history`).
"""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from sofia_streams import codec, topics
from sofia_streams.core.features.history import Run
from sofia_streams.errors import BadRecord
from sofia_streams.ingest.log_trades import partition_of
from sofia_streams.logread import broker_down, reader, records_between, since_ms
from sofia_streams.model import CONSOLIDATED, Bar
from sofia_streams.scored import History
from sofia_streams.settings import Settings

_BACK_WINDOWS = 80
"""So far back is looked: more bars than any feature needs."""


class _Symbol:
    """What has been read of a symbol so far."""

    def __init__(self, first_ns: int, size_ns: int) -> None:
        self._first_ns, self._run = first_ns, Run(size_ns)
        self._history_ns: int | None = None

    def take(self, record: codec.InBars) -> None:
        """A record of its partition and key."""
        if isinstance(record, History) and record.size_ns == self._run.size_ns and record.klines:
            self._history_ns = record.klines[-1].start_ns
        elif isinstance(record, Bar) and self._is_before(record):
            self._run.take(record)

    def _is_before(self, bar: Bar) -> bool:
        return (bar.venue, bar.size_ns) == (CONSOLIDATED, self._run.size_ns) and bar.start_ns <= self._first_ns

    def is_known(self) -> bool:
        """Whether its features go on, or have their history."""
        began_ns = self._run.began_ns
        has_history = self._history_ns is not None and began_ns is not None and self._history_ns >= began_ns
        return self._run.is_warm or has_history


async def known_before(settings: Settings, firsts_ns: Mapping[str, int], size_ns: int) -> set[str]:
    """Which of these symbols need no history at a bar (its start, ns), since the log has enough of what was before it.

    Enough bars of that size without a hole, or their history. Raises DependencyDown.
    """
    symbols = {symbol: _Symbol(first_ns, size_ns) for symbol, first_ns in firsts_ns.items()}
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
                if (one := by_key.get(message.key)) is not None and (record := _readable(message.value)) is not None:
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
