"""A Redis that would drop entries, refuses writes for a while, or was emptied under the bridge."""

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from bridge_scene import batches, expected, items, produce, publish, published
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import RedisError
from waiting import eventually

from sofia_streams.embedded import process
from sofia_streams.embedded.redis import find_server
from sofia_streams.embedded.stack import Ports, Stack
from sofia_streams.errors import DependencyDown
from sofia_streams.ops.look.doctor import examine
from sofia_streams.ops.stack import addressed
from sofia_streams.ops.topics import apply_topics, delete_namespace
from sofia_streams.ops.workers import Lag, start_worker
from sofia_streams.settings import Settings, load_settings
from sofia_streams.stores.redis_streams import RedisStreams
from sofia_streams.worker.bridging import Bridge

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    data_dir = tmp_path_factory.mktemp("trouble") / "data"
    with Stack(data_dir, questdb=False, redis=False, preferred_ports=Ports(0, 0, 0, 0)) as stack:
        yield addressed(load_settings(None, {}), stack.addresses, data_dir)


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A server of this test's own, that may be told anything."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "redis").mkdir()
    options = {"port": port, "dir": tmp_path / "redis", "save": "", "enable-protected-configs": "local"}
    command = [find_server(), *(word for name, value in options.items() for word in (f"--{name}", str(value)))]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            yield f"redis://127.0.0.1:{port}"
        finally:
            server.kill()


@pytest.fixture
async def settings(servers: Settings, redis_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Settings]:
    """A namespace of its own, with its topics."""
    named = {"namespace": f"t{abs(hash(request.node.name)) % 10**8}", "topic_partitions": 2}
    own = servers.model_copy(update=named | {"redis_url": SecretStr(redis_url)})
    await eventually(lambda: _answers(own))
    await apply_topics(own)
    yield own
    await delete_namespace(own)


async def _answers(settings: Settings) -> bool:
    with contextlib.suppress(RedisError, OSError):
        async with Redis.from_url(settings.redis_address()) as client:
            return bool(await client.ping())
    return False


@contextlib.asynccontextmanager
async def redis(settings: Settings) -> AsyncIterator[Redis]:
    async with Redis.from_url(settings.redis_address(), decode_responses=True) as client:
        yield client


@contextlib.contextmanager
def worker(settings: Settings) -> Iterator[process.Child]:
    for name in ("run", "log"):
        (settings.data_dir / name).mkdir(exist_ok=True)
    child = start_worker("redis_bridge", settings, settings.data_dir)
    try:
        yield child
    finally:
        process.stop([child], grace_s=10)


async def done(settings: Settings) -> bool:
    async with Lag(settings) as lag:
        return await lag.of("redis_bridge") == 0


async def says(child: process.Child, text: str) -> bool:
    assert child.exit_code() is None, child.log_tail()
    return text in child.log.read_text()


async def finding(settings: Settings) -> Any:
    """What `sofia doctor` says of Redis."""
    alone = settings.model_copy(update={"crypto_exchanges": (), "questdb_host": None})
    return next(one for one in await examine(alone) if one.check == "redis")


async def test_a_redis_that_would_drop_entries_is_refused(settings):
    async with redis(settings) as client:
        await client.config_set("maxmemory", "64mb")
        await client.config_set("maxmemory-policy", "allkeys-lru")
    with worker(settings) as child:

        async def ended() -> bool:
            return child.exit_code() is not None

        await eventually(ended)
        assert child.exit_code() != 0
        assert "expected maxmemory-policy noeviction, found allkeys-lru with maxmemory 67108864" in child.log_tail()
    found = await finding(settings)
    assert (found.state, "allkeys-lru" in found.found, "noeviction" in found.cure) == ("failed", True, True)


@pytest.mark.parametrize(("most", "policy"), [("0", "allkeys-lru"), ("64mb", "noeviction")])
async def test_a_redis_that_keeps_what_it_took_is_not_refused(settings, most, policy):
    async with redis(settings) as client:
        await client.config_set("maxmemory", most)
        await client.config_set("maxmemory-policy", policy)
    streams = RedisStreams(settings.redis_address(), settings.redis_maxlen)
    await Bridge(settings, streams).refuse_eviction()
    await streams.close()
    assert (await finding(settings)).state == "ok"


async def test_a_redis_that_does_not_say_what_it_drops_is_used_and_that_is_said(settings):
    async with redis(settings) as client:
        await client.acl_setuser(
            "managed", enabled=True, nopass=True, categories=["+@all"], commands=["-info", "-config"], keys=["*"]
        )
    managed = settings.redis_address().replace("redis://", "redis://managed:any@")
    own = settings.model_copy(update={"redis_url": SecretStr(managed)})
    records = batches(0, 30)
    await produce(own, records)
    with worker(own) as child:
        await eventually(lambda: done(own))
        assert await says(child, "does not say whether it drops entries")
    assert await published(settings) == expected(records)
    assert (await finding(own)).state == "warning"


async def test_while_a_failed_save_makes_redis_refuse_writes_the_bridge_waits_and_loses_nothing(settings, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    before, meanwhile = batches(0, 30), batches(100, 30)
    await produce(settings, before)
    async with redis(settings) as client:
        with worker(settings) as child:
            await eventually(lambda: done(settings))
            await client.config_set("save", "3600 1")
            await client.config_set("dir", str(gone))
            gone.rmdir()
            await client.bgsave()

            async def save_failed() -> bool:
                return (await client.info("persistence"))["rdb_last_bgsave_status"] == "err"

            await eventually(save_failed)
            with pytest.raises(RedisError, match="MISCONF"):
                await client.set("any", "thing")
            await produce(settings, meanwhile)
            await eventually(lambda: says(child, "MISCONF"))
            assert await published(settings) == expected(before)
            await client.config_set("dir", str(tmp_path / "redis"))
            await client.bgsave()
            await eventually(lambda: done(settings))
            assert await says(child, "answers again")
    assert await published(settings) == expected(before, meanwhile)


async def test_an_entry_that_was_refused_is_not_passed_by_a_later_one_that_was_taken(settings):
    """A full Redis that gets room while the bridge writes; half of a batch is there before, half after."""
    records = batches(0, 60)
    await produce(settings, records)
    found = await items(settings)
    async with redis(settings) as client, Halfway(settings) as halfway:
        through = RedisStreams(f"redis://127.0.0.1:{halfway.port}", settings.redis_maxlen)
        bridge = Bridge(settings, through)
        await client.config_set("maxmemory", "1")
        with pytest.raises(DependencyDown, match="used memory"):
            await bridge.publish(found)
        assert halfway.passed, "the server had no room from the beginning to the end"
        await bridge.publish(found)
        await through.close()
    assert await published(settings) == expected(records)
    await publish(settings, found)
    assert await published(settings) == expected(records)


class Halfway:
    """A proxy before Redis that gives the server all the memory it wants once it has refused half of a batch."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.passed = False

    async def __aenter__(self) -> "Halfway":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self._settings.redis_address().removeprefix("redis://").split(":")
        from_redis, to_redis = await asyncio.open_connection(host, int(port))
        back = asyncio.create_task(_copy(from_redis, writer))
        while data := await reader.read(2**20):
            if data.count(b"XADD") > 30 and not self.passed:
                half = data.rindex(b"*", 0, data.index(b"XADD", len(data) // 2))
                to_redis.write(data[:half])
                await eventually(self._refused)
                async with redis(self._settings) as client:
                    await client.config_set("maxmemory", "0")
                data, self.passed = data[half:], True
            to_redis.write(data)
        to_redis.close()
        await back

    async def _refused(self) -> bool:
        """Whether the server has come so far that it refused something, and has nothing more to read."""
        async with redis(self._settings) as client:
            others = [one for one in await client.client_list() if one["id"] != str(await client.client_id())]
            refused = (await client.info("commandstats")).get("cmdstat_xadd", {}).get("rejected_calls", 0)
            return refused > 0 and all(one["qbuf"] == "0" for one in others)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(2**16):
        writer.write(data)
    writer.close()


async def test_after_redis_was_emptied_under_a_running_bridge_what_comes_is_there(settings):
    before, after, later = batches(0, 30), batches(100, 30), batches(200, 9)
    await produce(settings, before)
    with worker(settings):
        await eventually(lambda: done(settings))
        assert await published(settings) == expected(before)
        async with redis(settings) as client:
            await client.flushall()
        await produce(settings, after)
        await eventually(lambda: done(settings))
        assert await published(settings) == expected(after)
    await produce(settings, later)
    with worker(settings):
        await eventually(lambda: done(settings))
    assert await published(settings) == expected(after, later)
