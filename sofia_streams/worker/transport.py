"""Faust's Kafka transport, with three of its traits mended (0.15.3). Everything else is Faust's.

**No record is lost when a worker comes back.** After recovery Faust resumes the input partitions, seeks to the
committed offsets, and then `flow_control.resume()` empties every stream's queue (`tables/recovery.py`). What was
fetched in between is gone: read, never processed, and its offset is passed over or stops every later commit. Here
input partitions stay paused until the queues are empty.

**The log is known again.** Commits carry marks of what was done, and where a worker begins to read, the log is compared
with them. A record that does not follow the one before is looked for again, and if the log has none ends the worker
(docs/adr/0009).

**No record is taken from a paused partition.** Faust hands aiokafka the set of active partitions itself and changes it
while the fetch waits. Pausing the last one empties the set, which aiokafka reads as "any": it takes records of paused
inputs, Faust drops them, and where that comes after the seek to the committed offsets they are passed over. Here the
fetch asks what is active when it takes a record.

**Short, filled fetches.** A client has one fetch under way for each broker. Where that one asks only for partitions
that have nothing, the broker keeps it for as long as it may (1.5 s in Faust 0.15.3, `transport/drivers/aiokafka.py`,
not a setting), and what arrives meanwhile in the other partitions waits. A fetch that returns with the first byte is
the other extreme: at 600 records a second it costs 600 fetches a second and worker, and the system calls of two cores.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Container, Iterable, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any, NamedTuple

import structlog
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver

from sofia_streams.crash_points import passing
from sofia_streams.errors import LogChanged
from sofia_streams.obs import metrics
from sofia_streams.topics import partition_name
from sofia_streams.worker.log_check import positions_after
from sofia_streams.worker.trail import Changed, Marks, extended, mark_of, to_text

_log = structlog.get_logger("transport")


class Pace(NamedTuple):
    """How a worker reads and sends.

    A fetch returns when it has `fetch_bytes_min`, or after `fetch_ms_max` with what there is; what is sent waits
    `linger_s` for more.
    """

    fetch_ms_max: int
    fetch_bytes_min: int
    linger_s: float


CALM = Pace(200, 64 * 1024, 0.01)
"""Nobody waits for a record: with little to do it costs little."""
STEADY = Pace(20, 64 * 1024, 0.01)
"""Many records, and somebody reads what becomes of each."""
BRISK = Pace(10, 64 * 1024, 0.0)
"""Many records, and somebody waits for what some of them cause."""
PROMPT = Pace(20, 1, 0.0)
"""Few records, and somebody waits for what each causes: it is fetched as it comes. Costs a fetch a record."""
_LOOK_S = 20.0
"""Below Faust's own timeout of the seek, which would end its recovery in silence and leave the worker idle for ever."""
_CHANGED = (
    "{}: expected the record behind the one read before, {}, found {}: records were dropped, or the topic was made "
    "anew under this worker. It ends; started again, it says what is missing and goes on from there."
)


class ActiveNow:
    """The partitions that are active whenever it is asked; true even where there is none, since "none" means "any"."""

    def __init__(self, active: Callable[[], Container[Any] | None]) -> None:
        self._active = active

    def __bool__(self) -> bool:
        return True

    def __contains__(self, place: object) -> bool:
        return place in (self._active() or ())


class PromptThread(driver.AIOKafkaConsumerThread):
    """As Faust's, with the two limits above, and marks beside the offsets that are committed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.notes: dict[Any, str] = {}

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        pace: Pace = transport.app.pace
        consumer._fetch_max_wait_ms = pace.fetch_ms_max  # both are read when it starts
        consumer._fetch_min_bytes = pace.fetch_bytes_min
        commit = consumer.commit

        async def commit_with_marks(offsets: Mapping[Any, Any]) -> None:
            await commit({tp: (found.offset, self.notes.get(tp, "")) for tp, found in offsets.items()})

        consumer.commit = commit_with_marks
        return consumer

    async def _fetch_records(self, consumer: Any, active_partitions: Any, *arguments: Any, **options: Any) -> Any:
        active = None if active_partitions is None else ActiveNow(lambda: self.consumer._active_partitions)
        return await super()._fetch_records(consumer, active, *arguments, **options)


class PromptConsumer(driver.Consumer):
    """As Faust's, on a PromptThread; input partitions are resumed by `resume_flow`, not before."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._held: set[Any] = set()
        self._to_hold: set[Any] = set()
        self._on_hold: set[Any] = set()
        self._marks: dict[Any, Marks] = {}
        self._read_marks: dict[Any, deque[tuple[int, str]]] = defaultdict(deque)
        self._has_read = False
        self._sought: dict[Any, int] = {}

    def _new_consumer_thread(self) -> PromptThread:
        return PromptThread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """After recovery, before the flow is resumed: to the committed offsets, if the log is the one they are of."""
        passing("recovery")
        self._to_hold, self._on_hold = set(), set()  # Faust has resumed them
        await super().perform_seek()
        inputs = [tp for tp in self.assignment() if not self._is_changelog(tp)]
        async with asyncio.timeout(_LOOK_S):
            findings, marks = await self.app.log_check.look(inputs, self)
        for tp in inputs:
            self._marks[tp] = marks.get(tp, ())
            self._read_marks[tp].clear()
            self._sought.pop(tp, None)
        if self._has_read and (changed := [tp for tp, found in findings.items() if isinstance(found, Changed)]):
            raise LogChanged(_CHANGED.format(changed[0], "its committed offset", "another log"))
        for tp, offset in positions_after(findings).items():
            if isinstance(findings[tp], Changed):
                for table in self.app.tables.values():
                    await table.step_back(tp.partition, offset, partial(self.is_in, tp))
            place = ensure_TP(tp)
            self._committed_offset[place] = offset or None
            self._marks[place] = tuple(one for one in self._marks.get(place, ()) if one[0] < offset)
            await self.seek(place, offset)

    async def getmany(self, timeout: float) -> AsyncIterator[Any]:  # noqa: ASYNC109  Faust's
        """As Faust's, without holes. Raises LogChanged."""
        if self._to_hold or self._on_hold:
            self._hold()
        async with aclosing(super().getmany(timeout)) as found:
            async for tp, message in found:
                if not self._is_changelog(tp):
                    if not await self._follows(tp, message.offset):
                        return  # what else was fetched is fetched again
                    mark = mark_of(round(message.timestamp * 1e3), message.value)
                    self._read_marks[tp].append((message.offset, mark))
                    self._has_read = True
                yield tp, message

    async def _follows(self, tp: Any, offset: int) -> bool:
        """Whether a record is the one behind the last; where records were passed over, they are fetched again, once.

        Faust would note the hole, and commit beyond it. Raises LogChanged where the log itself goes on elsewhere.
        """
        read = self._read_offset[tp]
        if read is None or read <= offset <= read + 1:
            return True
        if offset < read or self._sought.get(tp) == read:
            raise LogChanged(_CHANGED.format(partition_name(tp), read + 1, offset))
        self._sought[tp] = read
        metrics.PASSED_OVER.labels(tp.topic).inc(offset - read - 1)
        _log.warning("records were passed over, reading them again", place=partition_name(tp),
                     behind=read, found=offset)  # fmt: skip
        await self._seek(tp, read)  # that one may have been read, or be the next: twice is harmless
        return False

    async def _commit(self, offsets: Mapping[Any, int]) -> bool:
        for tp, offset in offsets.items():
            done, read = None, self._read_marks[tp]
            while read and read[0][0] < offset:
                done = read.popleft()
            if done is not None:
                self._marks[tp] = extended(self._marks.get(tp, ()), *done)
            self._thread.notes[driver.ensure_aiokafka_TP(tp)] = to_text(self._marks.get(tp, ()))
        return await super()._commit(offsets)

    def _is_changelog(self, tp: Any) -> bool:
        return tp.topic in self.app.tables.changelog_topics

    def is_in(self, tp: Any, symbol: str) -> bool:
        """Whether the records of a symbol are in this partition."""
        return bool(self.key_partition(tp.topic, symbol.encode()) == tp.partition)

    def newest(self, tp: Any) -> Any:
        """The (key, row) that the worker's table applied last in this partition; None without a table."""
        found = [table.newest(partial(self.is_in, tp)) for table in self.app.tables.values()]
        return found[0] if found else None

    async def on_stop(self) -> None:
        """Before the group is left."""
        passing("shutdown")
        await super().on_stop()

    def resume_partitions(self, tps: Iterable[Any]) -> None:
        """Changelogs at once, inputs once the flow is resumed."""
        changelogs = {tp for tp in tps if self._is_changelog(tp)}
        self._held |= set(tps) - changelogs
        super().resume_partitions(changelogs)

    def resume_flow(self) -> None:
        """Faust has just emptied the queues."""
        super().resume_flow()
        held, self._held = self._held, set()
        super().resume_partitions(held)

    def read_but(self, tps: Iterable[Any]) -> None:
        """Read no further of these from the next fetch on, until they are no longer named.

        Between two fetches nothing is under way: no record that was fetched is dropped by it.
        """
        self._to_hold = {ensure_TP(tp) for tp in tps}

    def _hold(self) -> None:
        wanted = self._to_hold & self.assignment()
        if wanted != self._on_hold:
            super().resume_partitions((self._on_hold - wanted) & self.assignment())
            super().pause_partitions(wanted - self._on_hold)
            self._on_hold = wanted

    def pause_partitions(self, tps: Iterable[Any]) -> None:
        """Also those that were to be resumed."""
        self._held -= set(tps)
        super().pause_partitions(tps)


class PromptTransport(driver.Transport):
    """As Faust's, with PromptConsumer."""

    Consumer = PromptConsumer
