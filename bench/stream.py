"""The generated trades of the benchmarks, and the log records ingest would make of them at a given rate.

Records come from ingest's own coalescer on a virtual clock, so that no record is larger than live ones at that rate.
Pure: the same arguments give the same records. Nothing here is data of a real exchange.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from sofia_streams.core.bars.windows import Rules
from sofia_streams.ingest.coalesce import Coalescer
from sofia_streams.ingest.names import Names
from sofia_streams.model import ParsedTrade, Punctuation, TradeBatch
from sofia_streams.simulator.market import Market, Plan

VENUES = ("binance", "okx", "coinbase", "bybit")
SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
REPEATED_ONE_IN = 1_000
"""Every so many trades one comes once more, as after a reconnect: the fold must count it once."""
START_NS = 1_767_225_600_000_000_000  # 2026-01-01, so that minutes begin with the stream
_LINGER_S_MAX, _FLUSH_EVERY_S = 0.05, 0.005


class Timed(NamedTuple):
    """A log record and when ingest would send it, in seconds since the stream began."""

    at_s: float
    record: TradeBatch | Punctuation


def frames(count: int, rate: float) -> Iterator[TradeBatch]:
    """`count` distinct trades, one a frame, in order of receipt; `rate` is trades a second over all instruments."""
    names, taken = Names(), 0
    market = Market(Plan(VENUES, SYMBOLS, rate / len(VENUES), even=True), START_NS)
    for event in market.events():
        if taken >= count:
            return
        if isinstance(event.said, ParsedTrade):
            symbol = names.unified(event.venue, "spot", event.said.venue_symbol)
            received_ns = event.at_ns + 1_000_000
            batch = TradeBatch(event.venue, "spot", symbol, received_ns, f"{event.venue}-0", [event.said.trade])
            yield batch
            taken += 1
            if taken % REPEATED_ONE_IN == 0:
                yield batch


def coalesced(batches: Iterable[TradeBatch], linger_s_max: float = _LINGER_S_MAX) -> Iterator[Timed]:
    """The records of these frames, coalesced as ingest does; the receipt of a frame is the clock."""
    coalescer, flushed_s, now_s = Coalescer(linger_s_max, Rules().lateness_ns), 0.0, 0.0
    for batch in batches:
        now_s = (batch.received_ns - START_NS) / 1e9
        while flushed_s + _FLUSH_EVERY_S <= now_s:
            flushed_s += _FLUSH_EVERY_S
            yield from (Timed(flushed_s, record) for record in coalescer.due(flushed_s))
        yield from (Timed(now_s, record) for record in coalescer.add(batch, now_s))
    yield from (Timed(now_s, record) for record in coalescer.take_all(now_s))


def one_by_one(batches: Iterable[TradeBatch]) -> Iterator[Timed]:
    """The same frames, one trade a record."""
    for batch in batches:
        yield Timed((batch.received_ns - START_NS) / 1e9, batch)


def ended(records: Iterable[Timed]) -> Iterator[Timed]:
    """The records, then the end of every feed in them: all windows close."""
    last: dict[tuple[str, str], TradeBatch] = {}
    at_s = 0.0
    for timed in records:
        at_s = timed.at_s
        if isinstance(timed.record, TradeBatch):
            last[timed.record.venue, timed.record.symbol] = msgspec.structs.replace(timed.record, trades=[])
        yield timed
    for batch in last.values():
        received_ns = START_NS + int(at_s * 1e9)
        yield Timed(
            at_s,
            Punctuation(batch.venue, batch.market, batch.symbol, received_ns, batch.line, received_ns, alive=False),
        )
