"""Reads everything that a run left behind: the log's trades, bars and gaps, QuestDB's rows, Redis' entries.

Judges nothing (`verdict`).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from aiokafka import TopicPartition
from redis.asyncio import Redis

from sofia_streams import codec, topics
from sofia_streams.core.bars.windows import instrument_key
from sofia_streams.core.feeds.gaps import newest
from sofia_streams.logread import places, read_gaps, reader, whole_topic
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND, Bar, Gap, TradeBatch
from sofia_streams.ops.chaos.verdict import Held, Window
from sofia_streams.settings import Settings
from sofia_streams.stores.questdb import QuestDb

_PAGE = 10_000
_READ = (topics.TRADES, topics.BARS, topics.GAPS)
_NUMBERS = ("open", "high", "low", "close", "volume", "quote_volume", "buy_volume", "vwap")
_REST = ("trade_count", "first_trade_id", "last_trade_id", "revision", "quality")


@dataclass
class Log:
    """What the log says, by "venue|market|symbol"; `trades` are those that count."""

    trades: dict[str, dict[str, Held]] = field(default_factory=lambda: defaultdict(dict))
    history: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Ids that a venue repeated on subscribing: stored, but in no bar unless they stand in `trades` too."""
    repeats: int = 0
    backfilled: int = 0
    arrivals: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """By venue: when trades came over the socket, ns, in no order."""
    bars: dict[Window, Bar] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)

    def ids(self, name: str) -> set[str]:
        """Every id of an instrument that a store must have."""
        return self.history[name] | self.trades[name].keys()

    def bars_of(self, name: str, size_ns: int) -> dict[int, Bar]:
        """The bars of an instrument by the start of their window."""
        found = (bar for key, bar in self.bars.items() if key[0] == size_ns and "|".join(map(str, key[1:4])) == name)
        return {bar.start_ns: bar for bar in found}


async def ends(settings: Settings) -> dict[TopicPartition, int]:
    """How far the topics that `read_log` reads are written."""
    chosen = [place for topic in _READ for place in places(settings, topic)]
    async with reader(settings) as consumer:
        found: dict[TopicPartition, int] = await consumer.end_offsets(chosen)
        return found


async def read_log(settings: Settings) -> Log:
    """All of it."""
    log = Log()
    async for value in whole_topic(settings, topics.TRADES):
        record = codec.decode_trades(value)
        if isinstance(record, TradeBatch):
            _add(log, record)
    async for value in whole_topic(settings, topics.BARS):
        if (bar := codec.decode_bar(value)) is not None:
            log.bars[window_of(bar)] = bar
    log.gaps = newest([gap async for gap in read_gaps(settings)])
    return log


def _add(log: Log, batch: TradeBatch) -> None:
    name = instrument_key(batch.venue, batch.market, batch.symbol)
    known = log.trades[name]
    for trade in batch.trades:
        if trade.snapshot:
            log.history[name].add(trade.trade_id)
            continue
        log.repeats += trade.trade_id in known
        log.backfilled += trade.backfilled
        known[trade.trade_id] = Held(trade.price, trade.quantity, trade.taker_side, trade.exchange_ns)
        if not trade.backfilled:
            log.arrivals[batch.venue].append(batch.received_ns)


def window_of(bar: Bar) -> Window:
    """The window of a bar."""
    return bar.size_ns, bar.venue, bar.market, bar.symbol, bar.start_ns


def values_of(bar: Bar) -> tuple[object, ...]:
    """What every copy of a bar must have."""
    return tuple(getattr(bar, name) for name in (*_NUMBERS, *_REST))


async def questdb_ids(settings: Settings) -> dict[str, list[str]]:
    """Trade ids by instrument, as often as they stand there."""
    store = QuestDb(settings.questdb_address(), settings.table_prefix())
    table, found = store.table("trades"), {}
    for venue, market, symbol in _instruments(settings):
        where = f"venue = '{venue}' AND market = '{market}' AND symbol = '{symbol}'"
        rows = await asyncio.to_thread(store.query, f"SELECT trade_id FROM '{table}' WHERE {where}")  # noqa: S608
        found[instrument_key(venue, market, symbol)] = [str(row[0]) for row in rows]
    return found


async def questdb_bars(settings: Settings) -> dict[Window, tuple[object, ...]]:
    """The values of every bar, by window."""
    store = QuestDb(settings.questdb_address(), settings.table_prefix())
    columns = ", ".join(("venue", "market", "symbol", "start_ns::long", *_NUMBERS, *_REST))
    found: dict[Window, tuple[object, ...]] = {}
    for name, size_ns in (("bars_1s", NS_PER_SECOND), ("bars_1m", NS_PER_MINUTE)):
        for row in await asyncio.to_thread(store.query, f"SELECT {columns} FROM '{store.table(name)}'"):  # noqa: S608
            numbers = (None if text is None else Decimal(str(text)) for text in row[4 : 4 + len(_NUMBERS)])
            rest = ("" if one is None else one for one in row[4 + len(_NUMBERS) :])
            found[(size_ns, *row[:4])] = (*numbers, *rest)
    return found


async def redis_ids(settings: Settings) -> dict[str, list[str]]:
    """Trade ids by instrument, as often as they stand there."""
    found: dict[str, list[str]] = defaultdict(list)
    async for entry in _entries(settings, "trades"):
        found[instrument_key(entry["venue"], entry["market"], entry["symbol"])].append(entry["trade_id"])
    return found


async def redis_bars(settings: Settings) -> dict[Window, tuple[object, ...]]:
    """The values of the last entry of every bar, by window."""
    found: dict[Window, tuple[object, ...]] = {}
    async for entry in _entries(settings, "bars"):
        numbers = (Decimal(entry[name]) if name in entry else None for name in _NUMBERS)
        rest = (int(entry[name]) if name in ("trade_count", "revision") else entry[name] for name in _REST)
        window = int(entry["size_ns"]), entry["venue"], entry["market"], entry["symbol"], int(entry["start_ns"])
        found[window] = (*numbers, *rest)
    return found


async def _entries(settings: Settings, topic: str) -> AsyncIterator[Any]:
    async with Redis.from_url(settings.redis_address(), decode_responses=True) as client:
        for symbol in settings.crypto_symbols:
            stream, after = f"{settings.stream_prefix()}{topic}:{symbol}", "-"
            while page := await client.xrange(stream, after, "+", count=_PAGE):
                for _, entry in page:
                    yield entry
                after = f"({page[-1][0]!s}"


def _instruments(settings: Settings) -> Iterator[tuple[str, Any, str]]:
    for venue in settings.crypto_exchanges:
        for symbol in settings.crypto_symbols:
            yield venue, settings.crypto_market, symbol
