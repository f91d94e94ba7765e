"""Writes ingest's records to the log: trades of an instrument coalesced, everything acknowledged, back-pressure kept.

A quiet instrument's trades go out at once. While several are busy, each waits a little longer between its records, so
that all together make about RECORDS_PER_S: what a record costs every reader stays the same however many there are (D2).
Does not parse or deduplicate.
"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Self

import msgspec
from aiokafka import AIOKafkaProducer

from sofia_streams import codec, topics
from sofia_streams.codec import Progress, Quarantined
from sofia_streams.core.windows import instrument_key
from sofia_streams.ingest.intake import Record
from sofia_streams.model import Punctuation, Ticker, TradeBatch
from sofia_streams.settings import Settings

_TRADES_A_RECORD_MAX = 1_000
_UNACKNOWLEDGED_MAX = 5_000
RECORDS_PER_S = 300.0
_BUSY_S = 1.0
_FLUSH_EVERY_S = 0.005


class Pauses:
    """How long an instrument's trades wait for more, from how many instruments are sending."""

    def __init__(self, wait_s_max: float) -> None:
        self._wait_s_max = wait_s_max
        self._sent_s: dict[str, float] = {}
        self._counted_s = 0.0
        self.wait_s = 0.0

    def is_due(self, name: str, now_s: float) -> bool:
        """Whether the last record of this instrument is old enough for the next."""
        return now_s - self._sent_s.get(name, 0.0) >= self.wait_s

    def sent(self, name: str, now_s: float) -> None:
        """A record of this instrument went out; now and then, count who is busy."""
        self._sent_s[name] = now_s
        if now_s - self._counted_s >= _BUSY_S:
            self._sent_s = {one: at_s for one, at_s in self._sent_s.items() if now_s - at_s < _BUSY_S}
            self.wait_s = min(self._wait_s_max, len(self._sent_s) / RECORDS_PER_S)
            self._counted_s = now_s


class TradeLog:
    """A producer with coalescing; a context manager. Its tasks' errors are raised by `put` and `drain`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pauses = Pauses(settings.coalesce_ms_max / 1e3)
        self._pending: dict[str, list[TradeBatch]] = {}
        self._unacknowledged: set[asyncio.Future[object]] = set()
        self._failed: BaseException | None = None
        self._in_order = asyncio.Lock()  # what is put first is in the log first, whoever flushes

    async def __aenter__(self) -> Self:
        """Connect."""
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.broker().removeprefix("kafka://"),
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            max_request_size=topics.TRADES.record_bytes_max,
        )
        await self._producer.start()
        self._flusher = asyncio.create_task(self._flush_due())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Send what is left and wait for its acknowledgement."""
        self._flusher.cancel()
        await asyncio.gather(self._flusher, return_exceptions=True)
        if error is None:
            await self.drain()
        await self._producer.stop()

    async def put(self, record: Record) -> None:
        """Send one record, trades perhaps a little later. Waits while the broker is behind."""
        async with self._in_order:
            if isinstance(record, TradeBatch):
                await self._put_trades(record)
            elif isinstance(record, Punctuation):
                await self._flush(instrument_key(record.venue, record.market, record.symbol))
                await self._send(topics.TRADES, record.symbol, record, record.received_ns)
            elif isinstance(record, Ticker):
                await self._send(topics.TICKERS, record.symbol, record, record.received_ns)
            elif isinstance(record, Quarantined):
                await self._send(topics.QUARANTINE, record.source, record, record.received_ns)

    async def report(self, progress: Progress) -> None:
        """Say what was counted so far."""
        await self._send(topics.HEALTH, progress.component, progress, progress.at_ns)

    async def drain(self) -> None:
        """Send everything and wait until the log has it."""
        async with self._in_order:
            for name in list(self._pending):
                await self._flush(name)
        while self._unacknowledged:
            await asyncio.wait(self._unacknowledged)
        self._raise_failure()

    async def _put_trades(self, batch: TradeBatch) -> None:
        name = instrument_key(batch.venue, batch.market, batch.symbol)
        waiting = self._pending.setdefault(name, [])
        if waiting and waiting[0].line != batch.line:
            await self._flush(name)
            waiting = self._pending.setdefault(name, [])
        waiting.append(batch)
        due = self._pauses.is_due(name, time.monotonic())
        if due or sum(len(one.trades) for one in waiting) >= _TRADES_A_RECORD_MAX:
            await self._flush(name)

    async def _flush_due(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_EVERY_S)
            now_s = time.monotonic()
            async with self._in_order:
                for name in [name for name in self._pending if self._pauses.is_due(name, now_s)]:
                    await self._flush(name)

    async def _flush(self, name: str) -> None:
        batches = self._pending.pop(name, None)
        if batches:
            self._pauses.sent(name, time.monotonic())
            trades = [trade for batch in batches for trade in batch.trades]
            joined = msgspec.structs.replace(batches[0], trades=trades)  # the oldest receipt counts for latency
            await self._send(topics.TRADES, joined.symbol, joined, joined.received_ns)

    async def _send(self, topic: topics.Topic, key: str, record: object, at_ns: int) -> None:
        self._raise_failure()
        while len(self._unacknowledged) >= _UNACKNOWLEDGED_MAX:
            await asyncio.wait(self._unacknowledged, return_when=asyncio.FIRST_COMPLETED)
        future = await self._producer.send(
            topics.wire_name(topic, self._settings.namespace),
            codec.encode(record),
            key=key.encode(),
            timestamp_ms=at_ns // 1_000_000,
        )
        self._unacknowledged.add(future)
        future.add_done_callback(self._acknowledged)

    def _acknowledged(self, future: asyncio.Future[object]) -> None:
        self._unacknowledged.discard(future)
        if not future.cancelled() and future.exception() is not None:
            self._failed = future.exception()

    def _raise_failure(self) -> None:
        if self._failed is not None:
            raise self._failed
