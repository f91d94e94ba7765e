"""Workers that come back to a log that is not as they left it: overtaken by retention, made anew, repartitioned."""

import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.admin.records_to_delete import RecordsToDelete
from waiting import eventually

from sofia_streams import codec, topics
from sofia_streams.embedded import process
from sofia_streams.logread import whole_topic
from sofia_streams.logwrite import Written, write_records
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND, Alert, Bar, Gap, Punctuation, Quality, Trade, TradeBatch
from sofia_streams.ops.topics import apply_topics
from sofia_streams.ops.workers import Lag, start_worker, wait_joined
from sofia_streams.settings import Settings

pytestmark = pytest.mark.broker
START_NS = 1_700_000_040_000_000_000


@pytest.fixture
async def settings(make_namespace) -> Settings:
    """One venue and one symbol, so that everything is in one partition."""
    return await make_namespace(topic_partitions=2, crypto_exchanges=("binance",), crypto_symbols=("BTC/USDT",))


def seconds(first: int, count: int, start_ns: int = START_NS, **more: Any) -> list[TradeBatch | Punctuation]:
    """One trade a second, and then that the feed was alive until two seconds later."""
    trades: list[TradeBatch | Punctuation] = [
        TradeBatch(
            "binance", "spot", "BTC/USDT", at_ns, "c",
            [Trade(str(number), Decimal(100 + number), Decimal("0.5"), "buy", at_ns, number, **more)],
        )
        for number in range(first, first + count)
        for at_ns in [start_ns + number * NS_PER_SECOND]
    ]  # fmt: skip
    end_ns = start_ns + (first + count + 2) * NS_PER_SECOND
    return [*trades, Punctuation("binance", "spot", "BTC/USDT", end_ns, "c", end_ns)]


async def produce(settings: Settings, records: list[TradeBatch | Punctuation]) -> None:
    now_ns = time.time_ns()  # the records' own times are years ago: retention would drop them
    await write_records(settings, [Written(topics.TRADES, one.symbol, one, now_ns) for one in records])


async def drained(settings: Settings) -> bool:
    async with Lag(settings) as lag:
        return await lag.of("ohlcv") == 0 and await lag.committed("ohlcv") > 0


async def traded_seconds(settings: Settings) -> dict[int, int]:
    """Trades of each second's newest bar, by its number."""
    found: dict[int, Bar] = {}
    async for value in whole_topic(settings, topics.BARS):
        bar = codec.decode_bar(value)
        if bar.size_ns == NS_PER_SECOND and bar.venue == "binance":
            found[(bar.start_ns - START_NS) // NS_PER_SECOND] = bar
    return {second: bar.trade_count for second, bar in sorted(found.items()) if bar.trade_count}


async def alerts(settings: Settings) -> list[Alert]:
    return [codec.decode_alert(value) async for value in whole_topic(settings, topics.ALERTS)]


async def gaps(settings: Settings) -> list[Gap]:
    return [codec.decode_gap(value) async for value in whole_topic(settings, topics.GAPS)]


async def place_of(settings: Settings) -> tuple[TopicPartition, int]:
    """The partition of our symbol, and its end."""
    async with Lag(settings) as lag:
        ends = {name: end for name, (_, end) in (await lag.positions("ohlcv")).items() if end}
    (name,) = ends
    topic, _, partition = name.rpartition("/")
    return TopicPartition(topic, int(partition)), ends[name]


async def as_admin(settings: Settings, what: Callable[[AIOKafkaAdminClient], Awaitable[object]]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.broker_address())
    await admin.start()
    try:
        await what(admin)
    finally:
        await admin.close()


class Worker:
    """ohlcv as a process; started and stopped in order, as often as a test likes."""

    def __init__(self, settings: Settings) -> None:
        for name in ("run", "log"):
            (settings.data_dir / name).mkdir(exist_ok=True)
        self.settings = settings
        self.child: process.Child | None = None

    async def __aenter__(self) -> "Worker":
        self.child = start_worker("ohlcv", self.settings, self.settings.data_dir)
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self.child is not None
        if error[0] is not None:
            print(f"the worker: code {self.child.exit_code()}\n{self.log()}")
        process.stop([self.child], grace_s=10)

    def log(self) -> str:
        assert self.child is not None
        return self.child.log.read_text()

    async def ended(self) -> bool:
        assert self.child is not None
        return self.child.exit_code() is not None


async def test_a_worker_overtaken_by_retention_says_so_and_goes_on_with_what_is_left(settings):
    await produce(settings, seconds(0, 20))
    async with Worker(settings):
        await eventually(lambda: drained(settings))
    await produce(settings, seconds(20, 20))
    place, end = await place_of(settings)
    await as_admin(settings, lambda admin: admin.delete_records({place: RecordsToDelete(end - 6)}))
    async with Worker(settings) as worker:
        await eventually(lambda: drained(settings))
        assert f"retention dropped 15 records of {place.topic}/{place.partition}" in worker.log()
    (alert,) = await alerts(settings)
    assert (alert.severity, alert.source) == ("critical", topics.app_id("ohlcv", settings.namespace))
    (gap,) = await gaps(settings)
    assert (gap.cause, gap.state, gap.symbol, gap.venue) == ("retention", "open", "BTC/USDT", "binance")
    assert gap.until_ns is not None
    assert 0 <= gap.until_ns - gap.from_ns < NS_PER_MINUTE
    found = await traded_seconds(settings)
    assert found == dict.fromkeys([*range(20), *range(35, 40)], 1)


async def write(settings: Settings, records: list[TradeBatch | Punctuation | Gap]) -> None:
    """As ingest does, each at its own time."""
    await write_records(settings, [Written(topics.TRADES, one.symbol, one, one.received_ns) for one in records])


async def qualities(settings: Settings, start_ns: int) -> dict[tuple[int, int], Quality]:
    """What the newest bars of our venue are worth, by size and start in seconds."""
    found: dict[tuple[int, int], Quality] = {}
    async for value in whole_topic(settings, topics.BARS):
        bar = codec.decode_bar(value)
        if bar.venue == "binance":
            found[bar.size_ns // NS_PER_SECOND, (bar.start_ns - start_ns) // NS_PER_SECOND] = bar.quality
    return found


@pytest.mark.parametrize("count", [80, 400])
async def test_bars_that_lack_what_retention_dropped_say_so_until_it_is_there(settings, count):
    """Of the longer log they are no longer kept when its end is read: they are not revised, and go on to say so."""
    start_ns = time.time_ns() // NS_PER_MINUTE * NS_PER_MINUTE - 10 * NS_PER_MINUTE
    await write(settings, seconds(0, 80, start_ns))
    async with Worker(settings):
        await eventually(lambda: drained(settings))
    await write(settings, seconds(80, count, start_ns))
    place, _ = await place_of(settings)
    await as_admin(settings, lambda admin: admin.delete_records({place: RecordsToDelete(111)}))
    async with Worker(settings):
        await eventually(lambda: drained(settings))
        (gap,) = await gaps(settings)
        assert (gap.from_ns, gap.until_ns) == (start_ns + 81 * NS_PER_SECOND, start_ns + 110 * NS_PER_SECOND)
        records = [codec.decode_trades(value) async for value in whole_topic(settings, topics.TRADES)]
        assert [one for one in records if isinstance(one, Gap)] == [gap]
        found = await qualities(settings, start_ns)
        assert [second for (size, second), worth in found.items() if size == 1 and worth == "gap"] == [0, 81, 110]
        assert (found[60, 60], found[1, 80], found[1, 111]) == ("gap", "complete", "complete")

        lost = [one for one in seconds(80, 30, start_ns, backfilled=True) if isinstance(one, TradeBatch)]
        await write(settings, [*lost, msgspec.structs.replace(gap, state="closed")])
        await eventually(lambda: drained(settings))
        found = await qualities(settings, start_ns)
        revised = ("backfilled", "backfilled", "revised") if count == 80 else ("gap", "gap", "gap")
        assert (found[60, 60], found[1, 81], found[1, 110]) == revised
        assert list(found.values()).count("gap") == (2 if count == 80 else 5)  # the first second and minute


async def make_anew(settings: Settings) -> None:
    name = topics.wire_name(topics.TRADES, settings.namespace)
    await as_admin(settings, lambda admin: admin.delete_topics([name]))

    async def made() -> bool:
        return name in await apply_topics(settings)

    await eventually(made)


@pytest.mark.parametrize("count", [5, 60])
async def test_a_topic_made_anew_while_a_worker_was_off_is_read_from_its_start(settings, count):
    """Shorter than what was read, so that the old offset is behind its end; or longer, so that it looks right."""
    await produce(settings, seconds(0, 20))
    async with Worker(settings):
        await eventually(lambda: drained(settings))
    await make_anew(settings)
    await produce(settings, seconds(100, count))
    async with Worker(settings) as worker:
        await eventually(lambda: drained(settings))
        assert "is not the log that was read up to 21" in worker.log()
    assert len(await alerts(settings)) == 1
    assert await traded_seconds(settings) == dict.fromkeys([*range(20), *range(100, 100 + count)], 1)


async def test_a_topic_made_anew_under_a_running_worker_ends_it_and_the_next_start_loses_nothing(settings):
    await produce(settings, seconds(0, 20))
    async with Worker(settings) as worker:
        await eventually(lambda: drained(settings))
        await make_anew(settings)
        await produce(settings, seconds(100, 5))
        began_s = time.monotonic()
        await eventually(worker.ended)
        print(f"found after {time.monotonic() - began_s:.1f} s")
        seen_meanwhile = "expected a topic sofia." in worker.log()  # between its end and its making
        assert seen_meanwhile or "is not the log that was read up to 21" in worker.log()
    async with Worker(settings):
        await eventually(lambda: drained(settings))
    assert await traded_seconds(settings) == dict.fromkeys([*range(20), *range(100, 105)], 1)


@pytest.mark.parametrize("name", ["ohlcv", "crypto_ws", "timeseries_writer"])
async def test_a_worker_started_alone_refuses_other_partitions(settings, name, tmp_path: Path):
    topic = topics.wire_name(topics.TRADES, settings.namespace)
    await as_admin(settings, lambda admin: admin.create_partitions({topic: NewPartitions(3)}))
    stores = {"questdb_host": "127.0.0.1", "simulator_url": "ws://127.0.0.1:1", "redis_url": None}
    worker = Worker(settings.model_copy(update=stores))
    worker.child = start_worker(name, worker.settings, settings.data_dir)
    try:
        await eventually(worker.ended)
        assert worker.child.exit_code() not in (0, None)
        assert f"expected 2 partitions of {topic}, found 3" in worker.log()
    finally:
        process.stop([worker.child], grace_s=0)


async def test_a_worker_that_runs_ends_when_partitions_are_added(settings):
    await produce(settings, seconds(0, 3))
    topic = topics.wire_name(topics.TRADES, settings.namespace)
    async with Worker(settings) as worker:
        await wait_joined(settings, [worker.child], timeout_s=60)
        await as_admin(settings, lambda admin: admin.create_partitions({topic: NewPartitions(3)}))
        await eventually(worker.ended)
        assert f"expected 2 partitions of {topic}, found 3" in worker.log()
