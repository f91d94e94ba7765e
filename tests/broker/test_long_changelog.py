"""A changelog that nobody compacted, far longer than what a worker may hold in memory."""

import asyncio
import json
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import msgspec
import psutil
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from sofia_streams import codec, topics
from sofia_streams.core.bars.windows import Feed, Window
from sofia_streams.core.feeds.ids import IdSet
from sofia_streams.embedded import process
from sofia_streams.embedded.stack import Ports, Stack
from sofia_streams.ops.stack import addressed
from sofia_streams.ops.topics import apply_topics
from sofia_streams.ops.workers import start_worker
from sofia_streams.settings import Settings, load_settings

pytestmark = pytest.mark.broker
INSTRUMENTS = [f"binance|spot|C{number}/USDT" for number in range(4)]
AT_NS = 1_700_000_040_000_000_000
ROW_BYTES, ROWS = 20_000, 20_000
"""400 MB; a busy second of one instrument has about as many bytes of ids."""
MORE_MB_MAX = 180


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    data_dir = tmp_path_factory.mktemp("changelog") / "data"
    with Stack(data_dir, questdb=False, redis=False, preferred_ports=Ports(0, 0, 0, 0)) as stack:
        found = addressed(load_settings(None, {"TOPIC_PARTITIONS": "1"}), stack.addresses, data_dir)
        for name in ("run", "log"):
            (data_dir / name).mkdir(exist_ok=True)
        yield found


async def uncompacted(settings: Settings) -> str:
    """The topics of the namespace, with a changelog that keeps every row; its name."""
    await apply_topics(settings)
    name, *_ = topics.changelog_names(settings.namespace)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.broker_address())
    await admin.start()
    try:
        keeps = {"cleanup.policy": "delete", "retention.ms": "-1"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, keeps)])
    finally:
        await admin.close()
    return name


def as_key(name: str) -> bytes:
    """As Faust writes keys into a changelog."""
    return json.dumps(name).encode()


async def overwrite(settings: Settings, changelog: str) -> None:
    """Rows of few keys again and again; the last of each say so."""
    ids = {"trade": IdSet(others=[os.urandom(18).hex() for _ in range(ROW_BYTES // 39)])}
    window = codec.encode(Window(None, ids))
    async with AIOKafkaProducer(
        bootstrap_servers=settings.broker_address(), acks=1, linger_ms=20, max_batch_size=2**20
    ) as producer:
        for number in range(ROWS):
            name = INSTRUMENTS[number % 4]
            await producer.send(changelog, window, key=as_key(f"{name}|1s|{AT_NS}"))
            if number % 100 < 4:
                await producer.send(changelog, codec.encode(Feed(newest_ns=AT_NS, trades=number)), key=as_key(name))
        for number, name in enumerate(INSTRUMENTS):
            last = Feed(newest_ns=AT_NS, closed_ns=AT_NS, kept_from_ns=AT_NS, trades=ROWS + number)
            await producer.send(changelog, codec.encode(last), key=as_key(name))
            revised = msgspec.structs.replace(Window(None, ids), revision=ROWS + number)
            await producer.send(changelog, codec.encode(revised), key=as_key(f"{name}|1s|{AT_NS}"))


class Worker:
    """ohlcv: what its page says, and the most memory it had."""

    def __init__(self, settings: Settings, child: process.Child) -> None:
        self._page = f"http://127.0.0.1:{settings.web_port}/tables/ohlcv/"
        self.child = child
        self.rss_mb = 0.0

    async def watch(self) -> None:
        seen = psutil.Process(self.child.pid)
        while True:
            self.rss_mb = max(self.rss_mb, *(one.memory_info().rss / 1e6 for one in [seen, *seen.children()]))
            await asyncio.sleep(0.05)

    async def until_listed(self, wanted: list[tuple[int, int]]) -> float:
        """Seconds from its start until its page has these trades and revisions of the instruments."""
        began_s = time.monotonic()
        while (found := await self._listed()) != wanted:
            assert self.child.exit_code() is None, self.child.log_tail()
            assert time.monotonic() < began_s + 120, (found, self.child.log_tail())
            await asyncio.sleep(0.1)
        return time.monotonic() - began_s

    async def _listed(self) -> list[tuple[int, int]] | None:
        try:
            with await asyncio.to_thread(urllib.request.urlopen, self._page, timeout=5) as answer:
                return [(one["trades"], one["bars_1s"][0]["revision"]) for one in json.load(answer)]
        except (urllib.error.URLError, OSError):
            return None  # not there yet


@asynccontextmanager
async def ohlcv(settings: Settings) -> AsyncIterator[Worker]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        own = settings.model_copy(update={"web_port": free.getsockname()[1], "log_level": "info"})
    child = start_worker("ohlcv", own, own.data_dir)
    worker = Worker(own, child)
    watching = asyncio.create_task(worker.watch())
    try:
        yield worker
    finally:
        watching.cancel()
        process.stop([child], grace_s=5)


async def test_it_is_read_back_in_bounded_memory_to_the_last_row(servers):
    empty, filled = (servers.model_copy(update={"namespace": name}) for name in ("empty", "filled"))
    await uncompacted(empty)
    async with ohlcv(empty) as none:
        empty_s = await none.until_listed([])
    await overwrite(filled, await uncompacted(filled))
    async with ohlcv(filled) as full:
        took_s = await full.until_listed([(ROWS + number, ROWS + number) for number in range(4)])
    mb = ROWS * ROW_BYTES / 1e6
    print(f"{mb:.0f} MB in {took_s:.1f} s from the start, an empty one {empty_s:.1f} s: {mb / (took_s - empty_s):.0f} "
          f"MB/s; peak {full.rss_mb:.0f} MB, empty {none.rss_mb:.0f} MB")  # fmt: skip
    assert full.rss_mb - none.rss_mb < MORE_MB_MAX


@pytest.mark.parametrize("is_last", [True, False])
async def test_a_row_that_cannot_be_read_ends_the_worker_with_its_place(servers, is_last):
    """Before it has changed anything: a table without that row would make wrong bars."""
    settings = servers.model_copy(update={"namespace": f"unreadable-{is_last}".lower()})
    changelog = await uncompacted(settings)
    async with AIOKafkaProducer(bootstrap_servers=settings.broker_address()) as producer:
        await producer.send_and_wait(changelog, codec.encode(Feed(trades=1)), key=as_key(INSTRUMENTS[0]))
        await producer.send_and_wait(changelog, b"no row", key=as_key(INSTRUMENTS[1]))
        if not is_last:
            await producer.send_and_wait(changelog, codec.encode(Feed(trades=1)), key=as_key(INSTRUMENTS[2]))
    async with ohlcv(settings) as worker, asyncio.timeout(90):
        while worker.child.exit_code() is None:  # noqa: ASYNC110  a process has no event
            await asyncio.sleep(0.1)
    assert worker.child.exit_code() != 0
    assert f"{changelog}/0 at 1: expected a row of the worker's table" in worker.child.log.read_text()
