"""Follows `features` and `predictions` of all partitions, from a bounded time back, whoever else reads them.

Commits nothing. Read a stretch at a time: each call reads up to the log's end as it is then.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiokafka import AIOKafkaConsumer, TopicPartition

from sofia_streams import codec, topics
from sofia_streams.errors import BadRecord
from sofia_streams.logread import places, records_between, since_ms
from sofia_streams.scored import Features, Prediction
from sofia_streams.settings import Settings

_BOTH = (topics.FEATURES, topics.PREDICTIONS)


def followed(data: bytes | None) -> Features | Prediction:
    """A record of either. Raises BadRecord."""
    record = codec.decode_scored(data)
    if not isinstance(record, Features | Prediction):
        raise BadRecord(
            f"expected a record of `features` or `predictions`, found one of {type(record).__name__}. Nothing of ours "
            "writes it there: look what else writes to this topic."
        )
    return record


class Follower:
    """One reader's place in both topics."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._next: dict[TopicPartition, int] = {}
        self.windows = 0
        """Bars that `features` holds."""

    async def begin(self, consumer: AIOKafkaConsumer, from_ns: int) -> None:
        """Next is read what speaks of `from_ns` or later: no record is older than its bar. Raises KafkaError."""
        both = [place for topic in _BOTH for place in places(self._settings, topic)]
        ends = await consumer.end_offsets(both)
        found = await consumer.offsets_for_times(dict.fromkeys(both, since_ms(from_ns)))
        self._next = {place: at.offset if (at := found.get(place)) is not None else ends[place] for place in both}

    async def read(self, consumer: AIOKafkaConsumer) -> AsyncIterator[Features | Prediction]:
        """Up to the present end; what cannot be read is left out, its readers set it aside. Raises KafkaError."""
        first, ends = await consumer.beginning_offsets(list(self._next)), await consumer.end_offsets(list(self._next))
        ours = {place.topic for place in places(self._settings, topics.FEATURES)}
        self.windows = sum(ends[place] - first[place] for place in self._next if place.topic in ours)
        starts = {
            place: max(at, first[place]) if at <= ends[place] else first[place] for place, at in self._next.items()
        }
        async for message in records_between(consumer, starts, ends):
            self._next[TopicPartition(message.topic, message.partition)] = message.offset + 1
            try:
                yield followed(message.value)
            except BadRecord:
                continue
        self._next |= ends
