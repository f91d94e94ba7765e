"""Is the log that a worker comes back to the one it left, and whole? Asked wherever it begins to read, by every worker.

Faust and aiokafka go on at the first record that is left, and say nothing: what retention dropped in between is lost
unseen, and of a topic made anew everything up to the old offset. Here each is an error in the log, a metric, a critical
alert, and for trades an open gap of each configured instrument, which stands in `trades` as well where it was lost to
the bars; then the worker goes on where it can. Nothing is committed before that is in the log. What it does not do:
seek, change tables (`transport`).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Protocol

import structlog
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError

from sofia_streams import topics
from sofia_streams.core.bars.windows import Feed, instrument_key
from sofia_streams.logread import broker_down, check_partitions, readable
from sofia_streams.logwrite import Written, write_records
from sofia_streams.model import NS_PER_MS, NS_PER_SECOND, Alert, Gap, Punctuation, TradeBatch
from sofia_streams.obs import metrics
from sofia_streams.settings import Settings
from sofia_streams.worker.logtail import extents, records_at
from sofia_streams.worker.trail import Changed, LogExtent, Marks, Overtaken, from_text, judge, time_of

_log = structlog.get_logger("log_check")
Finding = Overtaken | Changed
_EDGE_NS = NS_PER_SECOND
"""A trade is logged so long after its own time, as a rule."""


class _Hole(NamedTuple):
    """What is missing of `trades`, in time."""

    since: int
    from_ns: int
    until_ns: int
    now_ns: int
    text: str


class Knows(Protocol):
    """What only the worker itself knows."""

    def is_in(self, place: TopicPartition, symbol: str) -> bool:
        """Whether a symbol's records are in this partition."""

    def newest(self, place: TopicPartition) -> tuple[str, Feed] | None:
        """The instrument of this partition whose last applied record is the newest, if the worker has a table."""


class LogCheck:
    """Of one worker; `group` is its consumer group."""

    def __init__(self, settings: Settings, group: str) -> None:
        self._settings, self._group = settings, group
        self._at_work_ms: int | None = None
        self._lost: dict[tuple[str, int], list[Gap]] = {}

    def was_at_work_ns(self) -> int | None:
        """The time of the newest record that was committed before this process began; None where none was."""
        return self._at_work_ms and self._at_work_ms * NS_PER_MS

    def take_lost(self, topic: str, partition: int) -> list[Gap]:
        """What was dropped before the first record that is read now; once. Bars must know it before they read on."""
        return self._lost.pop((topic, partition), [])

    async def topics_fit(self) -> None:
        """Raise ConfigError where a topic has other partitions than configured, DependencyDown where there is none."""
        names = [topics.wire_name(topic, self._settings.namespace) for topic in topics.TOPICS.values()]
        async with _admin(self._settings) as admin:
            check_partitions(await admin.describe_topics(names), self._settings)

    async def look(
        self, inputs: Iterable[TopicPartition], knows: Knows
    ) -> tuple[dict[TopicPartition, Finding], dict[TopicPartition, Marks]]:
        """What happened to these partitions since they were last committed, all of it announced; and their marks.

        Raises DependencyDown, KafkaError.
        """
        await self.topics_fit()
        places = [TopicPartition(place.topic, place.partition) for place in inputs]
        self._lost.clear()
        async with _admin(self._settings) as admin:
            answered = await admin.list_consumer_group_offsets(self._group, partitions=places)
        committed = {place: found.offset for place, found in answered.items() if found.offset >= 0}
        marks = {place: from_text(answered[place].metadata or "") for place in committed}
        if self._at_work_ms is None:
            self._at_work_ms = max((time_of(found[0][1]) for found in marks.values() if found), default=None)
        newest = {place: [offset for offset, _ in marks[place][:1]] for place in committed}
        logs = await extents(self._settings, newest)
        strange = [place for place in committed if judge(committed[place], marks[place], logs[place])]
        findings: dict[TopicPartition, Finding] = {}
        if strange:  # look closer
            asked = {place: [*(offset for offset, _ in marks[place]), logs[place].first] for place in strange}
            logs = await extents(self._settings, asked)
        for place in strange:
            if found := judge(committed[place], marks[place], logs[place]):
                findings[place] = found
                from_ns = time_of(marks[place][0][1]) * NS_PER_MS if marks[place] else None
                await self._announce(place, found, from_ns, logs[place], knows)
        for place in places:
            if place not in committed and (state := knows.newest(place)):
                await self._look_by_state(place, *state, findings, knows)
        return findings, marks

    async def _look_by_state(
        self, place: TopicPartition, key: str, feed: Feed, findings: dict[TopicPartition, Finding], knows: Knows
    ) -> None:
        """Where nothing is committed (Kafka forgets the offsets of a topic that is deleted), the table is asked.

        The record at the newest offset that an instrument has applied is of that instrument, and no newer than it.
        """
        log, records = (await records_at(self._settings, {place: [feed.offset]}))[place]
        if feed.offset not in records or is_applied(records[feed.offset], key, feed):
            return
        found = findings[place] = Changed(feed.offset + 1, log.first)
        log = (await extents(self._settings, {place: [log.first]}))[place]
        await self._announce(place, found, feed.reached_ns, log, knows)

    async def _announce(
        self, place: TopicPartition, found: Finding, from_ns: int | None, log: LogExtent, knows: Knows
    ) -> None:
        name, topic, now_ns = topics.partition_name(place), topics.catalogue_name(place), time.time_ns()
        if isinstance(found, Overtaken):
            metrics.LOG_OVERTAKEN.labels(topic).inc(found.first - found.since)
            text = (
                f"{self._group}: retention dropped {found.first - found.since} records of {name} before they were "
                f"read, offsets {found.since} to {found.first - 1}. It goes on at {found.first}. Keep the log for "
                "longer (TOPIC_RETENTION_HOURS) than a worker is ever off."
            )
        else:
            metrics.LOGS_BEGUN_ANEW.labels(topic).inc()
            text = (
                f"{self._group}: {name} is not the log that was read up to {found.since}: the topic was made anew, or "
                f"lost its end. It goes on at {found.resume_at}; what the old one held and was not read is lost."
            )
        _log.error(text)
        alert = Alert(f"{self._group}: {name} at {found.since}", "critical", self._group, text, now_ns)
        records = [Written(topics.ALERTS, self._group, alert, now_ns)]
        if topic == topics.TRADES.name and from_ns is not None:
            lost = _Hole(found.since, from_ns, _first_ns(log, now_ns), now_ns, text)
            keys = [symbol for symbol in self._settings.crypto_symbols if knows.is_in(place, symbol)]
            gaps, named = list(self._gaps(place, lost, keys)), [topics.GAPS]
            if knows.newest(place):  # bars are made of it: they must say so
                named, self._lost[place.topic, place.partition] = [topics.TRADES, topics.GAPS], gaps
            records += [Written(topic, gap.symbol, gap, now_ns) for gap in gaps for topic in named]
        await write_records(self._settings, records)

    def _gaps(self, place: TopicPartition, lost: _Hole, symbols: Iterable[str]) -> Iterable[Gap]:
        for symbol in symbols:
            for venue in self._settings.crypto_exchanges:
                yield Gap(
                    venue=venue,
                    market=self._settings.crypto_market,
                    symbol=symbol,
                    received_ns=lost.now_ns,
                    line=self._group,
                    gap_id=f"retention-{place.partition}-{lost.since}-{lost.until_ns}",
                    cause="retention",
                    state="open",
                    from_ns=min(lost.from_ns, lost.until_ns) - _EDGE_NS,
                    until_ns=lost.until_ns,
                    opened_ns=lost.now_ns,
                    detail=lost.text,
                )


def is_applied(message: Any, key: str, feed: Feed) -> bool:
    """Whether the record at a feed's offset may be the one it applied; None is no record."""
    record = readable(message.value if message else None)
    if record is None:
        return False
    times: list[int] = []
    if isinstance(record, TradeBatch):
        times = [trade.exchange_ns for trade in record.trades]
    elif isinstance(record, Punctuation):
        times = [record.exchange_ns]
    same = instrument_key(record.venue, record.market, record.symbol) == key
    return same and max(times, default=0) <= max(feed.newest_ns, feed.reached_ns)


def _first_ns(log: LogExtent, now_ns: int) -> int:
    """When the first record that is left was written; now, where there is none."""
    mark = log.marks.get(log.first)
    return time_of(mark) * NS_PER_MS if mark else now_ns


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=settings.broker_address())
    try:
        await client.start()
        yield client
    except KafkaConnectionError as error:
        raise broker_down(settings, error) from error
    finally:
        await client.close()


def positions_after(findings: Mapping[TopicPartition, Finding]) -> dict[TopicPartition, int]:
    """Where each of these partitions goes on."""
    return {
        place: found.first if isinstance(found, Overtaken) else found.resume_at for place, found in findings.items()
    }
