"""What the log has of instruments around a moment: their trades, each once. Reads a stretch of their partitions.

One pass serves every instrument that is asked for; records of others are not decoded. Sums are kept where sums are
asked for. What it does not do: follow the log, decide what is missing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from decimal import Decimal
from typing import NamedTuple, Protocol

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from sofia_streams import codec, topics
from sofia_streams.core.bars.ohlcv import window_start_ns
from sofia_streams.core.feeds.ids import IdSet
from sofia_streams.core.feeds.tape import identity_of
from sofia_streams.logread import EARLY_NS, broker_down, readable, reader, records_between, since_ms
from sofia_streams.model import NS_PER_MINUTE, NS_PER_MS, Gap, IdKind, Market, Punctuation, Trade, TradeBatch
from sofia_streams.settings import Settings


class Named(Protocol):
    """Anything that says which instrument it is of."""

    @property
    def venue(self) -> str: ...  # noqa: D102
    @property
    def market(self) -> Market: ...  # noqa: D102
    @property
    def symbol(self) -> str: ...  # noqa: D102


class Instrument(NamedTuple):
    """One instrument of one venue, by itself."""

    venue: str
    market: Market
    symbol: str


def partition_of(symbol: str, partitions: int) -> int:
    """Where records of a symbol stand in a keyed topic, as the producers put them."""
    numbers = list(range(partitions))
    return int(DefaultPartitioner()(symbol.encode(), numbers, numbers))


async def not_in_log(
    settings: Settings, named: Named, page: Sequence[Trade], from_ns: int, until_ns: int
) -> list[Trade]:
    """Those trades of a page, from `from_ns` to `until_ns`, that the log does not have. Raises DependencyDown."""
    async with aclosing(_trades(settings, [named], from_ns, until_ns)) as trades:
        known = {trade.trade_id async for _, trade in trades}
    return [one for one in page if from_ns <= one.exchange_ns <= until_ns and one.trade_id not in known]


async def volumes_of(
    settings: Settings, wanted: Mapping[Instrument, Collection[int]]
) -> dict[Instrument, dict[int, Decimal]]:
    """The volume of these minutes (their starts, ns) of each instrument, history left out. Raises DependencyDown."""
    found = {one: dict.fromkeys(starts_ns, Decimal(0)) for one, starts_ns in wanted.items() if starts_ns}
    if not found:
        return {}
    seen: dict[Instrument, set[tuple[str, str, int]]] = {one: set() for one in found}
    from_ns, last_ns = min(map(min, found.values())), max(map(max, found.values()))
    async with aclosing(_trades(settings, found, from_ns, last_ns + NS_PER_MINUTE - 1)) as trades:
        async for one, trade in trades:
            start_ns, identity = window_start_ns(trade.exchange_ns, NS_PER_MINUTE), identity_of(trade)
            if start_ns in found[one] and identity not in seen[one]:
                seen[one].add(identity)
                found[one][start_ns] += trade.quantity
    return found


async def was_heard(settings: Settings, named: Named, from_ns: int, until_ns: int) -> bool:
    """Whether the log speaks of the instrument in that time: a trade, or that it was quiet.

    Reads no further than the first that does; what came much later than that time is not looked for. Raises
    DependencyDown.
    """
    async with aclosing(_records(settings, [named], from_ns, until_ns + EARLY_NS)) as records:
        async for _, record in records:
            if isinstance(record, TradeBatch):
                times_ns = [trade.exchange_ns for trade in record.trades if not trade.snapshot]
            else:
                times_ns = [record.exchange_ns] if isinstance(record, Punctuation) and record.alive else []
            if any(from_ns <= at_ns <= until_ns for at_ns in times_ns):
                return True
    return False


async def ids_between(settings: Settings, named: Named, kind: IdKind, from_ns: int, until_ns: int) -> IdSet:
    """The ids of those trades, where ids count. Raises DependencyDown."""
    found = IdSet()
    async with aclosing(_trades(settings, [named], from_ns, until_ns)) as trades:
        async for _, trade in trades:
            if trade.id_kind == kind:
                found = found.union_range(trade.first_order, trade.order)
    return found


async def _trades(
    settings: Settings, wanted: Iterable[Named], from_ns: int, until_ns: int
) -> AsyncGenerator[tuple[Instrument, Trade], None]:
    """Every trade as often as it stands in the log, history left out."""
    async with aclosing(_records(settings, wanted, from_ns)) as records:
        async for one, record in records:
            for trade in record.trades if isinstance(record, TradeBatch) else ():
                if from_ns <= trade.exchange_ns <= until_ns and not trade.snapshot:
                    yield one, trade


async def _records(
    settings: Settings, wanted: Iterable[Named], from_ns: int, logged_until_ns: int | None = None
) -> AsyncGenerator[tuple[Instrument, TradeBatch | Punctuation | Gap], None]:
    """The records of these instruments that may speak of `from_ns` or later, up to the present end of the log.

    With `logged_until_ns` only up to the first that was logged so late.
    """
    named = [Instrument(one.venue, one.market, one.symbol) for one in wanted]
    chosen: dict[tuple[str, str, str] | None, Instrument] = {(*one,): one for one in named}
    keys = {one.symbol.encode() for one in named}
    count = topics.partitions(topics.TRADES, settings.topic_partitions)
    name = topics.wire_name(topics.TRADES, settings.namespace)
    places = [TopicPartition(name, number) for number in sorted({partition_of(one.symbol, count) for one in named})]
    try:
        async with reader(settings) as consumer:
            begins = await consumer.offsets_for_times(dict.fromkeys(places, since_ms(from_ns)))
            starts = {place: found.offset for place, found in begins.items() if found is not None}
            ends = dict(await consumer.end_offsets(places))
            if logged_until_ns is not None:
                late = await consumer.offsets_for_times(dict.fromkeys(places, logged_until_ns // NS_PER_MS))
                ends |= {place: found.offset for place, found in late.items() if found is not None}
            async for message in records_between(consumer, starts, ends):
                one = chosen.get(codec.name_in(message.value)) if message.key in keys else None
                if one is not None and (record := readable(message.value)) is not None:
                    yield one, record
    except KafkaError as error:
        raise broker_down(settings, error) from error
