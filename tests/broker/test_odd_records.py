"""What one record can do to a worker: be impossible to handle, want all memory, hold the event loop, be too large."""

import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from waiting import eventually

from sofia_streams import codec, topics
from sofia_streams.embedded import process
from sofia_streams.ingest.trade_log import TradeLog
from sofia_streams.logread import whole_topic
from sofia_streams.logwrite import Written, write_records
from sofia_streams.model import Quarantined, Trade, TradeBatch
from sofia_streams.ops.workers import Lag
from sofia_streams.settings import Settings, worker_environment

pytestmark = pytest.mark.broker
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def settings(make_namespace) -> Settings:
    return await make_namespace(topic_partitions=1)


def batch(number: int, line: str = "", trades: int = 1) -> TradeBatch:
    found = [Trade(f"{number}.{part}", Decimal(1), Decimal(1), "buy", number, number) for part in range(trades)]
    return TradeBatch("binance", "spot", "BTC/USDT", time.time_ns(), line, found)


async def produce(settings: Settings, *records: TradeBatch) -> None:
    await write_records(settings, [Written(topics.TRADES, one.symbol, one, time.time_ns()) for one in records])


@pytest.fixture
async def odd(settings: Settings) -> AsyncIterator[process.Child]:
    """The odd worker, running."""
    for name in ("run", "log"):
        (settings.data_dir / name).mkdir(exist_ok=True)
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **worker_environment(settings)}
    command = [sys.executable, str(Path(__file__).with_name("odd_agent.py")), "worker", "--without-web"]
    child = process.start("odd", command, port=0, data_dir=settings.data_dir, cwd=ROOT, env=env)
    yield child
    process.stop([child], grace_s=10)


async def committed(settings: Settings) -> int:
    async with Lag(settings) as lag:
        return await lag.committed("redis_bridge")


def handled(child: process.Child) -> dict[str, float]:
    """When each record was handled, by its id."""
    return {found[1]: float(found[2]) for found in re.finditer(r"handled (\S+) at (\S+)", child.log.read_text())}


async def test_a_record_that_cannot_be_handled_is_set_aside_with_its_place_and_the_others_go_on(settings, odd):
    await produce(settings, batch(0))
    await eventually(lambda: has_committed(settings, 1))
    await produce(settings, batch(1), batch(2, "poison"), batch(3))
    await eventually(lambda: has_committed(settings, 4))
    when = handled(odd)
    assert sorted(when) == ["0.0", "1.0", "3.0"]
    print(f"stalled for {when['3.0'] - when['1.0']:.3f} s")
    found = [Quarantined(**row) async for row in rows(settings)]
    (one,) = found
    assert one.place == f"{topics.wire_name(topics.TRADES, settings.namespace)}/0/2"
    assert one.reason.startswith("KeyError: ")
    assert codec.decode_trades(one.data.encode()).trades[0].trade_id == "2.0"


async def has_committed(settings: Settings, count: int) -> bool:
    return await committed(settings) == count


async def rows(settings: Settings) -> AsyncIterator[dict[str, str]]:
    import json

    async for value in whole_topic(settings, topics.QUARANTINE):
        yield json.loads(value)


async def test_a_worker_without_memory_ends_and_acknowledges_nothing(settings, odd):
    await produce(settings, batch(0))
    await eventually(lambda: has_committed(settings, 1))
    await produce(settings, batch(1, "memory"), batch(2))
    await eventually(lambda: has_ended(odd))
    assert odd.exit_code() != 0
    assert "MemoryError" in odd.log.read_text()
    assert await committed(settings) == 1
    assert not [row async for row in rows(settings)]


MEMORY = Path("/sys/fs/cgroup/memory")


@pytest.fixture
def limited() -> Iterator[Path]:
    """A group of processes that may use 300 MiB."""
    group = MEMORY / f"sofia-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(300 << 20))
    except OSError as error:
        pytest.skip(f"this system lets us make no memory cgroup (v1): {error}")
    yield group
    group.rmdir()


async def test_a_worker_that_the_system_kills_for_its_memory_acknowledges_nothing(settings, limited, odd):
    (limited / "cgroup.procs").write_text(str(odd.pid))
    await produce(settings, batch(0))
    await eventually(lambda: has_committed(settings, 1))
    await produce(settings, batch(1, "hog"))
    await eventually(lambda: has_ended(odd))
    assert odd.exit_code() == -signal.SIGKILL
    assert await committed(settings) == 1


async def has_ended(child: process.Child) -> bool:
    return child.exit_code() is not None


async def test_a_loop_held_for_five_seconds_is_said_with_its_place_and_costs_no_rebalance(settings, odd):
    await produce(settings, batch(0))
    await eventually(lambda: has_committed(settings, 1))
    members = await member_ids(settings)
    await produce(settings, batch(1, "block"), batch(2))
    await eventually(lambda: has_committed(settings, 3))
    assert await member_ids(settings) == members, "its group thought that it was gone"
    text = odd.log.read_text()
    assert "the event loop is blocked" in text
    assert "hold_the_loop" in text


async def member_ids(settings: Settings) -> list[str]:
    group = topics.app_id("redis_bridge", settings.namespace)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.broker_address())
    await admin.start()
    try:
        answers = await admin.describe_consumer_groups([group])
        return [member[0] for answer in answers for found in answer.groups for member in found[5]]
    finally:
        await admin.close()


async def test_a_burst_larger_than_a_record_reaches_the_log_whole(settings):
    trades = 100_000
    whole = batch(7, trades=trades)
    assert len(codec.encode(whole)) > topics.TRADES.record_bytes_max
    async with TradeLog(settings) as log:
        await log.put(whole)
    found = [codec.decode_trades(value) async for value in whole_topic(settings, topics.TRADES)]
    assert len(found) > 1
    assert [trade for part in found for trade in part.trades] == whole.trades
