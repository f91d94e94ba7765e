"""Shared by the tests of the Redis bridge: records, the log as the bridge's sink gets it, and what Redis then holds."""

from decimal import Decimal
from types import SimpleNamespace

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from redis.asyncio import Redis

from sofia_streams import codec, topics
from sofia_streams.model import Trade, TradeBatch
from sofia_streams.settings import Settings
from sofia_streams.stores.redis_entries import trade_entries
from sofia_streams.stores.redis_streams import RedisStreams
from sofia_streams.worker.bridging import Bridge
from sofia_streams.worker.sink import Item

SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
TRADES = topics.TRADES


def batches(first: int, count: int) -> list[TradeBatch]:
    """Two trades a record, ids from `first`, over the symbols in turn."""
    return [
        TradeBatch(
            "binance", "spot", SYMBOLS[number % 3], 1_700_000_000_000_000_000 + number, "c",
            [
                Trade(f"{number}-{part}", Decimal("1.50"), Decimal("0.00000001"), "buy", number, number)
                for part in range(2)
            ],
        )
        for number in range(first, first + count)
    ]  # fmt: skip


async def produce(settings: Settings, records: list[TradeBatch]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.broker_address()) as producer:
        for record in records:
            await producer.send_and_wait(
                topics.wire_name(TRADES, settings.namespace), codec.encode(record), key=record.symbol.encode()
            )


async def items(settings: Settings) -> list[Item]:
    """The whole topic as the bridge's sink gets it."""
    name = topics.wire_name(TRADES, settings.namespace)
    found = []
    async with AIOKafkaConsumer(bootstrap_servers=settings.broker_address()) as consumer:
        places = [TopicPartition(name, number) for number in range(settings.topic_partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        for place, end in (await consumer.end_offsets(places)).items():
            while await consumer.position(place) < end:
                message = await consumer.getone(place)
                record = codec.decode_trades(message.value)
                assert isinstance(record, TradeBatch)
                entries = trade_entries(record, enumerate(record.trades), message.offset, settings.stream_prefix())
                seen = SimpleNamespace(
                    topic=name, partition=place.partition, offset=message.offset, value=message.value,
                    timestamp=message.timestamp / 1e3,
                )  # fmt: skip
                found.append(Item(SimpleNamespace(message=seen), 0, entries, len(entries)))
    return found


async def published(settings: Settings) -> dict[str, list[str]]:
    """Trade ids by symbol, in stream order."""
    found = {}
    async with Redis.from_url(settings.redis_address(), decode_responses=True) as client:
        for symbol in SYMBOLS:
            rows = await client.xrange(f"{settings.stream_prefix()}trades:{symbol}")
            found[symbol] = [fields["trade_id"] for _, fields in rows]
    return found


def expected(*groups: list[TradeBatch]) -> dict[str, list[str]]:
    return {
        symbol: [trade.trade_id for group in groups for one in group if one.symbol == symbol for trade in one.trades]
        for symbol in SYMBOLS
    }


async def publish(settings: Settings, *lists: list[Item]) -> None:
    """A bridge as after a start, given these batches."""
    streams = RedisStreams(settings.redis_address(), settings.redis_maxlen)
    bridge = Bridge(settings, streams)
    for one in lists:
        await bridge.publish(one)
    await streams.close()
