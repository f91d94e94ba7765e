"""The whole pipeline on real frames and real servers: sockets, Kafka, Faust workers, QuestDB, Redis.

Its bars equal the in-process fold, its sinks hold each distinct trade once, and a worker killed on the way changes
nothing of that.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from sofia_streams.embedded import process
from sofia_streams.embedded.stack import Ports
from sofia_streams.ops.replay import replay_in_process
from sofia_streams.ops.stack import running_stack
from sofia_streams.ops.stream_replay import replay_streaming
from sofia_streams.ops.topics import delete_namespace
from sofia_streams.ops.workers import Lag, start_worker
from sofia_streams.settings import Settings, load_settings

pytestmark = pytest.mark.broker
CAPTURES = Path(__file__).parent / "captures"
BUSY = CAPTURES / "binance-spot-btcusdt-20240808.jsonl.gz"
SEVERAL = sorted(set(CAPTURES.glob("*.jsonl.gz")) - {BUSY})


def silent(message: str) -> None:
    """Progress is not looked at here."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    data_dir = tmp_path_factory.mktemp("integration") / "data"
    with running_stack(load_settings(None, {}), data_dir, say=silent, ports=Ports(0, 0, 0, 0)) as addressed:
        yield addressed


def check_same(streamed: dict, paths: list[Path]) -> None:
    """The streamed summary is that of the same trades, and every sink has each trade once."""
    folded = replay_in_process(paths).summary()
    assert streamed["hashes"] == folded["hashes"]
    assert streamed["instruments"] == folded["instruments"]
    assert streamed["trades"] == streamed["questdb_rows"]["trades"]
    entries = streamed["redis_entries"]
    assert streamed["trades"] == sum(count for name, count in entries.items() if name.startswith("trades:"))


async def test_recordings_of_three_venues_at_once_with_every_frame_twice(settings):
    paths = SEVERAL + SEVERAL
    streamed = await replay_streaming(paths, settings, settings.data_dir, silent)
    check_same(streamed, paths)
    assert streamed["hashes"] == replay_in_process(SEVERAL).summary()["hashes"]


class Killer:
    """Kills a worker with SIGKILL once it has committed so many records, and starts it again."""

    def __init__(self, worker: str, after: int) -> None:
        self.worker, self.after = worker, after
        self.done = self.total = 0

    def start(self, settings: Settings, children: list[process.Child]) -> asyncio.Task[None]:
        return asyncio.create_task(asyncio.wait_for(self._kill(settings, children), timeout=60))

    async def _kill(self, settings: Settings, children: list[process.Child]) -> None:
        async with Lag(settings) as lag:
            while await lag.committed(self.worker) < self.after:  # noqa: ASYNC110  the broker has no event for it
                await asyncio.sleep(0.05)
            self.done = await lag.committed(self.worker)
            place = next(place for place, child in enumerate(children) if child.name == self.worker)
            process.stop([children[place]], grace_s=0)
            children[place] = start_worker(self.worker, settings, settings.data_dir)

    async def count(self, settings: Settings) -> None:
        """How many records there were in the end."""
        async with Lag(settings) as lag:
            self.total = await lag.committed(self.worker)


@pytest.mark.parametrize(("worker", "after"), [("ohlcv", 200), ("timeseries_writer", 2_000), ("redis_bridge", 2_000)])
async def test_a_worker_killed_on_the_way_changes_nothing(settings, worker, after, monkeypatch):
    killer = Killer(worker, after)

    async def counted(found: Settings) -> None:
        await killer.count(found)
        await delete_namespace(found)

    monkeypatch.setattr("sofia_streams.ops.stream_replay.delete_namespace", counted)
    streamed = await replay_streaming([BUSY], settings, settings.data_dir, silent, speed=30, meddle=killer.start)
    check_same(streamed, [BUSY])
    assert 0.2 <= killer.done / killer.total <= 0.8, f"killed at {killer.done} of {killer.total} records"
