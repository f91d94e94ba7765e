"""Reads old minutes from the log again and publishes what changed: for trades later than the kept rows of the table,
and for news of a gap that reaches back further.

One read serves every late record that it reached, and all news of gaps that waits. The log is read for what bars are
worth from the oldest gap on, then the bars a day's worth at a time, so that memory is bounded. What the log no longer
has whole is left as it is, and that is said. What it does not do: anything about windows that are still kept
(`core.bars.candles`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from sofia_streams import codec, topics
from sofia_streams.core.bars.candles import Step
from sofia_streams.core.bars.ohlcv import window_start_ns
from sofia_streams.core.bars.rebuild import Marks, MinuteTrades, Published, changed_bars, remarked_bars
from sofia_streams.core.bars.stretches import Piece, minutes_before, pieces
from sofia_streams.core.bars.windows import UNHEARD_NS, Heard, Minute, Name, Stretch
from sofia_streams.errors import BadRecord
from sofia_streams.logread import EARLY_NS, readable, reader, records_between, since_ms
from sofia_streams.model import NS_PER_MINUTE, NS_PER_MS, Bar
from sofia_streams.obs import metrics
from sofia_streams.settings import Settings

_log = structlog.get_logger("rebuilding")
_PIECE_NS = 24 * 60 * NS_PER_MINUTE
"""So much time of one venue's bars, seconds and minutes, is held at once: 88,000 bars."""


class Rebuilder:
    """`publish` sends a bar and returns the future of its acknowledgement; `flush` waits for all that was sent."""

    def __init__(
        self,
        settings: Settings,
        publish: Callable[[Bar], Awaitable[Awaitable[Any]]],
        flush: Callable[[], Awaitable[None]],
    ) -> None:
        self._settings, self._publish, self._flush = settings, publish, flush
        self._reached: dict[int, dict[Minute, int]] = defaultdict(dict)
        """By partition: how far the log was read when a minute was made again, while a step may stand before that."""
        self._news: dict[int, list[Step]] = defaultdict(list)

    def rebuild(self, step: Step, partition: int, offset: int) -> Awaitable[None]:
        """Publish what a step says of old bars, whose record stands at `offset`, and wait for the log's ack.

        Call it when the step's own bars were sent, in the order of the records; await it once the outputs of all
        earlier records are in the log. News of gaps that were named by then are served with the first one's.
        """
        if step.remark is not None:
            self._news[partition].append(step)
        return self._rebuild_step(step, partition, offset)

    async def _rebuild_step(self, step: Step, partition: int, offset: int) -> None:
        reached = self._reached[partition]
        wanted = [minute for minute in step.rebuild if reached.get(minute, -1) < offset]
        with metrics.WAITING.labels("rebuild").track_inprogress():
            if wanted:
                self._reached[partition] = {minute: last for minute, last in reached.items() if last >= offset}
                await self._rebuild(wanted, step.heard, partition)
            if any(one is step for one in self._news[partition]):
                await self._remark(self._news.pop(partition), partition)

    async def _rebuild(self, wanted: list[Minute], heard: Mapping[Name, Heard], partition: int) -> None:
        trades, bars = (self._place(topic, partition) for topic in (topics.TRADES, topics.BARS))
        async with reader(self._settings) as consumer:
            ends = await consumer.end_offsets([trades, bars])
            whole_ns = await _whole_ns(consumer, trades, ends[trades])
            whole = [minute for minute in wanted if minute.start_ns >= whole_ns]
            _say_lost(len(wanted) - len(whole))
            if not whole:
                return
            begin_ms = since_ms(min(minute.start_ns for minute in whole))
            collected = MinuteTrades(whole, heard)
            async for data in _between(consumer, trades, begin_ms, ends[trades]):
                _add(collected, data)
            published = Published()
            async for data in _between(consumer, bars, begin_ms, ends[bars]):
                _remember(published, data)
        sent = await self._send(changed_bars(collected.windows(published.last), published))
        self._reached[partition] |= dict.fromkeys(whole, ends[trades] - 1)
        _log.warning("revised old bars from the log", minutes=len(whole), bars=sent)

    async def _remark(self, news: list[Step], partition: int) -> None:
        """What the bars of these steps' stretches are worth by all of the log, which holds the records of them all."""
        await self._flush()  # the bars of the later ones were sent, and may be revised by a step between them
        trades, bars = (self._place(topic, partition) for topic in (topics.TRADES, topics.BARS))
        marks, sent = Marks({name: heard for step in news for name, heard in step.heard.items()}), 0
        async with reader(self._settings) as consumer:
            ends = await consumer.end_offsets([trades, bars])
            whole_ns = await _whole_ns(consumer, trades, ends[trades])
            stretches = _later_than(whole_ns, (step.remark for step in news if step.remark is not None))
            if not stretches:
                return
            begin_ms = since_ms(min(one.from_ns for one in stretches))
            async for data in _between(consumer, trades, begin_ms, ends[trades]):
                _add(marks, data)
            for piece in pieces(stretches, _PIECE_NS):
                published = Published()
                async for data in _between(consumer, bars, since_ms(piece.from_ns), ends[bars]):
                    _remember(published, data, piece)
                sent += await self._send(remarked_bars(marks, published))
        _log.warning("news of gaps reached old bars", news=len(news), first=stretches[0], bars=sent)

    async def _send(self, bars: Iterable[Bar]) -> int:
        """Publish bars and wait for their acks; how many."""
        sent = [await self._publish(bar) for bar in bars]
        for future in sent:
            await future
        return len(sent)

    def _place(self, topic: topics.Topic, partition: int) -> TopicPartition:
        return TopicPartition(topics.wire_name(topic, self._settings.namespace), partition)


async def _whole_ns(consumer: AIOKafkaConsumer, trades: TopicPartition, end: int) -> int:
    """The start of the first minute from which on retention has dropped nothing of the trades."""
    first = (await consumer.beginning_offsets([trades]))[trades]
    if first == 0:
        return 0
    if first >= end:
        return UNHEARD_NS
    consumer.assign([trades])
    consumer.seek(trades, first)
    begin_ns = (await consumer.getone(trades)).timestamp * NS_PER_MS + EARLY_NS
    return window_start_ns(begin_ns, NS_PER_MINUTE) + NS_PER_MINUTE


def _later_than(whole_ns: int, stretches: Iterable[Stretch]) -> list[Stretch]:
    """The parts of stretches from this moment on; that the log has the others no more is said."""
    found = list(stretches)
    _say_lost(minutes_before(whole_ns, found))
    return [one._replace(from_ns=max(one.from_ns, whole_ns)) for one in found if whole_ns < one.end_ns]


def _say_lost(minutes: int) -> None:
    """Of so many minutes, each of one venue's or the consolidated bars, the log has no longer all trades."""
    if minutes:
        _log.error("too late to revise: the log no longer holds those minutes", minutes=minutes)
        metrics.BARS_NOT_REBUILT.inc(minutes)


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


def _remember(published: Published, data: bytes, piece: Piece | None = None) -> None:
    try:
        bar = codec.decode_bar(data)
    except BadRecord:
        return
    if bar is not None and (piece is None or piece.holds(bar)):
        published.add(bar)
