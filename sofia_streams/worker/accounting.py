"""The paper_oms worker's hands: its row, records that wait for their time, what is acknowledged with what.

Records are acknowledged in batches: what they caused is in the log first, then one row that says how far every input
is, then all records that are behind that. Records that wait for their time stay unacknowledged, so that a worker that
comes back reads them again. What it does not do: decide anything (`core.oms`), send records (the agent does).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec
import structlog
from aiokafka import TopicPartition

from sofia_streams import codec, topics
from sofia_streams.core.oms.sequence import Record, input_of
from sofia_streams.core.oms.steps import AccountRow, PaperSteps, Snapshot, is_done
from sofia_streams.errors import BadRecord
from sofia_streams.logread import DECODE, places, reader, records_between
from sofia_streams.model import NS_PER_HOUR, NS_PER_SECOND
from sofia_streams.obs import metrics
from sofia_streams.paper import Taken
from sofia_streams.settings import Settings
from sofia_streams.topics import partition_name, place_of
from sofia_streams.worker.deferred import Change

_log = structlog.get_logger("paper")
_WORKER = "paper_oms"
_LOOK_S = 0.5
_WAITING_MANY = 50_000
_TAKEN_BACK = 5_000
"""Records of `account` that are looked through for decisions when the worker comes back: the row is never that old."""
PATIENCE_S = 10.0
"""An input that has come no second of event time further for so long, while others were held back by it, is waited for
no longer: it is silent, or stamped by a clock that was set back.
"""
READS = {one.name: DECODE[one] for one in (topics.TRADES, topics.TICKERS, topics.SIGNALS, topics.CONTROL)}
"""Each input topic, and what reads its records."""
WRITES = (topics.ORDERS, topics.FILLS, topics.ACCOUNT, topics.ALERTS)


class _Pending(NamedTuple):
    serial: int
    event: Any


class _Came(NamedTuple):
    """How far an input was when it last came a second of event time further, and when that was by our clock."""

    passed_ns: int
    at_s: float


_NEVER = _Came(-NS_PER_SECOND, 0.0)


class Batch:
    """Records that are acknowledged together."""

    def __init__(self, events: list[Any]) -> None:
        self._events = events

    def ack(self) -> bool:
        """All of them."""
        for event in self._events:
            event.ack()
        return True


class Accounting:
    """One account. `table` keeps its row under `key`; `make` gives its steps from the row, or new ones from None."""

    def __init__(
        self, settings: Settings, table: Any, make: Callable[[AccountRow | None], PaperSteps], *, key: str
    ) -> None:
        self._settings, self._table, self._make, self._key = settings, table, make, key
        self._all = {place for topic in READS for place in places(settings, topics.TOPICS[topic])}
        self._waits = not settings.replay_url  # in a replay the recording is the clock: nobody is ever given up
        self.steps: PaperSteps | None = None
        self.forget()

    def forget(self) -> None:
        """Another process may have the account now."""
        self.steps = None
        self._pending: dict[str, deque[_Pending]] = {}
        self._done: list[Any] = []
        self._next: dict[str, int] = {}
        self._came: dict[str, _Came] = {}
        self._partition_of: dict[str, int] = {}
        self._outputs: list[Any] = []
        self._snapped_hour = -1
        self._free_ns, self._free_s = 0, time.monotonic()

    async def wait_for_all(self, assigned: Callable[[], Iterable[Any]], given_up: Callable[[], bool]) -> None:
        """An account has one worker: until this one has every partition, or lost the one at hand."""
        said_s = 0.0
        while not given_up() and (missing := self._all - {TopicPartition(*one) for one in assigned()}):
            if time.monotonic() - said_s > PATIENCE_S:
                said_s = time.monotonic()
                _log.error(
                    "expected to read every partition, since the account has one worker, found that another one has "
                    "some of them. Nothing is traded until it is stopped.",
                    missing=sorted(map(partition_name, missing)),
                )
            await asyncio.sleep(_LOOK_S)

    async def begin(self) -> PaperSteps:
        """The steps, from the row and from what was decided since; new ones where there is no row. Raises BadRecord or
        LedgerUnbalanced for a damaged row.
        """
        if self.steps is None:
            found = self._table.data.get(self._key)
            row = None if found is None else codec.opened(codec.encode(found))
            self.steps, decided = self._make(row), await self._decided()
            if row is None:
                self.steps.begin_behind(decided)
            else:
                self.steps.expect(decided)
            self._next = await self._committed()
            self._free_s = time.monotonic()
            for one in self.steps.stranded():
                _log.error(
                    "a position is neither valued nor closed: its symbol is not in the settings. Put it there until "
                    "it is closed.", market=one.market, symbol=one.symbol, quantity=str(one.quantity),
                )  # fmt: skip
        return self.steps

    async def _decided(self) -> list[Taken]:
        """Decisions at the end of `account`; the steps leave out those that they know. What cannot be read is none."""
        found: list[Taken] = []
        async with reader(self._settings) as consumer:
            chosen = places(self._settings, topics.ACCOUNT)
            first, ends = await consumer.beginning_offsets(chosen), await consumer.end_offsets(chosen)
            starts = {place: max(first[place], ends[place] - _TAKEN_BACK) for place in chosen}
            async for message in records_between(consumer, starts, ends):
                try:
                    record = codec.decode_account(message.value)
                except BadRecord as error:
                    _log.error("a record of the account is passed over", offset=message.offset, error=str(error))
                    continue
                if isinstance(record, Taken):
                    found.append(record)
        return found

    async def _committed(self) -> dict[str, int]:
        """From where each input partition is read."""
        group = topics.app_id(_WORKER, self._settings.namespace)
        async with reader(self._settings, group=group) as consumer:
            return {partition_name(place): await consumer.committed(place) or 0 for place in self._all}

    def take(self, steps: PaperSteps, record: Record, event: Any) -> None:
        """One record: it waits for its time. Raises MergeFull."""
        message, name = event.message, input_of(record)
        place = partition_name(message)
        serial = steps.take(record, message.offset, place_of(message))
        self._next[place] = message.offset + 1
        passed_ns = steps.merge.passed_ns(name)
        if passed_ns >= self._came.get(name, _NEVER).passed_ns + NS_PER_SECOND:
            self._came[name] = _Came(passed_ns, time.monotonic())
        self._partition_of[name] = message.partition
        if serial < 0:
            if steps.strangers.get(name) == 1:
                _log.warning("records are passed over: their instrument is in no setting of the account", input=name)
            metrics.STRANGERS.labels(name.partition("|")[0]).inc()
            self._done.append(event)
        else:
            self._pending.setdefault(name, deque()).append(_Pending(serial, event))

    def owe(self, output: Any) -> None:
        """What must be in the log before the next row is."""
        self._outputs.append(output)

    def checkpoint(self) -> tuple[Batch, list[Any], list[Change]] | None:
        """What is to be acknowledged: records, the outputs they wait for, the row that says so; None: nothing is."""
        if self.steps is None or not (self._pending or self._done or self._outputs):
            return None
        row = self.steps.row()
        events, self._done = self._done, []
        for name, waiting in self._pending.items():
            while waiting and is_done(row, name, waiting[0].serial):
                events.append(waiting.popleft().event)
        if not events and not self._outputs:
            return None
        data = msgspec.Raw(codec.seal(row))  # the books go on changing
        self._table.data[self._key] = data
        outputs, self._outputs = self._outputs, []
        return Batch(events), outputs, [Change(0, self._key, data)]

    def snapshots(self) -> list[Snapshot]:
        """One an hour of event time, and at each start: everything, for who computes what follows again."""
        if self.steps is None:
            return []
        hour = self.steps.merge.reached_ns() // NS_PER_HOUR
        if hour == self._snapped_hour:
            return []
        self._snapped_hour, row = hour, self.steps.row()
        offsets = dict(self._next)
        for name, waiting in self._pending.items():
            ahead = [one.event.message for one in waiting if not is_done(row, name, one.serial)]
            for message in ahead[:1]:
                place = partition_name(message)
                offsets[place] = min(offsets[place], message.offset)
        return [self.steps.snapshot(row, offsets)]

    def lose_patience(self, steps: PaperSteps) -> None:
        """Wait no longer for an input that has come no further for `PATIENCE_S` of our clock while it held others back:
        one that speaks once a minute, in time, holds nobody. Where a second of event time is reached, nobody was held.
        """
        name, now_s, reached_ns = steps.merge.waits_for(), time.monotonic(), steps.merge.reached_ns()
        if not steps.merge.waiting or reached_ns >= self._free_ns + NS_PER_SECOND:
            self._free_ns, self._free_s = reached_ns, now_s
        while self._waits and name and steps.merge.waiting:
            silent_s = now_s - max(self._free_s, self._came.get(name, _NEVER).at_s)
            if silent_s < PATIENCE_S:
                return
            _log.warning(
                "an input is silent, or its time stands still: it is waited for no longer", input=name,
                seconds=round(silent_s, 1),
            )  # fmt: skip
            steps.merge.give_up(name)
            metrics.GIVEN_UP.labels(name).inc()
            name = steps.merge.waits_for()

    def ahead(self, steps: PaperSteps) -> list[TopicPartition]:
        """Partitions of `trades` and `tickers` to read no further for now: too much waits, and not for what stands in
        them. A symbol has one partition, the same in each topic; while it is not known, all are read.
        """
        if steps.merge.waiting < _WAITING_MANY:
            return []
        topic, _, instrument = steps.merge.waits_for().partition("|")
        symbol = instrument.rpartition("|")[2]
        its = {number for name, number in self._partition_of.items() if name.rpartition("|")[2] == symbol}
        if not its and topic != topics.SIGNALS.name:
            return []
        everywhere = [place for one in (topics.TRADES, topics.TICKERS) for place in places(self._settings, one)]
        needed = topics.wire_name(topics.TOPICS[topic], self._settings.namespace)
        return [place for place in everywhere if not (place.topic == needed and place.partition in its)]
