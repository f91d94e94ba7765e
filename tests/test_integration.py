"""The whole pipeline on real frames and real servers: sockets, Kafka, Faust workers, QuestDB, Redis.

Its bars equal the in-process fold, its sinks hold each distinct trade once, and a worker killed on the way changes
nothing of that.
"""

import asyncio
import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from redis.asyncio import Redis

from sofia_streams import topics
from sofia_streams.capture import CapturedFrame, CaptureWriter
from sofia_streams.embedded import process
from sofia_streams.embedded.stack import Ports
from sofia_streams.logread import places
from sofia_streams.model import NS_PER_MINUTE, ParsedTrade, Trade, TradeBatch
from sofia_streams.ops.replay.in_process import replay_in_process
from sofia_streams.ops.replay.streaming import Hooks, read_bars, replay_streaming
from sofia_streams.ops.stack import running_stack
from sofia_streams.ops.workers import Lag, start_worker
from sofia_streams.settings import Settings, load_settings
from sofia_streams.stores.questdb import QuestDb
from sofia_streams.venues.registry import VENUES
from sofia_streams.worker.logtail import read_before

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


async def applied_trades(settings: Settings, worker: str) -> int:
    """How many trades a worker has committed."""
    async with Lag(settings) as lag:
        reached = await lag.reached(worker)
    ends = {place: reached[place] for place in places(settings, topics.TRADES) if place in reached}
    found = [record for place, end in ends.items() async for record in read_before(settings, place, 0, end)]
    return sum(len(record.trades) for record in found if isinstance(record, TradeBatch))


SHARES = (0.3, 0.6)


class Killer:
    """Kills a worker with SIGKILL each time it has committed such a share of the trades, and starts it again.

    Frames are held from the kill, which finds records that it has not committed, until the new one has caught up,
    however long that takes: the second kill comes on the way too.
    """

    def __init__(self, worker: str, total: int) -> None:
        self.worker, self.total = worker, total
        self.done: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()

    def start(self, settings: Settings, children: list[process.Child]) -> asyncio.Task[None]:
        return asyncio.create_task(asyncio.wait_for(self._kill(settings, children), timeout=180))

    async def _kill(self, settings: Settings, children: list[process.Child]) -> None:
        async with Lag(settings) as lag:
            for share in SHARES:
                while (applied := await applied_trades(settings, self.worker)) < share * self.total:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                self.gate.clear()
                self.done.append(applied)
                place = next(place for place, child in enumerate(children) if child.name == self.worker)
                process.stop([children[place]], grace_s=0)
                own = children_settings(settings, children[place])
                children[place] = start_worker(self.worker, own, settings.data_dir)
                while await lag.of(self.worker):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                self.gate.set()


def children_settings(settings: Settings, child: process.Child) -> Settings:
    """As the replay gave them to this worker: its own port for its page."""
    return settings.model_copy(update={"web_port": child.port})


async def ids_in_questdb(settings: Settings) -> set[tuple[str, ...]]:
    store = QuestDb(settings.questdb_address(), settings.table_prefix())
    columns = "venue, market, symbol, id_kind, trade_id"
    rows = await asyncio.to_thread(store.query, f"SELECT {columns} FROM '{store.table('trades')}'")
    assert len(rows) == len({tuple(row) for row in rows}), "a trade stands twice in QuestDB"
    return {tuple(row) for row in rows}


async def ids_in_redis(settings: Settings) -> set[tuple[str, ...]]:
    found = []
    async with Redis.from_url(settings.redis_address(), decode_responses=True) as client:
        async for stream in client.scan_iter(match=f"{settings.stream_prefix()}trades:*", _type="stream"):
            for _, entry in await client.xrange(stream):
                found.append(tuple(entry[name] for name in ("venue", "market", "symbol", "id_kind", "trade_id")))
    assert len(found) == len(set(found)), "a trade stands twice in Redis"
    return set(found)


@pytest.mark.parametrize("worker", ["ohlcv", "timeseries_writer", "redis_bridge"])
async def test_a_worker_killed_twice_on_the_way_changes_nothing(settings, worker):
    folded = replay_in_process([BUSY])
    wanted = {("binance", "spot", "BTC/USDT", "trade", str(number)) for number in trade_numbers(BUSY)}
    killer = Killer(worker, len(wanted))

    async def same_sets(found: Settings) -> None:
        assert await ids_in_questdb(found) == await ids_in_redis(found) == wanted

    streamed = await replay_streaming(
        [BUSY], settings, settings.data_dir, silent, speed=30, hooks=Hooks(killer.start, same_sets, killer.gate)
    )
    assert streamed["hashes"] == folded.summary()["hashes"]
    check_same(streamed, [BUSY])
    first, second = (done / killer.total for done in killer.done)
    assert 0.2 <= first < second <= 0.9, f"killed at {killer.done} of {killer.total} trades"


def trade_numbers(path: Path) -> set[int]:
    """The ids in a Binance recording, read without the project's parsers."""
    with gzip.open(path) as lines:
        frames = [json.loads(json.loads(line)["frame"])["data"] for line in lines]
    return {frame["t"] for frame in frames if frame.get("e") == "trade"}


def late_recording(path: Path) -> Path:
    """Two venues for two minutes, one goes on ten minutes later, then both say what they had left out."""
    plan = [(second, venue) for second in range(0, 120, 3) for venue in ("binance", "okx")]
    plan += [(second, "binance") for second in range(600, 900, 5)]
    late = [(second, venue) for second in (4, 30, 61) for venue in ("binance", "okx")]
    start_ns = 1_760_000_040_000_000_000
    with CaptureWriter(path) as writer:
        for number, (second, venue) in enumerate([*plan, *late]):
            at_ns = start_ns + second * 1_000_000_000
            listing = VENUES[venue].to_listing("BTC/USDT", "spot")
            trade = Trade(str(number), Decimal(100 + number), Decimal("0.5"), "buy", at_ns, number)
            frame = VENUES[venue].encode_trade(ParsedTrade(listing, trade))
            received_ns = max(at_ns, start_ns + 900_000_000_000 if number >= len(plan) else 0)
            writer.write(CapturedFrame(received_ns, venue, "spot", venue, "in", frame))
    return path


async def test_trades_ten_minutes_late_revise_their_bars_from_the_log(settings, tmp_path):
    path = late_recording(tmp_path / "late.jsonl.gz")
    revisions: dict[str, list[int]] = {}

    async def look(found: Settings) -> None:
        for bar in (await read_bars(found)).bars(NS_PER_MINUTE):
            revisions.setdefault(bar.venue, []).append(bar.revision)

    streamed = await replay_streaming([path], settings, settings.data_dir, silent, hooks=Hooks(inspect=look))
    check_same(streamed, [path])
    assert revisions.keys() == {"all", "binance", "okx"}
    assert all(found[0] >= 1 for found in revisions.values())
    assert streamed["late"] == 6
