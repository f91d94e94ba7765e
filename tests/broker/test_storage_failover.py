"""QuestDB fails, PostgreSQL takes the rows, the hole is filled: with servers and writers that are killed for good."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from sofia_streams import codec, topics
from sofia_streams.crash_points import EXIT_CODE
from sofia_streams.embedded import process
from sofia_streams.embedded.stack import Ports, Stack
from sofia_streams.errors import DependencyDown
from sofia_streams.logread import places, whole_topic
from sofia_streams.model import NS_PER_SECOND, Bar, Gap, Outage, Ticker, Trade, TradeBatch
from sofia_streams.ops.stack import addressed
from sofia_streams.ops.topics import apply_topics, delete_namespace
from sofia_streams.ops.workers import Lag, start_worker, wait_joined
from sofia_streams.settings import Settings, load_settings
from sofia_streams.stores.postgres import Postgres
from sofia_streams.stores.questdb import QuestDb

pytestmark = pytest.mark.broker
WRITER = "timeseries_writer"
SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
BEGAN_NS = 1_754_000_000 * NS_PER_SECOND


class Scene:
    """One namespace on the servers, what was put into its log, and the writer that runs."""

    def __init__(self, stack: Stack, settings: Settings) -> None:
        self.stack, self.settings = stack, settings
        self.questdb = QuestDb(settings.questdb_address(), settings.table_prefix())
        self.fallback = Postgres(settings.fallback_url() or "", settings.table_prefix())
        self.writer: process.Child | None = None
        self.ids: set[str] = set()

    def start(self, crash_at: str = "") -> process.Child:
        self.writer = start_worker(WRITER, self.settings, self.settings.data_dir, crash_at=crash_at)
        return self.writer

    def kill(self, name: str) -> None:
        kill(self.stack.children()[name])

    async def produce(self, count: int, revision: int = 0) -> None:
        """Trades with new ids; a bar, a ticker and a gap in their `revision`; and bytes that nobody can read."""
        first = len(self.ids)
        numbers = range(first, first + count)
        self.ids |= {str(number) for number in numbers}
        records: list[tuple[topics.Topic, str, object]] = [
            (topics.TRADES, SYMBOLS[number % 3], trades(number)) for number in numbers
        ]
        for symbol in SYMBOLS:
            records += [(topics.BARS, symbol, bar(symbol, revision)), (topics.GAPS, symbol, gap(symbol, revision))]
            records += [(topics.TICKERS, symbol, ticker(symbol, first)), (topics.TRADES, symbol, "not a trade")]
        async with AIOKafkaProducer(bootstrap_servers=self.settings.broker_address()) as producer:
            sent = [
                await producer.send(
                    topics.wire_name(topic, self.settings.namespace), codec.encode(record), key=symbol.encode()
                )
                for topic, symbol, record in records
            ]
            await asyncio.gather(*sent)

    async def outages(self) -> list[Outage]:
        found = {}
        async for value in whole_topic(self.settings, topics.OUTAGES):
            outage = codec.decode_outage(value)
            found[outage.outage_id] = outage
        return list(found.values())

    async def has_state(self, state: str) -> bool:
        return state in [outage.state for outage in await self.outages()]

    async def is_drained(self) -> bool:
        async with Lag(self.settings) as lag:
            return await lag.of(WRITER) == 0

    async def is_whole(self, revision: int) -> bool:
        """Whether QuestDB has every trade, the newest bars and gaps, and every outage is over."""
        name = self.questdb.table
        try:
            ids = self.questdb.query(f"SELECT trade_id FROM '{name('trades')}'")
            bars = self.questdb.query(f"SELECT revision, close::varchar FROM '{name('bars_1s')}'")
            gaps = self.questdb.query(f"SELECT state, filled FROM '{name('gaps')}'")
        except (DependencyDown, ValueError):
            return False  # it is not there yet, or its tables are not
        return (
            sorted(row[0] for row in ids) == sorted(self.ids)
            and [(row[0], Decimal(row[1])) for row in bars] == [(revision, Decimal(revision))] * 3
            and gaps == [["open", revision]] * 3
            and all(outage.state == "closed" for outage in await self.outages())
            and await self.is_drained()
        )

    def fallback_ids(self) -> set[str]:
        try:
            return {row[0] for row in self.fallback.query(f"SELECT trade_id FROM {self.fallback.table('trades')}")}
        except (DependencyDown, ValueError):
            return set()


def kill(child: process.Child) -> None:
    child.signal(signal.SIGKILL)
    while child.exit_code() is None:
        time.sleep(0.01)


def trades(number: int) -> TradeBatch:
    at_ns = BEGAN_NS + number * 1_000_000
    price = Decimal("1.50") + number
    return TradeBatch("okx", "spot", SYMBOLS[number % 3], at_ns, "a", [
        Trade(str(number), price, Decimal("0.1"), "buy", at_ns, number)
    ])  # fmt: skip


def bar(symbol: str, revision: int) -> Bar:
    one = Decimal(revision)
    return Bar("okx", "spot", symbol, NS_PER_SECOND, BEGAN_NS, one, one, one, one, one, one, one, 1, one, "1", "1",
               revision)  # fmt: skip


def gap(symbol: str, revision: int) -> Gap:
    return Gap("okx", "spot", symbol, BEGAN_NS + revision, "a", "1-2", "ids", "open", BEGAN_NS, filled=revision)


def ticker(symbol: str, number: int) -> Ticker:
    return Ticker("okx", "spot", symbol, BEGAN_NS + number, last=Decimal("1.5"))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QDB_DEV_MODE_ENABLED", "true")  # else QuestDB does not know SUSPEND WAL
        data_dir = tmp_path_factory.mktemp("failover") / "data"
        with Stack(data_dir, redis=False, postgres=True, preferred_ports=Ports(0, 0, 0, 0, 0)) as running:
            yield running


@pytest.fixture
async def scene(stack: Stack, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scene]:
    settings = addressed(load_settings(None, {"FAILOVER_AFTER_S": "1"}), stack.addresses, stack._data_dir)
    namespace = f"t{abs(hash(request.node.name)) % 10**8}"
    settings = settings.model_copy(update={"namespace": namespace, "topic_partitions": 2, "retention_trades_days": 0})
    settings = settings.model_copy(update={"retention_bars_1s_days": 0, "retention_tickers_days": 0})
    await apply_topics(settings)
    own = Scene(stack, settings)
    yield own
    if own.writer is not None:
        process.stop([own.writer], grace_s=10)
    for name, lives in stack.alive().items():
        if not lives:
            stack.restart(name)
    await eventually(lambda: answers(own))
    own.questdb.drop_tables()
    own.fallback.drop_tables()
    own.fallback.close()
    await delete_namespace(settings)


async def answers(scene: Scene) -> bool:
    try:
        scene.questdb.query("SELECT 1")
        scene.fallback.query("SELECT 1")
    except DependencyDown:
        return False
    return True


async def eventually(holds: Callable[[], Awaitable[bool]], within_s: float = 120.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not await holds():
        assert time.monotonic() < deadline_s, "it did not come to hold in time"
        await asyncio.sleep(0.2)


async def ended(child: process.Child) -> bool:
    return child.exit_code() is not None


async def fails_over(scene: Scene) -> None:
    """Some rows in QuestDB, then it is killed, and more rows are acknowledged since the fallback has them."""
    await scene.produce(60, revision=1)
    await eventually(lambda: scene.is_whole(1))
    scene.kill("questdb")
    await scene.produce(60, revision=2)
    await eventually(scene.is_drained)
    assert {str(number) for number in range(60, 120)} <= scene.fallback_ids()
    assert await scene.has_state("open")


async def test_what_questdb_missed_is_filled_and_what_came_meanwhile_stays_the_newest(scene):
    scene.start()
    await fails_over(scene)
    scene.stack.restart("questdb")
    await scene.produce(60, revision=3)
    await eventually(lambda: scene.is_whole(3))
    (outage,) = await scene.outages()
    assert outage.store == "questdb" and outage.rows >= 60 and "rows filled" in outage.detail
    assert outage.first.keys() == outage.last.keys()
    quarantined = [value async for value in whole_topic(scene.settings, topics.QUARANTINE)]
    assert len(quarantined) == 9, "each unreadable record once: the filling does not set them aside again"


async def test_a_writer_killed_in_an_outage_leaves_it_to_the_next(scene):
    writer = scene.start()
    await fails_over(scene)
    kill(writer)
    await scene.produce(60, revision=3)
    scene.start()
    await eventually(scene.is_drained)
    scene.stack.restart("questdb")
    await scene.produce(60, revision=4)
    await eventually(lambda: scene.is_whole(4))
    assert len(await scene.outages()) >= 2, "one of the killed writer, and one that took it up"


@pytest.mark.parametrize("point", ["fallback_stored", "outage_said", "outage_ended", "hole_part_filled", "hole_filled"])
async def test_a_writer_killed_at_any_point_loses_nothing(scene, point):
    writer = scene.start(crash_at=f"{point}:1")
    await scene.produce(60, revision=1)
    await eventually(lambda: scene.is_whole(1))
    scene.kill("questdb")
    await scene.produce(60, revision=2)
    if point not in ("fallback_stored", "outage_said"):
        await eventually(scene.is_drained)
        scene.stack.restart("questdb")
        await scene.produce(3, revision=2)
    await eventually(lambda: ended(writer))
    assert writer.exit_code() == EXIT_CODE
    scene.start()
    if point in ("fallback_stored", "outage_said"):
        await eventually(scene.is_drained)
        scene.stack.restart("questdb")
    await scene.produce(60, revision=3)
    await eventually(lambda: scene.is_whole(3))


async def test_of_two_writers_the_one_that_is_left_fills_what_the_other_had_open(scene):
    first = scene.start()
    second = start_worker(WRITER, scene.settings, scene.settings.data_dir, copy=2)
    try:
        await wait_joined(scene.settings, [first, second], timeout_s=120)
        await fails_over(scene)
        kill(first)
        await scene.produce(60, revision=3)
        await eventually(scene.is_drained)
        scene.stack.restart("questdb")
        await scene.produce(60, revision=4)
        await eventually(lambda: scene.is_whole(4))
    finally:
        process.stop([second], grace_s=10)


async def test_with_both_down_it_waits_and_loses_nothing(scene):
    writer = scene.start()
    await scene.produce(60, revision=1)
    await eventually(lambda: scene.is_whole(1))
    scene.kill("questdb")
    scene.kill("postgres")
    await scene.produce(60, revision=2)

    async def is_waiting() -> bool:
        return "sink is down, waiting" in writer.log.read_text() and not await scene.is_drained()

    await eventually(is_waiting)
    scene.stack.restart("postgres")
    await eventually(scene.is_drained)
    assert await scene.has_state("open")
    scene.kill("postgres")
    scene.stack.restart("questdb")
    await scene.produce(60, revision=3)
    await eventually(lambda: scene.is_whole(3))


async def test_what_the_log_has_dropped_is_filled_from_the_fallback(scene):
    scene.start()
    await fails_over(scene)
    admin = AIOKafkaAdminClient(bootstrap_servers=scene.settings.broker_address())
    await admin.start()
    try:
        dropped = [*places(scene.settings, topics.TRADES), *places(scene.settings, topics.BARS)]
        await admin.delete_records({place: RecordsToDelete(-1) for place in dropped})
    finally:
        await admin.close()
    scene.stack.restart("questdb")
    await scene.produce(60, revision=3)
    await eventually(lambda: scene.is_whole(3))


async def test_a_suspended_table_is_found_said_and_its_rows_are_there_after_it_is_resumed(scene):
    """Battery row 46."""
    scene.start()
    await scene.produce(60, revision=1)
    await eventually(lambda: scene.is_whole(1))
    table = scene.questdb.table("trades")
    scene.questdb.query(f"ALTER TABLE '{table}' SUSPEND WAL")
    suspended_s = time.monotonic()

    async def is_said() -> bool:
        alerts = [codec.decode_alert(value) async for value in whole_topic(scene.settings, topics.ALERTS)]
        return any(table in one.text and "RESUME WAL" in one.text and one.severity == "critical" for one in alerts)

    await eventually(is_said, within_s=30)
    print(f"found after {time.monotonic() - suspended_s:.1f} s")
    await scene.produce(60, revision=2)
    await eventually(scene.is_drained)
    assert {str(number) for number in range(60, 120)} <= scene.fallback_ids()
    scene.questdb.query(f"ALTER TABLE '{table}' RESUME WAL")
    await scene.produce(60, revision=3)
    await eventually(lambda: scene.is_whole(3))


async def test_without_a_fallback_it_waits_as_long_as_questdb_is_down(scene):
    scene.settings = scene.settings.model_copy(update={"timescale_url": None})
    scene.start()
    await scene.produce(60, revision=1)
    await eventually(lambda: scene.is_whole(1))
    scene.kill("questdb")
    await scene.produce(60, revision=2)
    assert not await scene.is_drained()
    scene.stack.restart("questdb")
    await eventually(lambda: scene.is_whole(2))
    assert await scene.outages() == []
