"""Fills what a primary store missed, from the log; from the fallback's tables where the log no longer holds it.

It follows the topic `outages`: an outage of this process that has ended, and what other writers left behind in
partitions that this one reads now (docs/adr/0006). Bars, gaps and orders are filled up to the end of the log, round by
round until a round is empty: so a row that was written meanwhile is never left replaced by an older one of the hole. So
are trades that may stand in the log twice (`copies`). Everything may be written twice. What it does not do: decide when
a store has failed (`failover`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from types import SimpleNamespace
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from sofia_streams import codec, topics
from sofia_streams.crash_points import passing
from sofia_streams.errors import BadRecord, DependencyDown
from sofia_streams.logread import places, reader, records_between
from sofia_streams.model import Alert, Outage, TradeBatch
from sofia_streams.obs import metrics
from sofia_streams.settings import Settings
from sofia_streams.stores.base import Fallback, Record, Store
from sofia_streams.topics import partition_name, partition_named
from sofia_streams.worker.copies import Copies
from sofia_streams.worker.failover import say
from sofia_streams.worker.outage import TAKEN_UP, OffsetSpan, take_up
from sofia_streams.worker.retrying import retry
from sofia_streams.worker.sink import Item
from sofia_streams.worker.written import READS, REPLACED, TABLES_OF

Quarantine = Callable[[Any, Exception], Awaitable[None]]
_log = structlog.get_logger("filling")
_POLL_MS, _AGAIN_S = 1_000, 5.0
_ROWS_MAX = 20_000
_STORED_SLACK_NS = 60_000_000_000
"""The outage is opened some time after its first rows were written into the fallback."""


class Filling:
    """`assigned` says which "topic/partition"s this process reads, `is_held` whether the primary must be left alone.

    `disputed` is called when another writer has taken up an outage of this process, which it thought had ended.
    """

    def __init__(
        self,
        settings: Settings,
        primary: Store,
        fallback: Fallback | None,
        quarantine: Quarantine,
        instance: str,
        *,
        group: str,
        assigned: Callable[[], Iterable[str]],
        is_held: Callable[[], bool],
        disputed: Callable[[], None],
    ) -> None:
        self._settings, self._primary, self._fallback = settings, primary, fallback
        self._quarantine, self._instance, self._group = quarantine, instance, group
        self._assigned, self._is_held, self._disputed = assigned, is_held, disputed
        self._topics = {topics.wire_name(topic, settings.namespace): topic for topic in READS}
        self._outages: dict[str, Outage] = {}

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self._follow()
            except (KafkaError, DependencyDown) as error:
                _log.warning("outages cannot be read or said now; trying again", error=str(error))
                await asyncio.sleep(_AGAIN_S)

    async def _follow(self) -> None:
        chosen = places(self._settings, topics.OUTAGES)
        async with reader(self._settings) as consumer:
            consumer.assign(chosen)
            await consumer.seek_to_beginning(*chosen)
            while True:
                await self._read(consumer, await consumer.end_offsets(chosen))
                for outage in [one for one in self._outages.values() if one.state != "closed"]:
                    if outage.store != self._primary.name:
                        continue
                    if not outage.outage_id.startswith(self._instance):
                        await self._take_up(outage)
                    elif outage.state == "filling":
                        await self._fill(outage)

    async def _read(self, consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> None:
        """What is new, at least to these ends; waits a moment where nothing is."""
        while True:
            for messages in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
                for message in messages:
                    try:
                        outage = codec.decode_outage(message.value)
                    except BadRecord:
                        continue  # only we write there; a torn one is nobody's outage
                    self._outages[outage.outage_id] = outage
                    if outage.outage_id.startswith(self._instance) and outage.detail == TAKEN_UP:
                        self._disputed()
            if all([await consumer.position(place) >= end for place, end in ends.items()]):
                return

    async def _take_up(self, outage: Outage) -> None:
        """What another writer left in partitions that are ours now becomes an outage of our own."""
        chosen = set(self._assigned()) & outage.first.keys()
        if not chosen:
            return
        now_ns = time.time_ns()
        taken = take_up(outage, chosen, await self._committed(chosen), now_ns)
        if taken is None:
            return
        mine = [
            Outage(
                f"{self._instance}:{now_ns}", outage.store, "filling", outage.opened_ns, now_ns, *taken.hole,
                rows=outage.rows, detail=f"from {outage.outage_id}",
            )
        ] if taken.hole.first else []  # fmt: skip
        _log.warning("taking up an outage of a writer that has ended", outage=outage.outage_id, places=len(chosen))
        await say(self._settings, *mine, taken.left)
        self._outages |= {one.outage_id: one for one in (*mine, taken.left)}

    async def _committed(self, names: Iterable[str]) -> dict[str, int]:
        found = {}
        async with reader(self._settings, group=self._group) as consumer:
            chosen = [TopicPartition(*partition_named(name)) for name in names]
            consumer.assign(chosen)
            for place in chosen:
                if (offset := await consumer.committed(place)) is not None:
                    found[partition_name(place)] = offset
        return found

    async def _fill(self, outage: Outage) -> None:
        """Until the primary has everything, then say that the outage is over. Raises KafkaError, DependencyDown."""
        began_s = time.monotonic()
        hole, copies = OffsetSpan(outage.first, outage.last), Copies()
        rows = 0
        async with reader(self._settings, begin="none") as consumer:
            known = [TopicPartition(*partition_named(name)) for name in hole.first]
            begins, ends = await consumer.beginning_offsets(known), await consumer.end_offsets(known)
            lost = {self._topics[place.topic] for place in known if begins[place] > hole.first[partition_name(place)]}
            if lost:
                rows += await self._from_fallback(outage, lost, copies)
            starts = {place: max(hole.first[partition_name(place)], begins[place]) for place in known}
            until = {
                place: end if self._is_replaced(place) else min(hole.last[partition_name(place)] + 1, end)
                for place, end in ends.items()
            }
            while starts := {place: start for place, start in starts.items() if start < until[place]}:
                rows += await self._from_log(consumer, starts, until, copies.noted)
                starts = {place: until[place] for place in starts if self._is_replaced(place)}
                until = await consumer.end_offsets(list(starts)) if starts else {}
            starts = {place: max(hole.last[partition_name(place)] + 1, begins[place]) for place in known}
            rows += await self._later_copies(consumer, starts, copies)
        passing("hole_filled")
        took_s = time.monotonic() - began_s
        said = f"{rows} rows filled in {took_s:.1f} s" + (f"; {outage.detail}" if outage.detail else "")
        closed = Outage(
            outage.outage_id, outage.store, "closed", outage.opened_ns, time.time_ns(), outage.first, outage.last,
            outage.rows, said,
        )  # fmt: skip
        await say(self._settings, closed)
        self._outages[outage.outage_id] = closed
        _log.warning("the primary store has what it missed", outage=outage.outage_id, rows=rows, s=round(took_s, 1))

    async def _later_copies(
        self, consumer: AIOKafkaConsumer, starts: Mapping[TopicPartition, int], copies: Copies
    ) -> int:
        """What the log has behind the hole of trades that stand in it twice, up to its end; how many rows."""
        rows = 0
        starts = {place: start for place, start in starts.items() if self._topics[place.topic] is topics.TRADES}
        while starts:
            until = await consumer.end_offsets(list(starts))
            starts = {place: start for place, start in starts.items() if start < until[place]}
            rows += await self._from_log(consumer, starts, until, copies.again)
            starts = {place: until[place] for place in starts}
        return rows

    def _is_replaced(self, place: TopicPartition) -> bool:
        return self._topics[place.topic] in REPLACED

    async def _from_log(
        self,
        consumer: AIOKafkaConsumer,
        starts: Mapping[TopicPartition, int],
        ends: Mapping[TopicPartition, int],
        pick: Callable[[Record], Record | None],
    ) -> int:
        waiting: list[Item] = []
        rows = done = 0
        async for message in records_between(consumer, starts, ends):
            decode, prepare = READS[self._topics[message.topic]]
            try:
                record = decode(message.value)
            except BadRecord:
                continue  # its reader has quarantined it
            found = [one for each in prepare(record, message.offset) if (one := pick(each)) is not None]
            count = sum(len(one.trades) if isinstance(one, TradeBatch) else 1 for one in found)
            waiting.append(Item(_event(message), 0, found, count))
            rows += count
            if rows - done >= _ROWS_MAX:
                await self._put(waiting)
                waiting, done = [], rows
        await self._put(waiting)
        return rows

    async def _from_fallback(self, outage: Outage, lost: Iterable[topics.Topic], copies: Copies) -> int:
        """What the fallback took in that time, of topics whose records the log has dropped."""
        if self._fallback is None:
            text = f"{outage.store}: rows of {outage.outage_id} are neither in the log nor is there a fallback to ask"
            _log.error(text)
            await say(self._settings, Alert(f"lost:{outage.outage_id}", "critical", "filling", text, time.time_ns()))
            return 0
        rows = 0
        for table in sorted(table for topic in lost for table in TABLES_OF[topic]):
            stored = self._fallback.stored_between(table, outage.opened_ns - _STORED_SLACK_NS, time.time_ns())
            while page := await asyncio.to_thread(_page, stored):
                noted = [copies.noted(record) for record in page]
                await self._put([Item(SimpleNamespace(message=None), 0, [record], 1) for record in noted])
                rows += len(page)
        _log.warning("the log no longer holds all of it; filled from the fallback", outage=outage.outage_id, rows=rows)
        return rows

    async def _put(self, items: list[Item]) -> None:
        if not items:
            return
        await retry(partial(self._write, items), "filling")
        metrics.FILLED_ROWS.labels(self._primary.name).inc(sum(item.rows for item in items))
        passing("hole_part_filled")

    async def _write(self, items: list[Item]) -> None:
        if self._is_held():
            raise DependencyDown(f"{self._primary.name}: a table is suspended")
        try:
            await asyncio.to_thread(self._primary.write, [record for item in items for record in item.record])
        except BadRecord:
            for item in items:
                try:
                    await asyncio.to_thread(self._primary.write, item.record)
                except BadRecord as error:
                    await self._refused(item.event, error)

    async def _refused(self, event: Any, error: Exception) -> None:
        if event.message is None:  # it came from the fallback, which had taken it
            _log.error("the primary refuses a row that the fallback had taken", error=str(error))
        else:
            await self._quarantine(event, error)


def _page(stored: Iterator[Record]) -> list[Record]:
    return list(islice(stored, _ROWS_MAX))


def _event(message: Any) -> Any:
    """A record as Faust hands it out, as far as quarantine wants to know it."""
    seen = SimpleNamespace(
        topic=message.topic, partition=message.partition, offset=message.offset, value=message.value,
        timestamp=message.timestamp / 1e3,
    )  # fmt: skip
    return SimpleNamespace(message=seen)
