"""Writes ingest's records to the log: trades coalesced, everything acknowledged, back-pressure kept.

Does not parse or deduplicate.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from sofia_streams import codec, topics
from sofia_streams.core.bars.windows import instrument_key
from sofia_streams.crash_points import passing
from sofia_streams.ingest.coalesce import Coalescer
from sofia_streams.ingest.intake import Record
from sofia_streams.logwrite import log_producer
from sofia_streams.model import NS_PER_MS, Alert, Gap, Progress, Punctuation, Quarantined, Ticker, TradeBatch
from sofia_streams.scored import History
from sofia_streams.settings import Settings

_UNACKNOWLEDGED_MAX = 5_000
_RECORD_BYTES_MAX = topics.TRADES.record_bytes_max - 16_384
"""Room for the key and what Kafka writes around a record."""
_FLUSH_EVERY_S = 0.005


class TradeLog:
    """A producer with coalescing; a context manager. Its tasks' errors are raised by `put` and `drain`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._coalescer = Coalescer(settings.coalesce_ms_max / 1e3, settings.lateness_ms * NS_PER_MS)
        self._unacknowledged: set[asyncio.Future[object]] = set()
        self._failed: BaseException | None = None
        self._in_order = asyncio.Lock()  # what is put first is in the log first, whoever flushes

    async def __aenter__(self) -> Self:
        """Connect."""
        self._producer = log_producer(self._settings)
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
                await self._send_trades(self._coalescer.add(record, time.monotonic()))
            elif isinstance(record, Punctuation | Gap):
                name = instrument_key(record.venue, record.market, record.symbol)
                await self._send_trades(self._coalescer.take(name, time.monotonic()))
                await self._send(topics.TRADES, record.symbol, record, record.received_ns)
                if isinstance(record, Gap):
                    await self._send(topics.GAPS, record.symbol, record, record.received_ns)
            elif isinstance(record, Ticker):
                await self._send(topics.TICKERS, record.symbol, record, record.received_ns)
            elif isinstance(record, Quarantined):
                await self._send(topics.QUARANTINE, record.source, record, record.received_ns)

    async def history(self, history: History) -> None:
        """Say what venues' candles were before our own, in the partition of the symbol's bars."""
        await self._send(topics.BARS, history.symbol, history, history.received_ns)

    async def report(self, progress: Progress) -> None:
        """Say what was counted so far."""
        await self._send(topics.HEALTH, progress.component, progress, progress.at_ns)

    async def alert(self, alert: Alert) -> None:
        """Say what must reach a person."""
        await self._send(topics.ALERTS, alert.source, alert, alert.at_ns)

    async def drain(self) -> None:
        """Send everything and wait until the log has it."""
        async with self._in_order:
            await self._send_trades(self._coalescer.take_all(time.monotonic()))
        while self._unacknowledged:
            await asyncio.wait(self._unacknowledged)
        self._raise_failure()

    async def _flush_due(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_EVERY_S)
            async with self._in_order:
                await self._send_trades(self._coalescer.due(time.monotonic()))

    async def _send_trades(self, records: Sequence[TradeBatch]) -> None:
        for record in records:
            for data in codec.encode_parts(record, _RECORD_BYTES_MAX):
                await self._send_bytes(topics.TRADES, record.symbol, data, record.received_ns)

    async def _send(self, topic: topics.Topic, key: str, record: object, at_ns: int) -> None:
        await self._send_bytes(topic, key, codec.encode(record), at_ns)

    async def _send_bytes(self, topic: topics.Topic, key: str, data: bytes, at_ns: int) -> None:
        self._raise_failure()
        while len(self._unacknowledged) >= _UNACKNOWLEDGED_MAX:
            await asyncio.wait(self._unacknowledged, return_when=asyncio.FIRST_COMPLETED)
        future = await self._producer.send(
            topics.wire_name(topic, self._settings.namespace),
            data,
            key=key.encode(),
            timestamp_ms=at_ns // NS_PER_MS,
        )
        passing("sent")
        self._unacknowledged.add(future)
        future.add_done_callback(self._acknowledged)

    def _acknowledged(self, future: asyncio.Future[object]) -> None:
        self._unacknowledged.discard(future)
        if not future.cancelled() and future.exception() is not None:
            self._failed = future.exception()

    def _raise_failure(self) -> None:
        if self._failed is not None:
            raise self._failed
