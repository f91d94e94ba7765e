"""Log, databases, Redis and candles compared hour by hour; what a database lacks is written again where asked for.

Memory: one hour of one instrument (about a kilobyte a trade) and of one symbol's bars; everything else waits on disk,
in DATA_DIR. The log is never written. What it does not do: print.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from aiokafka.errors import KafkaError

from sofia_streams.logread import broker_down
from sofia_streams.model import NS_PER_HOUR
from sofia_streams.ops.verify.candles import HourOfBars, Judged
from sofia_streams.ops.verify.databases import Database, QuestDbSide
from sofia_streams.ops.verify.fallback import PostgresSide
from sofia_streams.ops.verify.ledger import Comparison, compare
from sofia_streams.ops.verify.log import LogSide, Say, Span
from sofia_streams.ops.verify.logged import (
    Expected,
    Logged,
    any_version,
    decoder_of,
    each_once,
    last_of_each,
    rows_and_items,
    stored_record,
)
from sofia_streams.ops.verify.report import Report, checked
from sofia_streams.ops.verify.rows import Bucket, Item
from sofia_streams.ops.verify.spool import Spool
from sofia_streams.ops.verify.streams import StreamsSide
from sofia_streams.settings import Settings
from sofia_streams.stores.base import Record
from sofia_streams.stores.questdb import QuestDb

_CANDLES = "bars topic"
_WRITE_ROWS = 5_000
_SAY_EVERY_S = 5.0
_Both = tuple[Logged, Item]
"""A row of the log, and what is compared of it."""


def databases(settings: Settings) -> list[Database]:
    """Every database that is configured."""
    prefix, fallback = settings.table_prefix(), settings.fallback_url()
    found: list[Database] = [QuestDbSide(QuestDb(settings.questdb_address(), prefix), settings.retention_days())]
    if fallback is not None:
        from sofia_streams.stores.postgres import Postgres  # its driver is loaded only where it is needed

        found.append(PostgresSide(Postgres(fallback, prefix)))
    return found


async def verify(
    settings: Settings, span: Span, say: Say, *, repair: bool = False, wait_s_max: float = 30.0
) -> dict[str, Any]:
    """What `sofia verify --json` prints (docs/cli.md). `settings` has the addresses of what runs.

    Raises DependencyDown where the broker or a store does not answer.
    """
    try:
        return await _verify(settings, span, say, repair=repair, wait_s_max=wait_s_max)
    except KafkaError as error:
        raise broker_down(settings, error) from error


async def _verify(settings: Settings, span: Span, say: Say, *, repair: bool, wait_s_max: float) -> dict[str, Any]:
    found = await _once(settings, span, say, repair=repair, wait_s_max=wait_s_max)
    if found.get("repaired"):
        say("verifying again after the repair")
        found["after"] = await _once(settings, span, say, repair=False, wait_s_max=wait_s_max)
        found["equal"] = found["after"]["equal"]
    return found


async def _once(settings: Settings, span: Span, say: Say, *, repair: bool, wait_s_max: float) -> dict[str, Any]:
    began_s = time.monotonic()
    folder = settings.data_dir / "verify"
    stores = databases(settings)
    try:
        with Spool[Logged](folder, decoder_of) as spool:
            async with LogSide(settings, spool, span) as log:
                await log.settle(say, wait_s_max=wait_s_max)
                await log.read(say)
                with StreamsSide(settings, log, folder) as streams:
                    await streams.read(say)
                    run = _Run(log, spool, stores, streams, say, repair=repair)
                    await run.compare()
                    return run.said() | {"elapsed_s": round(time.monotonic() - began_s, 3)}
    finally:
        for store in stores:
            store.close()


class _Run:
    """One comparison of everything."""

    def __init__(
        self,
        log: LogSide,
        spool: Spool[Logged],
        stores: Sequence[Database],
        streams: StreamsSide,
        say: Say,
        *,
        repair: bool,
    ) -> None:
        self._log, self._spool, self._stores, self._streams = log, spool, stores, streams
        self._say, self._repair = say, repair
        self._counts: dict[str, dict[Bucket, int]] = {}
        self._expired: dict[str, set[Bucket]] = {}
        self._report = Report()
        self._repaired: dict[str, int] = defaultdict(int)

    async def compare(self) -> None:
        """Every bucket of every store, then say the rest."""
        for store in self._stores:
            await asyncio.to_thread(store.settle)
            self._counts[store.name] = await asyncio.to_thread(store.hours, self._log.span)
        every = self._spool.buckets() | self._streams.buckets()
        every = every.union(*self._counts.values())
        if self._log.saw_all:
            every |= {bucket for bucket in self._log.worth.buckets() if self._log.span.holds(bucket.hour_ns)}
        for store in self._stores:
            self._expired[store.name] = store.expired(every)
        said_s = time.monotonic()
        ordered = sorted(every, key=_hour_of_symbol)
        done = 0
        for _, group in groupby(ordered, key=lambda bucket: _hour_of_symbol(bucket)[:3]):
            buckets = list(group)
            await self._hour(buckets)
            done += len(buckets)
            if time.monotonic() - said_s > _SAY_EVERY_S:
                self._say(f"compared {done} of {len(ordered)} hours of instruments")
                said_s = time.monotonic()
        self._report.foreign = dict(self._streams.foreign)

    def said(self) -> dict[str, Any]:
        """Everything as it is printed."""
        found = self._report.said()
        span = self._log.span
        found["compared"] = {
            "from_ns": span.from_ns,
            "to_ns": span.until_ns,
            "log": self._log.summary(),
            "not_settled": self._log.left,
            "retention_passed": {name: len(hours) for name, hours in self._expired.items()},
            "redis_since": self._streams.since(),
            "redis_left_out": self._streams.left_out,
        }
        found["advice"] = self._advice()
        if self._repair:
            found["repaired"] = dict(self._repaired)
        return found

    async def _hour(self, buckets: Sequence[Bucket]) -> None:
        bars = HourOfBars()
        for bucket in buckets:
            rows = self._spool.rows(bucket)
            plain = rows_and_items(rows)
            for store in self._stores:
                if bucket not in self._expired[store.name]:
                    has_more = store.has_extras and bucket.table == "trades"
                    await self._database(store, bucket, rows_and_items(rows, extras=True) if has_more else plain)
            await self._stream(bucket, plain)
            if bucket.table == "trades":
                bars.add_trades(bucket, rows)
            elif bucket.table.startswith("bars"):
                bars.add_bars(bucket, rows)
        await self._candles(bars, buckets)

    async def _database(self, store: Database, bucket: Bucket, rows: Sequence[_Both]) -> None:
        count = self._counts[store.name].get(bucket, 0)

        def read() -> list[Item]:
            span = self._log.span
            return [item for item in store.items(bucket, count) if span.holds(item.at_ns)] if count else []

        found = await asyncio.to_thread(read)
        expected, result = self._compared(store, bucket, rows, found)
        if not result.is_equal:
            await self._log.advance()  # perhaps it is only newer than what was read
            expected, result = self._compared(store, bucket, rows, found)
        self._report.add(checked(store.name, bucket, expected.items, result))
        if self._repair and not result.is_equal:
            wanted = [*result.missing, *(item for item, _ in result.different)]
            await self._mend(store, bucket, {item.identity: expected.rows[item.identity] for item in wanted})

    async def _mend(self, store: Database, bucket: Bucket, rows: dict[str, Logged]) -> None:
        """Write rows again. One that the log has anew since may be there already: then that is put back over it."""
        if rows:
            self._repaired[store.name] += len(rows)
        while rows:
            await asyncio.to_thread(_write, store, [stored_record(bucket, row) for row in rows.values()])
            rows = await self._log.advance(bucket, rows.keys())

    def _compared(
        self, store: Database, bucket: Bucket, rows: Sequence[_Both], found: Iterable[Item]
    ) -> tuple[Expected, Comparison]:
        before = self._log.settled_before(bucket, store.worker)
        expected = last_of_each(rows, before, self._log.recent[bucket])
        begins_ns = self._log.begins_ns(bucket)
        if not store.holds_all:
            found = any_version(found, rows, expected)
        optional = () if store.holds_all else expected.items.keys()
        return expected, compare(
            expected.items, found, optional=optional, ignored=expected.ignored,
            judges_surplus=lambda item: item.at_ns >= begins_ns,
        )  # fmt: skip

    async def _stream(self, bucket: Bucket, rows: Sequence[_Both]) -> None:
        expected, result = self._streamed(bucket, rows)
        if not result.is_equal:
            await self._log.advance()
            expected, result = self._streamed(bucket, rows)
        self._report.add(checked(self._streams.name, bucket, expected.items, result))

    def _streamed(self, bucket: Bucket, rows: Sequence[_Both]) -> tuple[Expected, Comparison]:
        before = self._log.settled_before(bucket, self._streams.worker)
        expected = each_once(rows, before, self._log.recent[bucket])
        optional = self._streams.optional(bucket, expected)
        found = self._streams.items(bucket, expected)
        return expected, compare(expected.items, found, optional=optional, ignored=expected.ignored)

    async def _candles(self, bars: HourOfBars, buckets: Sequence[Bucket]) -> None:
        if any(not result.is_equal for _, result in bars.compare(self._judged(buckets[0])).values()):
            await self._log.advance()
        for bucket, (expected, result) in bars.compare(self._judged(buckets[0])).items():
            self._report.add(checked(_CANDLES, bucket, expected, result))

    def _judged(self, bucket: Bucket) -> Judged:
        """What of an hour of a symbol can be folded."""
        log, worth = self._log, self._log.worth
        begins_ns = log.begins_ns(bucket._replace(table="trades"))
        whole_ns = max(begins_ns, log.begins_ns(bucket._replace(table="bars_1s")))
        hours = {
            venue: bucket._replace(table="bars_1s", venue=venue) for venue in worth.venues(bucket.market, bucket.symbol)
        }
        return Judged(
            begins_ns,
            frozenset(log.open_minutes[bucket.market, bucket.symbol]),
            log.closed_ns,
            worth_ns=max(whole_ns + NS_PER_HOUR if whole_ns else 0, log.span.from_ns or 0),
            until_ns=2**63 if log.span.until_ns is None else log.span.until_ns,
            seconds={hour: worth.seconds(hour) for hour in hours.values()},
            holes={venue: worth.holes(hour) for venue, hour in hours.items()},
            has_all_quiet=log.saw_all,
        )

    def _advice(self) -> list[str]:
        """What to do about what differs, by store."""
        found = []
        for store in self._stores:
            if any(row.surplus for row in self._report.rows if row.store == store.name):
                found.append(f"{store.name}, surplus rows: {store.on_surplus}.")
        streams = [row for row in self._report.rows if row.store == self._streams.name and not row.is_equal]
        if streams or self._report.foreign:
            found.append(
                "redis: an entry cannot be put behind newer ones, so nothing is repaired there; readers find what is "
                "missing in the database and in the log."
            )
        if any(row.store == _CANDLES and not row.is_equal for row in self._report.rows):
            found.append(
                "bars topic: its bars are not those of the log's trades, or say more than its gaps allow, and the log "
                "is never rewritten. Please report it with `sofia debug bundle`."
            )
        return found


def _hour_of_symbol(bucket: Bucket) -> tuple[int, str, str, str, str]:
    return bucket.hour_ns, bucket.market, bucket.symbol, bucket.table, bucket.venue


def _write(store: Database, records: Sequence[Record]) -> None:
    for at in range(0, len(records), _WRITE_ROWS):
        store.write(records[at : at + _WRITE_ROWS])
