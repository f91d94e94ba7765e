"""Which ids the stream entries of a log partition get, so that a re-read adds nothing and a new log loses nothing.

Redis keeps, in the hash `bridge` of the namespace, how far each partition was published: the last offset, a mark of the
record there, and a base that is added to offsets (0 at first). When a partition is read for the first time, or from
further back than before, the record at that offset is looked up in the log:

- it is the same record: what comes again is refused by Redis, as it should be;
- it is another one, or the log is shorter: the topic was made anew, and its offsets began at 0. The base is raised
  above every id in the topic's streams, so ids go on growing and whoever reads the streams just reads on. It is said.

The position is written before the entries, so it is never behind them. An entry that is refused although the position
never reached it was written by another copy of the worker, which had the partition until now; where Redis has another
one at that id, or none, the topic was made anew, with the same cure. See docs/adr/0004. What it does not do: decide
which trades repeat, retry a write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import structlog
from aiokafka import TopicPartition

from sofia_streams.errors import ConfigError
from sofia_streams.obs import metrics
from sofia_streams.settings import Settings
from sofia_streams.stores.redis_entries import Entry, streams_of
from sofia_streams.stores.redis_streams import EVICTION_CURE, RedisStreams
from sofia_streams.topics import catalogue_name, partition_name
from sofia_streams.worker.logtail import marks_at
from sofia_streams.worker.retrying import retry
from sofia_streams.worker.sink import Item
from sofia_streams.worker.trail import mark_of

_log = structlog.get_logger("bridge")


class Position(msgspec.Struct, frozen=True):
    """How far a partition was published; `offset` is -1 when nothing of this log was."""

    offset: int = -1
    base: int = 0
    mark: str = ""


class _Read(NamedTuple):
    """A log record as it came, and the entries that it became."""

    place: TopicPartition
    message: Any
    entries: list[Entry]


class Bridge:
    """Publishes what the sink collected. One object a process."""

    def __init__(self, settings: Settings, store: RedisStreams) -> None:
        self._settings, self._store = settings, store
        self._key = f"{settings.stream_prefix()}bridge"
        self._positions: dict[TopicPartition, Position] = {}
        self._read: dict[TopicPartition, int] = {}
        self._batch: Sequence[Item] = ()
        self._runs_done = 0  # of that batch, which is given again after a failure

    async def refuse_eviction(self) -> None:
        """Raise ConfigError where a full Redis would drop entries; waits while it is down."""
        found = await retry(self._store.eviction, "redis")
        if found:
            raise ConfigError(f"redis: expected maxmemory-policy noeviction, found {found}. {EVICTION_CURE}")
        if found is None:
            _log.warning("redis does not say whether it drops entries when it is full; expected is noeviction")

    async def publish(self, batch: Sequence[Item]) -> None:
        """Add the entries of these records (`Item.record` is a list of them). Raises DependencyDown: do it again."""
        if batch is not self._batch:
            self._batch, self._runs_done = batch, 0
        for run in list(_runs(batch))[self._runs_done :]:
            await self._publish(run)
            self._runs_done += 1

    async def _publish(self, run: Sequence[_Read]) -> None:
        await self._check(self._suspects(run))
        known, reached = self._positions, dict(self._positions)
        for place, message, _ in run:
            if message.offset > reached[place].offset:
                mark = mark_of(round(message.timestamp * 1e3), message.value)
                reached[place] = Position(message.offset, known[place].base, mark)
        touched = {partition_name(place): msgspec.json.encode(reached[place]).decode() for place, _, _ in run}
        entries = [(entry, known[place].base) for place, _, found in run for entry in found]
        self._positions = {}  # what Redis has is not sure until it has answered
        refused = {id(entry) for entry in await self._store.publish(entries, first=(self._key, touched))}
        self._positions = reached
        self._read |= {place: message.offset for place, message, _ in run}
        if strange := await self._strange(run, known, refused):
            await self._begin_anew({one.place for one in strange}, "its ids were in Redis, but not from this log")
            await self._publish(strange)

    async def _strange(
        self, run: Sequence[_Read], known: Mapping[TopicPartition, Position], refused: set[int]
    ) -> list[_Read]:
        """What was refused beyond the known position, and is not in Redis as it is in the log."""
        beyond = [one for one in run if one.message.offset > known[one.place].offset]
        asked = [(e, known[one.place].base) for one in beyond for e in one.entries if id(e) in refused]
        lacking = {id(entry) for entry in await self._store.lacking(asked)} if asked else set()
        found = [one._replace(entries=[entry for entry in one.entries if id(entry) in lacking]) for one in beyond]
        return [one for one in found if one.entries]

    def _suspects(self, run: Sequence[_Read]) -> set[TopicPartition]:
        """Partitions that are new to this process, or that go back."""
        return {
            place
            for place, message, _ in run
            if place not in self._positions or message.offset <= self._read.get(place, -1)
        }

    async def _check(self, places: set[TopicPartition]) -> None:
        """Know the positions of these partitions; begin anew where the log is not the one that was published."""
        if not places:
            return
        stored = await self._store.read_hash(self._key)
        for place in places:
            self._positions[place] = _stored(stored.get(partition_name(place)))
        wanted = {place: self._positions[place] for place in places if self._positions[place].offset >= 0}
        if wanted:
            found = await marks_at(self._settings, {place: known.offset for place, known in wanted.items()})
            changed = {place for place, mark in found.items() if mark != wanted[place].mark}
            if changed:
                await self._begin_anew(changed, "the log is not the one whose records were published")

    async def _begin_anew(self, places: set[TopicPartition], why: str) -> None:
        """Give these partitions a base above everything that is in their topic's streams."""
        for place in sorted(places):
            topic = catalogue_name(place)
            base = await self._store.last_number(f"{self._settings.stream_prefix()}{streams_of(topic)}") + 1
            self._positions[place] = Position(base=base)
            self._read.pop(place, None)
            metrics.LOGS_BEGUN_ANEW.labels(topic).inc()
            _log.error(
                "the topic was made anew; its entries go on with higher ids, nothing is lost",
                place=partition_name(place), base=base, why=why,
            )  # fmt: skip


def _runs(batch: Sequence[Item]) -> Iterator[list[_Read]]:
    """The batch in its order, cut where a partition goes back."""
    run: list[_Read] = []
    last: dict[TopicPartition, int] = {}
    for item in batch:
        message = item.event.message  # type: ignore[attr-defined]  # a Faust event; the sink needs only its ack
        place = TopicPartition(message.topic, message.partition)
        if message.offset <= last.get(place, -1):
            yield run
            run, last = [], {}
        run.append(_Read(place, message, item.record))
        last[place] = message.offset
    if run:
        yield run


def _stored(text: str | None) -> Position:
    try:
        return msgspec.json.decode(text, type=Position) if text else Position()
    except msgspec.MsgspecError:
        return Position()  # then its ids turn out to be in Redis already, and it begins anew
