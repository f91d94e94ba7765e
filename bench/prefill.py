"""Fills the log with prepared records, all at once or at the pace they were made for; folds them in this process.

Bytes are encoded beforehand, so that offering them costs little while a worker is measured.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bench.stream import START_NS, Timed
from sofia_streams import codec, topics
from sofia_streams.core.bars import candles
from sofia_streams.core.bars.windows import Row, Rules
from sofia_streams.logwrite import log_producer
from sofia_streams.model import TradeBatch
from sofia_streams.ops.replay.bar_book import BarBook
from sofia_streams.settings import Settings

_BUFFERED_MAX = 20_000


class Prepared(NamedTuple):
    """A record as bytes: when to send it and when its oldest trade was received, in seconds since the stream began."""

    at_s: float
    received_s: float
    key: bytes
    value: bytes
    trades: int


def prepare(records: Iterable[Timed]) -> list[Prepared]:
    """Encode them as ingest does."""
    return [
        Prepared(
            at_s,
            (record.received_ns - START_NS) / 1e9,
            record.symbol.encode(),
            codec.encode(record),
            len(record.trades) if isinstance(record, TradeBatch) else 0,
        )
        for at_s, record in records
    ]


def shape(records: Sequence[Prepared]) -> dict[str, object]:
    """How many trades a record the stream has; punctuation is not counted as a record of trades."""
    sizes = [record.trades for record in records if record.trades]
    return {
        "trades": sum(sizes),
        "records": len(sizes),
        "trades_a_record": round(sum(sizes) / max(1, len(sizes)), 1),
        "trades_a_record_max": max(sizes, default=0),
    }


def fold(records: Iterable[Prepared], rules: Rules) -> tuple[int, str]:
    """The trades counted and the hash of the bars, folded in this process from the same bytes."""
    rows: dict[str, Row] = {}
    book, applied = BarBook(), 0
    for offset, record in enumerate(records):
        step = candles.apply(rows, codec.decode_trades(record.value), offset=offset, rules=rules)
        applied += step.applied
        for bar in step.bars:
            book.add(bar)
        candles.store(rows, step.rows)
    return applied, book.sha256()


async def fill(settings: Settings, records: Sequence[Prepared]) -> None:
    """All records into `trades` of the namespace, acknowledged, as fast as the broker takes them."""
    name = topics.wire_name(topics.TRADES, settings.namespace)
    async with log_producer(settings) as producer:
        waiting: list[asyncio.Future[object]] = []
        for record in records:
            waiting.append(await producer.send(name, record.value, key=record.key))
            if len(waiting) >= _BUFFERED_MAX:
                await asyncio.gather(*waiting)
                waiting.clear()
        await asyncio.gather(*waiting)


async def offer(settings: Settings, records: Sequence[Prepared]) -> float:
    """The records at their own pace, stamped with their receipt; the largest delay behind that pace in seconds."""
    name = topics.wire_name(topics.TRADES, settings.namespace)
    behind_s = 0.0
    async with log_producer(settings) as producer:
        began_s = time.time()
        waiting = []
        for record in records:
            wait_s = began_s + record.at_s - time.time()
            behind_s = max(behind_s, -wait_s)
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            stamp_ms = int((began_s + record.received_s) * 1e3)
            waiting.append(await producer.send(name, record.value, key=record.key, timestamp_ms=stamp_ms))
        await asyncio.gather(*waiting)
    return behind_s
