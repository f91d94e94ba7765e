"""Writes rows to a primary store, and to a fallback while the primary fails; says which offsets the fallback took.

What an acknowledgement rests on stands in the log before it: the outage, with the first offsets that the primary
misses, before the first acknowledgement of what only the fallback has; its last offsets before the next write to the
primary (docs/adr/0006). A store that takes rows but does not show them (a suspended table of QuestDB) counts as failed.
What it does not do: fill the hole (`filling`), retry (`sink`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import structlog
from aiokafka.errors import KafkaError

from sofia_streams import topics
from sofia_streams.crash_points import passing
from sofia_streams.errors import BadRecord, DependencyDown
from sofia_streams.logwrite import Written, write_records
from sofia_streams.model import Alert, Outage
from sofia_streams.obs import metrics
from sofia_streams.settings import Settings
from sofia_streams.stores.base import Store
from sofia_streams.worker.outage import NOTHING, OffsetSpan, Patience, span_of
from sofia_streams.worker.sink import Item

_log = structlog.get_logger("failover")
_CHECK_S = 2.0
_SOURCE = "timeseries_writer"
Say = Callable[..., Awaitable[None]]
"""`say` without the settings."""


class Primary(Store, Protocol):
    """A store that may take rows and not show them."""

    def suspended(self) -> list[str]:
        """Tables that do so now. Raises DependencyDown."""


async def say(settings: Settings, *records: Outage | Alert) -> None:
    """Put outages and alerts into the log, acknowledged in this order. Raises DependencyDown."""
    found = [
        Written(topics.OUTAGES, one.store, one, one.at_ns)
        if isinstance(one, Outage)
        else Written(topics.ALERTS, one.source, one, one.at_ns)
        for one in records
    ]
    try:
        await write_records(settings, found)
    except KafkaError as error:
        raise DependencyDown(f"the log: expected to write an outage into it, found {error!r}. Is it up?") from error


class Failover:
    """`write` is for a sink; `watch` must be running. `instance` begins the ids of this process's outages."""

    def __init__(
        self,
        settings: Settings,
        primary: Primary,
        fallback: Store | None,
        *,
        say: Say,
        instance: str,
    ) -> None:
        self._settings, self._primary, self._fallback = settings, primary, fallback
        self._say, self._instance = say, instance
        self._patience = Patience(settings.failover_after_s)
        self._made: set[str] = set()  # stores whose tables are there
        self._recent = NOTHING  # what the primary has acknowledged since it was last seen to apply its rows
        self._outage: Outage | None = None
        self._must_say = True  # whether the log may not have the first offsets of the outage
        self._newest: Sequence[Item] = []  # of the fallback
        self._turn = asyncio.Lock()  # a batch, or going back
        self.suspended: list[str] = []

    async def write(self, batch: list[Item]) -> None:
        """Write a batch to the store that is in charge; `Item.record` is a list of what to write.

        Raises DependencyDown: then do it again; BadRecord where that store refuses a row: then try them one by one.
        """
        async with self._turn:
            began_s = time.monotonic()
            span = span_of([place_of(item.event) for item in batch])
            why = ""
            if self._outage is None:
                try:
                    await self._to_primary(batch)
                    self._recent = self._recent.joined(span)
                    return
                except DependencyDown as error:
                    if not self._patience.failed(began_s, time.monotonic()) or self._fallback is None:
                        raise
                    why = str(error)
            await self._to_fallback(batch, span, why)

    def say_again(self) -> None:
        """Call it when partitions were revoked: another writer may have taken up what the log says of the outage."""
        self._must_say = True

    async def watch(self) -> None:
        """For ever: whether the primary applies what it takes, and whether it is back."""
        while True:
            await self.check()
            await asyncio.sleep(_CHECK_S)

    async def check(self) -> None:
        """One look at the primary."""
        recent, self._recent = self._recent, NOTHING
        try:
            suspended = await asyncio.to_thread(self._primary.suspended)
            if suspended != self.suspended:
                await self._say_suspended(suspended)
            if suspended:
                self._recent = recent.joined(self._recent)
            elif self._outage is not None:
                async with self._turn:
                    await self._go_back(self._outage)
        except (DependencyDown, ValueError):  # ValueError: it refuses the question, as while it starts
            self._recent = recent.joined(self._recent)

    async def _to_primary(self, batch: Sequence[Item]) -> None:
        if self.suspended:
            raise DependencyDown(f"{self._primary.name}: suspended: {', '.join(self.suspended)}")
        await self._put(self._primary, batch)
        self._patience.worked()

    async def _to_fallback(self, batch: Sequence[Item], span: OffsetSpan, why: str) -> None:
        """The rows first: where the fallback fails too, there is no outage to speak of."""
        assert self._fallback is not None
        await self._put(self._fallback, batch)
        passing("fallback_stored")
        known = self._outage or self._opened(why)
        hole = OffsetSpan(known.first, known.last).joined(span)
        outage = Outage(
            known.outage_id, known.store, "open", known.opened_ns, time.time_ns(), hole.first, hole.last,
            known.rows + sum(item.rows for item in batch if item.record), known.detail,
        )  # fmt: skip
        if self._must_say or outage.first != known.first:
            self._must_say = False
            try:
                await self._say(outage)
            except DependencyDown:
                self._must_say = True
                raise
        passing("outage_said")
        if self._outage is None:
            metrics.FAILED_OVER.labels(self._primary.name).set(1)
            _log.error(
                "the primary store fails; rows go to the fallback until it is back",
                primary=self._primary.name, fallback=self._fallback.name, outage=outage.outage_id, why=why,
            )  # fmt: skip
        metrics.FALLBACK_ROWS.labels(self._fallback.name).inc(outage.rows - known.rows)
        self._outage, self._newest = outage, batch

    def _opened(self, why: str) -> Outage:
        """With what the primary took just before: it may not have applied it. The new `first` is not said yet."""
        now_ns = time.time_ns()
        self._must_say = True
        return Outage(
            f"{self._instance}:{now_ns}", self._primary.name, "open", now_ns, now_ns, *self._recent, detail=why
        )

    async def _go_back(self, outage: Outage) -> None:
        """Write to the primary again, once it has taken the newest batch of the fallback: answering is not enough."""
        with contextlib.suppress(BadRecord):  # it takes rows; the one it refuses is set aside when the hole is filled
            await self._to_primary(self._newest)
        ended = Outage(
            outage.outage_id, outage.store, "filling", outage.opened_ns, time.time_ns(), outage.first, outage.last,
            outage.rows, outage.detail,
        )  # fmt: skip
        await self._say(ended)
        passing("outage_ended")
        self._outage, self._newest = None, []
        metrics.FAILED_OVER.labels(self._primary.name).set(0)
        _log.warning(
            "the primary store is back; what it missed is filled from the log",
            primary=self._primary.name, outage=outage.outage_id, rows=outage.rows,
            outage_s=round((ended.at_ns - outage.opened_ns) / 1e9, 1),
        )  # fmt: skip

    async def _put(self, store: Store, batch: Sequence[Item]) -> None:
        try:
            if store.name not in self._made:
                await self._make_tables(store)
            await asyncio.to_thread(store.write, [record for item in batch for record in item.record])
        except DependencyDown:
            self._made.discard(store.name)  # it may come back empty
            raise

    async def _make_tables(self, store: Store) -> None:
        try:
            for flaw in await asyncio.to_thread(store.create_tables, self._settings.retention_days()):
                if flaw.is_mended:
                    _log.warning("a table was not as this version needs it, and is mended", found=flaw.text)
                else:
                    _log.error("a table is not as this version needs it", problem=flaw.text)
        except ValueError as error:
            raise DependencyDown(f"{store.name}: expected to make its tables, found: {error}") from error
        self._made.add(store.name)

    async def _say_suspended(self, suspended: list[str]) -> None:
        metrics.TABLES_SUSPENDED.labels(self._primary.name).set(len(suspended))
        now_ns, name = time.time_ns(), self._primary.name
        alerts = []
        for table in sorted(set(suspended) - set(self.suspended)):
            cure = f"ALTER TABLE '{table}' RESUME WAL"
            _log.error("a table takes rows and does not apply them", store=name, table=table, cure=cure)
            text = f"{name}: table {table} is suspended: its rows stay invisible. Free disk space, then {cure}"
            alerts.append(Alert(f"suspended:{table}", "critical", _SOURCE, text, now_ns))
        for table in sorted(set(self.suspended) - set(suspended)):
            _log.warning("the table applies its rows again", store=name, table=table)
            alerts.append(Alert(f"suspended:{table}", "info", _SOURCE, f"{name}: table {table} is resumed", now_ns))
        await self._say(*alerts)
        self.suspended = suspended  # not before: where the log is away, it is said at the next look


def place_of(event: Any) -> tuple[str, int]:
    """ "topic/partition" and offset of a log record."""
    message = event.message
    return topics.partition_name(message), message.offset
