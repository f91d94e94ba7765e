"""Every named point of a worker's life (`crash_points`), on real servers: it ends there, and nothing is changed."""

import asyncio
import signal
import socket
import time

import pytest
from test_integration import (
    BUSY,
    check_same,
    children_settings,
    ids_in_questdb,
    ids_in_redis,
    silent,
    trade_numbers,
)
from test_integration import settings as settings

from sofia_streams.crash_points import EXIT_CODE, POINTS
from sofia_streams.embedded import process
from sofia_streams.embedded.ports import HOST
from sofia_streams.ops.replay.in_process import replay_in_process
from sofia_streams.ops.replay.streaming import Hooks, replay_streaming
from sofia_streams.ops.workers import start_worker
from sofia_streams.settings import Settings

pytestmark = pytest.mark.broker
SINK = ("read:20", "sink_stored:2", "acknowledged:20", "recovery:1", "rebalance:1", "shutdown:1")
TABLE = ("read:20", "published:20", "rows_sent:20", "rows_stored:20", "acknowledged:20", "recovery:3", "rebalance:1",
         "shutdown:1")  # fmt: skip
PASSAGES = {"ohlcv": TABLE, "timeseries_writer": SINK, "redis_bridge": SINK}
INGEST = {"admitted", "sent"}
"""A replay cannot go on where ingest was: tests/broker/test_ingest_crash.py."""
FALLBACK = {"outage_said", "fallback_stored", "hole_part_filled", "hole_filled", "outage_ended"}
"""Needs a store that is away: tests/broker/test_storage_failover.py."""
ENDS_WITHIN_S, COPY_S, SPEED = 90.0, 15.0, 4.0


class Crasher:
    """Lets workers end at one point after the other while a replay runs; `ended` has those at which they did."""

    def __init__(self) -> None:
        self.ended: dict[str, list[str]] = {}

    def start(self, settings: Settings, children: list[process.Child]) -> asyncio.Task[None]:
        return asyncio.create_task(self._crash_all(settings, children))

    async def _crash_all(self, settings: Settings, children: list[process.Child]) -> None:
        async with asyncio.TaskGroup() as group:
            for worker, passages in PASSAGES.items():
                group.create_task(self._crash(worker, passages, settings, children))

    async def _crash(
        self, worker: str, passages: tuple[str, ...], settings: Settings, children: list[process.Child]
    ) -> None:
        child = next(child for child in children if child.name == worker)
        children.remove(child)  # else its end would end the replay
        own = children_settings(settings, child)
        try:
            await asyncio.to_thread(process.stop, [child], grace_s=10)
            for passage in passages:
                child = start_worker(worker, own, settings.data_dir, crash_at=passage)
                await self._bring_about(worker, passage, own, child)
                assert child.exit_code() == EXIT_CODE, f"{worker} at {passage}: {child.log_tail()}"
                self.ended.setdefault(worker, []).append(passage)
        except BaseException:
            process.stop([child], grace_s=0)
            raise
        children.append(start_worker(worker, own, settings.data_dir))

    async def _bring_about(self, worker: str, passage: str, own: Settings, child: process.Child) -> None:
        deadline_s = time.monotonic() + ENDS_WITHIN_S
        while child.exit_code() is None:
            assert time.monotonic() < deadline_s, f"{worker} did not come to {passage}"
            if passage.startswith("rebalance"):
                await self._join_and_leave(worker, own, child)
            elif passage.startswith("shutdown") and answers(child.port):
                child.signal(signal.SIGTERM)
            await asyncio.sleep(0.05)

    async def _join_and_leave(self, worker: str, own: Settings, child: process.Child) -> None:
        """A second copy for a while: the first gives partitions up, if it has any; else this is done again."""
        copy = start_worker(worker, own.model_copy(update={"web_port": 0}), own.data_dir, copy=2)
        try:
            until_s = time.monotonic() + COPY_S
            while child.exit_code() is None and time.monotonic() < until_s:  # noqa: ASYNC110  nobody tells
                await asyncio.sleep(0.05)
        finally:
            await asyncio.to_thread(process.stop, [copy], grace_s=10)


def answers(port: int) -> bool:
    """Whether a worker's page is there: then it is up, and takes signals."""
    with socket.socket() as sock:
        return sock.connect_ex((HOST, port)) == 0


async def test_a_worker_that_ends_at_any_point_changes_nothing(settings):
    here = {passage.partition(":")[0] for passages in PASSAGES.values() for passage in passages}
    assert here == POINTS.keys() - INGEST - FALLBACK, "a point that nobody comes to"
    wanted = {("binance", "spot", "BTC/USDT", "trade", str(number)) for number in trade_numbers(BUSY)}
    crasher = Crasher()

    async def same_sets(found: Settings) -> None:
        assert await ids_in_questdb(found) == await ids_in_redis(found) == wanted

    hooks = Hooks(crasher.start, same_sets)
    streamed = await replay_streaming([BUSY], settings, settings.data_dir, silent, speed=SPEED, hooks=hooks)
    assert streamed["hashes"] == replay_in_process([BUSY]).summary()["hashes"]
    check_same(streamed, [BUSY])
    assert {worker: tuple(passages) for worker, passages in crasher.ended.items()} == PASSAGES
