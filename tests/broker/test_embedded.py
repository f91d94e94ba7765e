"""The real servers: started, used, stopped, killed."""

import http.client
import json
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from sofia_streams.embedded.lock import AlreadyRunning
from sofia_streams.embedded.stack import Addresses, Ports, Stack
from sofia_streams.errors import DependencyDown

pytestmark = pytest.mark.broker
ROOT = Path(__file__).resolve().parents[2]
ANY_PORTS = Ports(0, 0, 0, 0)
PARENT = """
import sys
from pathlib import Path
from sofia_streams.embedded.stack import Ports, Stack
stack = Stack(Path(sys.argv[1]), preferred_ports=Ports(0, 0, 0, 0))
stack.start()
print(*stack.pids.values(), flush=True)
sys.stdin.read()
"""


def listens(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as sock:
        return sock.connect_ex((host, int(port))) == 0


def endpoints(addresses: Addresses) -> list[str]:
    redis_address = addresses.redis_url.removeprefix("redis://").removesuffix("/0")
    return [addresses.kafka, addresses.questdb_http, addresses.questdb_pg, redis_address]


def query(address: str, sql: str) -> object:
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", f"/exec?query={quote(sql)}")
    return json.loads(connection.getresponse().read())


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack") / "data", preferred_ports=ANY_PORTS) as running:
        yield running


async def test_a_record_goes_through_kafka(stack: Stack) -> None:
    address = stack.addresses.kafka
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic("t", num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()
    value = os.urandom(3 * 1024 * 1024)
    async with AIOKafkaProducer(bootstrap_servers=address, max_request_size=4 << 20, acks="all") as producer:
        await producer.send_and_wait("t", value)
    consumer = AIOKafkaConsumer(
        "t", bootstrap_servers=address, group_id="g", auto_offset_reset="earliest", session_timeout_ms=6000
    )
    async with consumer:
        message = await consumer.getone()
        await consumer.commit()
    assert message.value == value


async def test_kafka_makes_no_topic_by_itself(stack: Stack) -> None:
    async with AIOKafkaProducer(bootstrap_servers=stack.addresses.kafka, request_timeout_ms=1000) as producer:
        with pytest.raises(Exception, match=r"(?i)timeout|unknown|not found"):
            await producer.send_and_wait("never-made", b"x")


def test_questdb_answers(stack: Stack) -> None:
    answer = query(stack.addresses.questdb_http, "select 1")
    assert isinstance(answer, dict)
    assert answer["dataset"] == [[1]]
    assert listens(stack.addresses.questdb_pg)


def test_redis_keeps_streams_and_evicts_nothing(stack: Stack) -> None:
    with redis.Redis.from_url(stack.addresses.redis_url) as client:
        assert client.ping()
        assert client.xadd("s", {"a": "1"}, id="1-1") == b"1-1"
        with pytest.raises(redis.ResponseError, match="equal or smaller"):
            client.xadd("s", {"a": "1"}, id="1-1")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("append*")["appendfsync"] == "everysec"
        assert client.config_get("appendonly") == {"appendonly": "yes"}


def test_only_loopback_ports_that_we_know_are_open(stack: Stack) -> None:
    known = {int(address.rsplit(":", 1)[1]) for address in endpoints(stack.addresses)}
    found = [
        connection.laddr
        for pid in stack.pids.values()
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {address.ip.removeprefix("::ffff:") for address in found} == {"127.0.0.1"}
    ports = {address.port for address in found}
    assert known <= ports
    assert len(ports - known) == 1  # Kafka's controller


def test_the_data_is_for_its_owner_only(stack: Stack) -> None:
    assert stat.S_IMODE(stack._data_dir.stat().st_mode) == 0o700


def test_a_second_stack_is_refused_and_the_first_lives(stack: Stack) -> None:
    with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"):
        Stack(stack._data_dir).start()
    assert stack.alive() == {"redis": True, "questdb": True, "kafka": True}


def test_stop_leaves_nothing_and_the_data_is_there_again(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "data", preferred_ports=ANY_PORTS)
    addresses = stack.start()
    query(addresses.questdb_http, "create table kept (n int)")
    with redis.Redis.from_url(addresses.redis_url) as client:
        client.set("kept", "yes")
    pids = list(stack.pids.values())
    began_s = time.monotonic()
    stack.stop()
    assert time.monotonic() - began_s < 15
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert not [address for address in endpoints(addresses) if listens(address)]
    assert not list((tmp_path / "data/run").glob("*.json"))
    assert list((tmp_path / "data/kafka/logs").glob(".kafka_cleanshutdown"))
    with Stack(tmp_path / "data", preferred_ports=ANY_PORTS) as again:
        assert "kept" in str(query(again.addresses.questdb_http, "show tables"))
        with redis.Redis.from_url(again.addresses.redis_url) as client:
            assert client.get("kept") == b"yes"


def test_a_taken_preferred_port_gives_another(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = Ports(redis=port)
        with Stack(tmp_path / "data", kafka=False, questdb=False, preferred_ports=ports) as stack:
            assert not stack.addresses.redis_url.endswith(f":{port}/0")
            assert stack.addresses.kafka == stack.addresses.questdb_http == ""
            assert redis.Redis.from_url(stack.addresses.redis_url).ping()


def test_kill_9_of_the_parent_ends_the_servers_and_the_next_start_works(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    command = [sys.executable, "-c", PARENT, str(data_dir)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(children) == 3
        parent.kill()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []
    assert len(list((data_dir / "run").glob("*.json"))) == 3
    with Stack(data_dir, preferred_ports=ANY_PORTS) as again:
        assert all(again.alive().values())


def test_a_server_that_dies_is_seen(tmp_path: Path) -> None:
    with Stack(tmp_path / "data", kafka=False, questdb=False, preferred_ports=ANY_PORTS) as stack:
        psutil.Process(stack.pids["redis"]).kill()
        deadline_s = time.monotonic() + 5
        while stack.alive()["redis"] and time.monotonic() < deadline_s:
            pass
        assert stack.alive() == {"redis": False}


def test_a_server_that_cannot_start_is_reported_with_its_log(tmp_path: Path) -> None:
    broken = tmp_path / "data/redis/appendonlydir"
    broken.mkdir(parents=True)
    (broken / "appendonly.aof.manifest").write_text("nonsense\n")
    stack = Stack(tmp_path / "data", kafka=False, questdb=False, preferred_ports=ANY_PORTS)
    with pytest.raises(DependencyDown, match=r"(?s)redis: expected an answer.*it ended with code 1.*manifest"):
        stack.start()
    assert stack.pids == {}
    assert not list((tmp_path / "data/run").glob("*.json"))
