"""The trades of one instrument that the log has around a moment, each once. Reads a stretch of one partition."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import NamedTuple, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from sofia_streams import codec, topics
from sofia_streams.core.ids import IdSet
from sofia_streams.core.tape import identity_of
from sofia_streams.errors import BadRecord, DependencyDown
from sofia_streams.logread import records_between
from sofia_streams.model import NS_PER_MINUTE, NS_PER_MS, IdKind, Market, Trade, TradeBatch
from sofia_streams.settings import Settings

_AROUND_NS = NS_PER_MINUTE
"""A record is logged so long before or after its trades at most, but for what comes late; clocks differ."""


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


async def trades_between(settings: Settings, named: Named, from_ns: int, until_ns: int) -> list[Trade]:
    """Trades of an instrument with exchange times from `from_ns` to `until_ns`, history left out.

    Raises DependencyDown.
    """
    found: dict[tuple[str, str, int], Trade] = {}
    async for trade in _each(settings, named, from_ns, until_ns):
        found.setdefault(identity_of(trade), trade)
    return list(found.values())


async def not_in_log(
    settings: Settings, named: Named, page: Sequence[Trade], from_ns: int, until_ns: int
) -> list[Trade]:
    """Those trades of a page, from `from_ns` to `until_ns`, that the log does not have. Raises DependencyDown."""
    known = {trade.trade_id for trade in await trades_between(settings, named, from_ns, until_ns)}
    return [one for one in page if from_ns <= one.exchange_ns <= until_ns and one.trade_id not in known]


async def has_any(settings: Settings, named: Named, from_ns: int, until_ns: int) -> bool:
    """Whether the log has a trade of that time; reads no further than the first. Raises DependencyDown."""
    async with aclosing(_each(settings, named, from_ns, until_ns)) as trades:
        async for _ in trades:
            return True
    return False


async def ids_between(settings: Settings, named: Named, kind: IdKind, from_ns: int, until_ns: int) -> IdSet:
    """The ids of those trades, where ids count. Raises DependencyDown."""
    found = IdSet()
    async for trade in _each(settings, named, from_ns, until_ns):
        if trade.id_kind == kind:
            found = found.union_range(trade.order - trade.count + 1, trade.order)
    return found


async def _each(settings: Settings, named: Named, from_ns: int, until_ns: int) -> AsyncGenerator[Trade, None]:
    number = partition_of(named.symbol, topics.partitions(topics.TRADES, settings.topic_partitions))
    place = TopicPartition(topics.wire_name(topics.TRADES, settings.namespace), number)
    start_ms = max(0, (from_ns - _AROUND_NS) // NS_PER_MS)
    try:
        async with AIOKafkaConsumer(bootstrap_servers=settings.broker_address(), enable_auto_commit=False) as consumer:
            consumer.assign([place])
            start = (await consumer.offsets_for_times({place: start_ms}))[place]
            if start is None:
                return
            ends = await consumer.end_offsets([place])
            async for message in records_between(consumer, {place: start.offset}, ends):
                for trade in _trades(message.value, named):
                    if from_ns <= trade.exchange_ns <= until_ns and not trade.snapshot:
                        yield trade
    except KafkaError as error:
        address = settings.broker_address()
        raise DependencyDown(f"expected the broker at {address} to answer, found {error!r}. Is it up?") from error


def _trades(data: bytes, named: Named) -> list[Trade]:
    try:
        record = codec.decode_trades(data)
    except BadRecord:
        return []  # its reader has quarantined it
    is_of = isinstance(record, TradeBatch) and (record.venue, record.market, record.symbol) == (
        named.venue, named.market, named.symbol,
    )  # fmt: skip
    return record.trades if isinstance(record, TradeBatch) and is_of else []
