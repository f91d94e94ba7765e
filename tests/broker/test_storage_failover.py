"""QuestDB fails, PostgreSQL takes the rows, the hole is filled: with servers and writers that are killed for good."""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from failover_scene import WRITER, Scene, answers, ended, eventually, fails_over, kill

from sofia_streams import codec, topics
from sofia_streams.crash_points import EXIT_CODE
from sofia_streams.embedded import process
from sofia_streams.embedded.stack import Ports, Stack
from sofia_streams.logread import places, whole_topic
from sofia_streams.ops.stack import addressed
from sofia_streams.ops.topics import apply_topics, delete_namespace
from sofia_streams.ops.workers import start_worker, wait_joined
from sofia_streams.settings import load_settings

pytestmark = pytest.mark.broker


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
        return "does not answer, waiting" in writer.log.read_text() and not await scene.is_drained()

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
        lost = (topics.TRADES, topics.BARS, topics.ORDERS, topics.FILLS, topics.ACCOUNT)
        dropped = [place for topic in lost for place in places(scene.settings, topic)]
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
