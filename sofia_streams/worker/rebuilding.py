"""Reads old minutes from the log again and publishes what changed: for trades later than the kept rows of the table.

One read serves every late record that it reached. A minute whose first trades the log no longer has is left as it is,
and that is said. What it does not do: anything about windows that are still kept (`core.candles`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from sofia_streams import codec, topics
from sofia_streams.core.candles import Step
from sofia_streams.core.rebuild import MinuteTrades, Place, changed_bars, place_of
from sofia_streams.core.windows import Heard, Minute, Name
from sofia_streams.errors import BadRecord
from sofia_streams.logread import records_between, since_ms
from sofia_streams.model import Bar
from sofia_streams.obs import metrics
from sofia_streams.settings import Settings

_log = structlog.get_logger("rebuilding")


class Rebuilder:
    """`publish` sends a bar and returns the future of its acknowledgement."""

    def __init__(self, settings: Settings, publish: Callable[[Bar], Awaitable[Awaitable[Any]]]) -> None:
        self._settings, self._publish = settings, publish
        self._reached: dict[Minute, int] = {}

    async def rebuild(self, step: Step, partition: int, offset: int) -> None:
        """Publish the bars of a step's `rebuild`, whose record stands at `offset`, and wait for the log's ack."""
        wanted = [minute for minute in step.rebuild if self._reached.get(minute, -1) < offset]
        if wanted:
            with metrics.WAITING.labels("rebuild").track_inprogress():
                await self._rebuild(wanted, step.heard, partition)

    async def _rebuild(self, wanted: list[Minute], heard: Mapping[Name, Heard], partition: int) -> None:
        trades, bars = (self._place(topic, partition) for topic in (topics.TRADES, topics.BARS))
        begin_ms = since_ms(min(minute.start_ns for minute in wanted))
        address = self._settings.broker_address()
        async with AIOKafkaConsumer(bootstrap_servers=address, enable_auto_commit=False) as consumer:
            consumer.assign([trades, bars])
            ends = await consumer.end_offsets([trades, bars])
            if not await self._is_whole(consumer, trades, begin_ms):
                _log.error("too late to revise: the log no longer holds those minutes", minutes=wanted[:5])
                metrics.BARS_NOT_REBUILT.inc(len(wanted))
                return
            collected = MinuteTrades(wanted, heard)
            async for data in _between(consumer, trades, begin_ms, ends[trades]):
                _add(collected, data)
            published: dict[Place, Bar] = {}
            async for data in _between(consumer, bars, begin_ms, ends[bars]):
                _remember(published, data)
        sent = [await self._publish(bar) for bar in changed_bars(collected.windows(published), published)]
        for future in sent:
            await future
        self._reached |= dict.fromkeys(wanted, ends[trades] - 1)
        _log.warning("revised old bars from the log", minutes=len(wanted), bars=len(sent))

    def _place(self, topic: topics.Topic, partition: int) -> TopicPartition:
        return TopicPartition(topics.wire_name(topic, self._settings.namespace), partition)

    async def _is_whole(self, consumer: AIOKafkaConsumer, trades: TopicPartition, begin_ms: int) -> bool:
        """Whether nothing as new as `begin_ms` was dropped by retention."""
        first = (await consumer.beginning_offsets([trades]))[trades]
        if first == 0:
            return True
        found = (await consumer.offsets_for_times({trades: begin_ms}))[trades]
        return found is not None and found.offset > first


async def _between(consumer: AIOKafkaConsumer, place: TopicPartition, begin_ms: int, end: int) -> Any:
    """The values of a partition from about `begin_ms` to before `end`."""
    found = (await consumer.offsets_for_times({place: begin_ms}))[place]
    if found is None:
        return
    async for message in records_between(consumer, {place: found.offset}, {place: end}):
        yield message.value


def _add(collected: MinuteTrades, data: bytes) -> None:
    try:
        record = codec.decode_trades(data)
    except BadRecord:
        return  # its reader has quarantined it
    collected.add(record)


def _remember(published: dict[Place, Bar], data: bytes) -> None:
    try:
        bar = codec.decode_bar(data)
    except BadRecord:
        return
    published[place_of(bar)] = bar
