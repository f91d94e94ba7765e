"""The Redis bridge on a real log and a real server: read again, restarted, Redis emptied, and the topic made anew."""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from bridge_scene import SYMBOLS, TRADES, batches, expected, items, produce, publish, published
from paper_records import account, fill
from redis.asyncio import Redis
from waiting import eventually

from sofia_streams import topics
from sofia_streams.embedded import process
from sofia_streams.embedded.stack import Ports, Stack
from sofia_streams.errors import DependencyDown
from sofia_streams.logwrite import Written, write_records
from sofia_streams.model import TradeBatch
from sofia_streams.ops.stack import addressed
from sofia_streams.ops.topics import apply_topics, delete_namespace
from sofia_streams.ops.workers import Lag, start_worker
from sofia_streams.settings import Settings, load_settings
from sofia_streams.stores.redis_streams import RedisStreams
from sofia_streams.worker.bridging import Bridge

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    data_dir = tmp_path_factory.mktemp("bridge") / "data"
    with Stack(data_dir, questdb=False, preferred_ports=Ports(0, 0, 0, 0)) as stack:
        yield addressed(load_settings(None, {}), stack.addresses, data_dir)


@pytest.fixture
async def settings(servers: Settings, request: pytest.FixtureRequest) -> AsyncIterator[Settings]:
    """A namespace of its own, with its topics."""
    own = servers.model_copy(update={"namespace": f"t{abs(hash(request.node.name)) % 10**8}", "topic_partitions": 2})
    await apply_topics(own)
    yield own
    await delete_namespace(own)
    streams = RedisStreams(own.redis_address(), own.redis_maxlen)
    await streams.delete(own.stream_prefix())
    await streams.close()


async def make_anew(settings: Settings) -> None:
    await delete_namespace(settings)
    await eventually(lambda: _made(settings))


async def _made(settings: Settings) -> bool:
    """Whether the topics are there again; until the broker has deleted all of the old ones they cannot be."""
    try:
        return topics.wire_name(TRADES, settings.namespace) in await apply_topics(settings)
    except DependencyDown:
        return False


async def test_a_log_read_again_adds_nothing(settings):
    records = batches(0, 30)
    await produce(settings, records)
    once = await items(settings)
    await publish(settings, once, once)
    await publish(settings, once)
    assert await published(settings) == expected(records)


async def test_what_is_read_again_while_redis_has_only_a_part_is_completed(settings):
    records = batches(0, 30)
    await produce(settings, records)
    found = await items(settings)
    await publish(settings, found[:7])
    await publish(settings, found)
    assert await published(settings) == expected(records)


async def test_a_topic_made_anew_loses_nothing_and_ids_go_on(settings):
    old, new = batches(0, 30), batches(1_000, 6)
    await produce(settings, old)
    await publish(settings, await items(settings))
    await make_anew(settings)
    await produce(settings, new)
    again = await items(settings)
    await publish(settings, again)
    assert await published(settings) == expected(old, new)
    await publish(settings, again, again)
    assert await published(settings) == expected(old, new)


async def test_a_topic_made_anew_that_has_grown_longer_than_it_was_is_recognised(settings):
    old, new = batches(0, 6), batches(1_000, 60)
    await produce(settings, old)
    await publish(settings, await items(settings))
    await make_anew(settings)
    await produce(settings, new)
    await publish(settings, await items(settings))
    assert await published(settings) == expected(old, new)


async def test_a_topic_made_anew_under_a_running_bridge_in_one_batch_loses_nothing(settings):
    old, new = batches(0, 30), batches(1_000, 6)
    await produce(settings, old)
    first = await items(settings)
    await make_anew(settings)
    await produce(settings, new)
    second = await items(settings)
    await publish(settings, [*first, *second], second)
    assert await published(settings) == expected(old, new)


async def test_ids_that_came_from_elsewhere_lose_nothing(settings):
    records = batches(0, 6)
    async with Redis.from_url(settings.redis_address()) as client:
        await client.xadd(f"{settings.stream_prefix()}trades:{SYMBOLS[0]}", {"trade_id": "stranger"}, id="500-1")
    await produce(settings, records)
    await publish(settings, await items(settings))
    wanted = expected(records)
    assert await published(settings) == {**wanted, SYMBOLS[0]: ["stranger", *wanted[SYMBOLS[0]]]}


async def test_what_another_copy_wrote_meanwhile_is_not_written_again(settings):
    records = batches(0, 30)
    await produce(settings, records)
    found = await items(settings)
    streams = RedisStreams(settings.redis_address(), settings.redis_maxlen)
    bridge = Bridge(settings, streams)
    await bridge.publish(found[:7])
    await publish(settings, found[:25])  # the copy had the partitions for a while
    await bridge.publish(found[7:])
    await streams.close()
    assert await published(settings) == expected(records)


async def test_after_redis_was_emptied_what_comes_from_the_log_is_there(settings):
    records = batches(0, 30)
    await produce(settings, records)
    found = await items(settings)
    await publish(settings, found)
    streams = RedisStreams(settings.redis_address(), settings.redis_maxlen)
    await streams.delete(settings.stream_prefix())
    await streams.close()
    await publish(settings, found)
    assert await published(settings) == expected(records)


async def test_the_worker_goes_on_after_a_kill_and_after_its_topic_was_made_anew(settings: Settings, tmp_path: Path):
    for name in ("run", "log"):
        (settings.data_dir / name).mkdir(exist_ok=True)
    first, second, new = batches(0, 30), batches(100, 30), batches(1_000, 9)
    await produce(settings, [*first, *first])  # a trade that stands in the log twice is published once
    await write_records(settings, done(3))

    async def has(*groups: list[TradeBatch]) -> bool:
        return await published(settings) == expected(*groups)

    worker = start_worker("redis_bridge", settings, settings.data_dir)
    try:
        await eventually(lambda: has(first))
        process.stop([worker], grace_s=0)
        await produce(settings, second)
        worker = start_worker("redis_bridge", settings, settings.data_dir)
        await eventually(lambda: has(first, second))
        process.stop([worker], grace_s=10)
        await make_anew(settings)
        await produce(settings, new)
        await write_records(settings, done(1))
        worker = start_worker("redis_bridge", settings, settings.data_dir)
        await eventually(lambda: has(first, second, new))
        async with Lag(settings) as lag:

            async def is_done() -> bool:
                return await lag.of("redis_bridge") == 0

            await eventually(is_done)
    finally:
        process.stop([worker], grace_s=10)
    assert "made anew" in worker.log.read_text()
    assert await has(first, second, new)
    assert await executed(settings) == (["oBTC-0", "oBTC-1", "oBTC-2", "oBTC-0"], ["0", "1", "2", "0"])


def done(count: int) -> list[Written]:
    """So many executions, and what the account is behind each."""
    now_ns = time.time_ns()
    fills = [Written(topics.FILLS, "BTC/USDT", fill(number=number), now_ns) for number in range(count)]
    return [*fills, *(Written(topics.ACCOUNT, "paper", account(number), now_ns) for number in range(count))]


async def executed(settings: Settings) -> tuple[list[str], list[str]]:
    """Ids of executions, and serials of the account, in stream order."""
    async with Redis.from_url(settings.redis_address(), decode_responses=True) as client:
        fills = await client.xrange(f"{settings.stream_prefix()}executions:BTC/USDT")
        said = await client.xrange(f"{settings.stream_prefix()}account")
    return [fields["fill_id"] for _, fields in fills], [fields["serial"] for _, fields in said]
