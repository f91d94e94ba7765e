"""Reads old minutes from the log again and publishes what changed: for trades later than the kept rows of the table,
and for news of a gap that reaches back further.

One read serves every late record that it reached. A gap's stretch of any length is read for what its bars are worth,
then its bars half a day at a time, so that memory is bounded. What the log no longer has whole is left as it is, and
that is said. What it does not do: anything about windows that are still kept (`core.candles`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from sofia_streams import codec, topics
from sofia_streams.core.candles import Step
from sofia_streams.core.rebuild import Marks, MinuteTrades, Place, changed_bars, is_within, place_of, remarked_bars
from sofia_streams.core.windows import Heard, Minute, Name, Stretch
from sofia_streams.errors import BadRecord
from sofia_streams.logread import EARLY_NS, readable, records_between, since_ms
from sofia_streams.model import NS_PER_MINUTE, NS_PER_MS, Bar
from sofia_streams.obs import metrics
from sofia_streams.settings import Settings

_log = structlog.get_logger("rebuilding")
_PIECE_NS = 12 * 60 * NS_PER_MINUTE


class Rebuilder:
    """`publish` sends a bar and returns the future of its acknowledgement."""

    def __init__(self, settings: Settings, publish: Callable[[Bar], Awaitable[Awaitable[Any]]]) -> None:
        self._settings, self._publish = settings, publish
        self._reached: dict[Minute, int] = {}

    async def rebuild(self, step: Step, partition: int, offset: int) -> None:
        """Publish what a step says of old bars, whose record stands at `offset`, and wait for the log's ack."""
        wanted = [minute for minute in step.rebuild if self._reached.get(minute, -1) < offset]
        with metrics.WAITING.labels("rebuild").track_inprogress():
            if wanted:
                await self._rebuild(wanted, step.heard, partition)
            if step.remark is not None:
                await self._remark(step.remark, step.heard, partition)

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
        sent = await self._send(changed_bars(collected.windows(published), published))
        self._reached |= dict.fromkeys(wanted, ends[trades] - 1)
        _log.warning("revised old bars from the log", minutes=len(wanted), bars=sent)

    async def _remark(self, stretch: Stretch, heard: Mapping[Name, Heard], partition: int) -> None:
        trades, bars = (self._place(topic, partition) for topic in (topics.TRADES, topics.BARS))
        marks, sent = Marks(heard), 0
        address = self._settings.broker_address()
        async with AIOKafkaConsumer(bootstrap_servers=address, enable_auto_commit=False) as consumer:
            consumer.assign([trades, bars])
            ends = await consumer.end_offsets([trades, bars])
            whole = await self._whole(consumer, trades, stretch)
            if whole.from_ns >= whole.end_ns:
                return
            async for data in _between(consumer, trades, since_ms(whole.from_ns), ends[trades]):
                _add(marks, data)
            for from_ns in range(whole.from_ns, whole.end_ns, _PIECE_NS):
                ends_ns = (min(from_ns + _PIECE_NS, end_ns) for end_ns in (whole.until_ns, whole.joint_until_ns))
                piece = Stretch(*whole[:3], from_ns, *ends_ns)
                published: dict[Place, Bar] = {}
                async for data in _between(consumer, bars, since_ms(from_ns), ends[bars]):
                    _remember(published, data, piece)
                sent += await self._send(remarked_bars(marks, published))
        _log.warning("a gap's news reached old bars", venue=stretch.venue, symbol=stretch.symbol, bars=sent)

    async def _whole(self, consumer: AIOKafkaConsumer, trades: TopicPartition, stretch: Stretch) -> Stretch:
        """The part of a stretch of which retention has dropped nothing; the rest is said."""
        first = (await consumer.beginning_offsets([trades]))[trades]
        if first == 0:
            return stretch
        consumer.seek(trades, first)
        begin_ns = (await consumer.getone(trades)).timestamp * NS_PER_MS + EARLY_NS
        from_ns = max(stretch.from_ns, begin_ns - begin_ns % NS_PER_MINUTE + NS_PER_MINUTE)
        if from_ns > stretch.from_ns:
            lost = (min(from_ns, stretch.end_ns) - stretch.from_ns) // NS_PER_MINUTE
            _log.error("too late to revise: the log no longer holds those minutes", minutes=lost, stretch=stretch)
            metrics.BARS_NOT_REBUILT.inc(lost)
        return stretch._replace(from_ns=from_ns)

    async def _send(self, bars: Iterable[Bar]) -> int:
        """Publish bars and wait for their acks; how many."""
        sent = [await self._publish(bar) for bar in bars]
        for future in sent:
            await future
        return len(sent)

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


def _add(collected: MinuteTrades | Marks, data: bytes) -> None:
    record = readable(data)
    if record is not None:
        collected.add(record)


def _remember(published: dict[Place, Bar], data: bytes, stretch: Stretch | None = None) -> None:
    try:
        bar = codec.decode_bar(data)
    except BadRecord:
        return
    if stretch is None or is_within(place_of(bar), stretch):
        published[place_of(bar)] = bar
