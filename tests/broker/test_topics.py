"""Topics as `sofia topics apply` makes and sets them on a real broker."""

import asyncio
import getpass
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from sofia_streams import codec, topics
from sofia_streams.embedded.stack import Ports, Stack
from sofia_streams.logread import places, reader, records_between, whole_topic
from sofia_streams.ops.stack import addressed
from sofia_streams.ops.topics import apply_topics, tail_topic
from sofia_streams.settings import Settings, load_settings

pytestmark = pytest.mark.broker
KEYS, ROW = 20, b"x" * 1_000


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    data_dir = tmp_path_factory.mktemp("topics") / "data"
    with Stack(data_dir, questdb=False, redis=False, preferred_ports=Ports(0, 0, 0, 0)) as stack:
        yield addressed(load_settings(None, {}), stack.addresses, data_dir)


@pytest.fixture
async def admin(servers: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=servers.broker_address())
    await client.start()
    yield client
    await client.close()


async def settings_on_the_broker(admin: AIOKafkaAdminClient, name: str) -> dict[str, str]:
    [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    return {entry[0]: entry[1] for entry in answer.resources[0][4]}


async def test_what_is_missing_is_made_once_with_its_settings(servers, admin):
    settings = servers.model_copy(update={"namespace": "made"})
    made = await apply_topics(settings)
    wanted = [topics.wire_name(topic, "made") for topic in topics.TOPICS.values()]
    assert made == [*wanted, *topics.changelog_names("made")]
    assert await apply_topics(settings) == []
    found = await settings_on_the_broker(admin, topics.wire_name(topics.TRADES, "made"))
    assert topics.settings_of(topics.TRADES, retention_hours=settings.topic_retention_hours).items() <= found.items()


async def test_halt_and_resume_are_said_in_the_log_with_who_said_them(servers, admin, tmp_path):
    settings = servers.model_copy(update={"namespace": "halted"})
    await apply_topics(settings)
    assert await partitions_of(admin, topics.changelog_names("halted")) == [4, 4, 1]
    env = {"BROKER_URL": str(settings.broker_url), "NAMESPACE": "halted"}
    said = [sofia(tmp_path, env, *words) for words in (("halt", "--reason", "news"), ("resume",))]
    assert [(one["action"], one["reason"]) for one in said] == [("halt", "news"), ("resume", "by command")]
    rows = await tail_topic(settings, topics.CONTROL, 10)
    found = [codec.decode_control(str(row["value"]).encode()) for row in rows]
    assert [one.command_id for one in found] == [one["command"] for one in said]
    assert {one.by for one in found} == {getpass.getuser()}
    assert (await settings_on_the_broker(admin, str(said[0]["topic"])))["retention.ms"] == "-1"


def sofia(folder: Path, env: dict[str, str], *words: str) -> dict[str, object]:
    """What a command prints as JSON."""
    base = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "sofia_streams.cli", *words, "--json"]
    out = subprocess.run(command, cwd=folder, env=base | env, capture_output=True, check=True, timeout=60).stdout
    found: dict[str, object] = json.loads(out)
    return found


async def partitions_of(admin: AIOKafkaAdminClient, names: list[str]) -> list[int]:
    found = {one["topic"]: len(one["partitions"]) for one in await admin.describe_topics(names)}
    return [found[name] for name in names]


async def test_a_stretch_whose_begin_is_dropped_while_it_is_read_goes_on_at_what_is_left(servers, admin):
    """What was found as its begin is not there any more when it is asked for."""
    settings = servers.model_copy(update={"namespace": "dropped", "topic_partitions": 2})
    await apply_topics(settings)
    place, empty = places(settings, topics.TRADES)
    async with AIOKafkaProducer(bootstrap_servers=settings.broker_address()) as producer:
        for number in range(10):
            await producer.send_and_wait(place.topic, b"%d" % number, partition=0)
    async with reader(settings) as consumer:
        starts, ends = await consumer.beginning_offsets([place, empty]), await consumer.end_offsets([place, empty])
        await admin.delete_records({place: RecordsToDelete(before_offset=4)})
        values = [message.value async for message in records_between(consumer, starts, ends)]
        assert values == [b"%d" % number for number in range(4, 10)]
        assert consumer.assignment() == {place}
    assert [value async for value in whole_topic(settings, topics.GAPS)] == []


async def test_a_changelog_of_an_earlier_version_gets_the_settings_and_is_compacted(servers, admin):
    settings = servers.model_copy(update={"namespace": "older"})
    name, *_ = topics.changelog_names("older")
    older = {"cleanup.policy": "compact"}
    await admin.create_topics([NewTopic(name, settings.topic_partitions, 1, topic_configs=older)])
    await apply_topics(settings)
    wanted = topics.changelog_settings().items()
    async with asyncio.timeout(20):
        while not wanted <= (await settings_on_the_broker(admin, name)).items():  # noqa: ASYNC110  the controller tells it
            await asyncio.sleep(0.1)

    place, rows = TopicPartition(name, 0), 8_000
    async with AIOKafkaProducer(bootstrap_servers=servers.broker_address(), linger_ms=5) as producer:
        sent = [await producer.send(name, ROW, key=b"%d" % (number % KEYS), partition=0) for number in range(rows)]
        await asyncio.gather(*sent)
    async with asyncio.timeout(90):
        while await records(servers, place) > rows // 2:  # noqa: ASYNC110  the broker cleans when it likes
            await asyncio.sleep(1)


async def records(settings: Settings, place: TopicPartition) -> int:
    """How many records of a partition are still there."""
    async with AIOKafkaConsumer(bootstrap_servers=settings.broker_address()) as consumer:
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        end, count = (await consumer.end_offsets([place]))[place], 0
        while await consumer.position(place) < end:
            count += sum(len(found) for found in (await consumer.getmany(timeout_ms=200)).values())
    return count
