"""Paper trading through the pipeline: the same orders, fills and account as in one process, also where its worker is
killed again and again. PAPER_KILLS says how often (4).
"""

import asyncio
import contextlib
import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from paper_scene import BUSY, SECONDS, busy_model, write_market

from sofia_streams import codec, topics
from sofia_streams.embedded import process
from sofia_streams.embedded.stack import Ports
from sofia_streams.logread import whole_topic
from sofia_streams.ops.backtest.ticks import backtest_captures
from sofia_streams.ops.paper.standing import Standing, standing
from sofia_streams.ops.replay.in_process import Replay, replay_in_process
from sofia_streams.ops.replay.streaming import Hooks, replay_streaming
from sofia_streams.ops.stack import running_stack
from sofia_streams.ops.workers import Lag, start_worker
from sofia_streams.paper import Fill
from sofia_streams.settings import Settings, load_settings
from sofia_streams.training.registry import Stored

pytestmark = pytest.mark.broker
WORKER, KILLS = "paper_oms", int(os.environ.get("PAPER_KILLS", "4"))
READERS = ("ohlcv", "signals")
FLOWS_S = 3.0
"""Frames go on for so long after a kill, at most, until some of them are in the log."""
PAUSES_S = (0.3, 1.7)
RECORDED = sorted((Path(__file__).parents[1] / "captures").glob("*.jsonl.gz"))


def silent(message: str) -> None:
    """Progress is not looked at here."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    data_dir = tmp_path_factory.mktemp("paper") / "data"
    chosen = load_settings(None, {**BUSY, "MODELS_DIR": str(data_dir / "models")})
    with running_stack(chosen, data_dir, say=silent, ports=Ports(0, 0, 0, 0)) as addressed:
        yield addressed


@pytest.fixture(scope="module")
def model(settings: Settings) -> Stored:
    return busy_model(settings)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_market(tmp_path_factory.mktemp("market") / "market.jsonl.gz")


@pytest.fixture(scope="module")
def folded(settings: Settings, model: Stored, market: Path) -> Replay:
    """In one process; what is compared must be worth it."""
    replay = replay_in_process([market], settings, model=model)
    counts = replay.paper.book.counts()
    assert counts["orders"] >= 200
    assert counts["fills"] >= 100
    assert counts["partial_fills"] >= 20
    assert counts["rejected"] >= 5
    assert counts["halts"] >= 1
    return replay


class Killer:
    """Kills the worker with SIGKILL at random moments; frames are held until the next one has taken the account up."""

    def __init__(self, kills: int) -> None:
        self.kills, self.done = kills, 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._random = Random(11)

    def start(self, settings: Settings, children: list[process.Child]) -> asyncio.Task[None]:
        return asyncio.create_task(self._kill(settings, children))

    async def _kill(self, settings: Settings, children: list[process.Child]) -> None:
        place = next(place for place, child in enumerate(children) if child.name == WORKER)
        port = children[place].port
        await taken_up(port)
        async with Lag(settings) as lag:
            while self.done < self.kills:
                await asyncio.sleep(self._random.uniform(*PAUSES_S))
                process.stop([children[place]], grace_s=0)
                own = settings.model_copy(update={"web_port": port})
                children[place] = start_worker(WORKER, own, settings.data_dir)  # takes seconds to join
                with contextlib.suppress(TimeoutError):  # so that it has something to catch up with
                    async with asyncio.timeout(FLOWS_S):
                        while not await lag.of(WORKER):  # noqa: ASYNC110
                            await asyncio.sleep(0.05)
                self.gate.clear()
                await taken_up(port)
                self.gate.set()
                self.done += 1


async def taken_up(port: int) -> None:
    """Until the worker has read its row and taken a record."""
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(has_account, port):  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.1)


def has_account(port: int) -> bool:
    """Whether its page shows an account."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/tables/account/", timeout=2) as page:
            return "inputs" in json.load(page)
    except OSError:
        return False


async def test_a_streaming_replay_trades_as_one_process_does(settings, model, market, folded):
    told = list[Standing]()

    async def look(found: Settings) -> None:
        told.append(await standing(found))

    streamed = await replay_streaming(
        [market], settings, settings.data_dir, silent, readers=READERS, model=model, hooks=Hooks(inspect=look)
    )
    assert told[0].account == folded.paper.book.accounts()[-1]
    assert told[0].report.statistics.orders.count == folded.paper.book.counts()["orders"]
    assert streamed["hashes"] == folded.summary()["hashes"]
    assert streamed["paper"] == folded.summary()["paper"]


async def test_recordings_are_traded_the_same_for_what_they_hold(settings, model):
    folded = replay_in_process(RECORDED, settings, model=model)
    assert folded.paper.book.orders()
    streamed = await replay_streaming(
        RECORDED, settings, settings.data_dir, silent, readers=READERS, model=model
    )
    assert streamed["hashes"] == folded.summary()["hashes"]


def test_a_backtest_on_the_recording_has_the_same_orders_fills_and_account(settings, model, market, folded):
    tested = backtest_captures([market], settings, model.document.model_id, "1s")
    assert tested.hashes == folded.paper.book.hashes()


async def test_a_worker_killed_again_and_again_trades_the_same_and_fills_nothing_twice(settings, model, market, folded):
    killer, fills = Killer(KILLS), list[Fill]()

    async def look(found: Settings) -> None:
        async for value in whole_topic(found, topics.FILLS):
            fills.append(codec.decode_fills(value))

    streamed = await replay_streaming(
        [market], settings, settings.data_dir, silent, readers=READERS, model=model,
        speed=SECONDS / (KILLS * sum(PAUSES_S) / 2 + 10), hooks=Hooks(killer.start, look, killer.gate),
    )  # fmt: skip
    assert killer.done == KILLS
    assert streamed["hashes"] == folded.summary()["hashes"]
    by_id = {fill.fill_id: fill for fill in fills}
    assert all(by_id[fill.fill_id] == fill for fill in fills)  # one that stands twice is the same one
    assert len(by_id) == len(folded.paper.book.fills())
