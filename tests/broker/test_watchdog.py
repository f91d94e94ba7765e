"""The watch of `sofia up`: a worker that stands still is killed and comes back, one that cannot run is left down."""

import json
import signal
import socket
import time
from pathlib import Path

import psutil
import pytest
from running_up import Up, sofia
from waiting import blocking_eventually as eventually

from sofia_streams.ops.supervision.running import blind

pytestmark = [pytest.mark.broker, pytest.mark.alone]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def pid_of(data_dir: Path, name: str) -> int:
    return int(json.loads((data_dir / "run" / f"{name}.json").read_text())["pid"])


def kill_when_started(up: Up, name: str, not_pid: int) -> int:
    """Kill the process that came after `not_pid`; its pid."""

    def is_new() -> bool:
        path = up.data_dir / "run" / f"{name}.json"
        return path.exists() and pid_of(up.data_dir, name) != not_pid

    eventually(is_new, 30)
    pid = pid_of(up.data_dir, name)
    psutil.Process(pid).kill()
    return pid


def test_a_worker_that_stands_still_is_killed_and_one_that_cannot_run_is_left_down(data_dir: Path):
    with Up(data_dir, WATCHDOG_STALL_S="5") as up:
        for name, place in (("ohlcv", "sofia.demo.trades.v1/"), ("crypto_ws", "health")):
            before = pid_of(data_dir, name)
            psutil.Process(before).send_signal(signal.SIGSTOP)
            stopped_s = time.monotonic()
            eventually(lambda name=name, place=place: f"{name} stood still: {place}" in up.err.read_text(), 60)
            found_s = time.monotonic() - stopped_s
            assert found_s > 5, "not before its time"
            eventually(lambda name=name: f"{name} ended with code -9" in up.err.read_text(), 10)
            since = up.newest()
            eventually(lambda since=since: up.newest() > since, 90)
        comes_back_on_another_port_where_its_own_was_taken(up, "timeseries_writer")
        pid = 0
        for _ in range(5):
            pid = kill_when_started(up, "redis_bridge", pid)
        eventually(lambda: "redis_bridge ended with code -9, the 5th time within 120 s" in up.err.read_text(), 30)
        eventually(lambda: alerts(data_dir) >= {"warning", "critical"}, 30)
        found = sofia(data_dir, "status", "--json")
        rows = {row["name"]: row for row in json.loads(found.stdout)["processes"]}
        assert found.returncode == 1
        assert (rows["redis_bridge"]["runs"], rows["ohlcv"]["runs"]) == (False, True)
        assert "the 5th time" in rows["redis_bridge"]["why"]
        assert up.stop(signal.SIGINT) == 4
        assert list((data_dir / "run").iterdir()) == []


def comes_back_on_another_port_where_its_own_was_taken(up: Up, name: str) -> None:
    note = up.data_dir / "run" / f"{name}.json"
    pid, port = pid_of(up.data_dir, name), json.loads(note.read_text())["port"]
    psutil.Process(pid).kill()
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=0.2)
    with socket.create_server(("127.0.0.1", port)):
        eventually(lambda: note.exists() and pid_of(up.data_dir, name) != pid, 30)
        there = json.loads(note.read_text())["port"]
        assert there != port
        eventually(lambda: answers(there), 60)


def answers(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def alerts(data_dir: Path) -> set[str]:
    found = sofia(data_dir, "topics", "tail", "alerts", "--json")
    records = json.loads(found.stdout)["records"] if found.returncode == 0 else []
    return {json.loads(record["value"])["severity"] for record in records}


def test_a_broker_that_stands_gets_no_worker_killed_and_the_watch_says_that_it_is_blind(data_dir: Path):
    with Up(data_dir, WATCHDOG_STALL_S="5") as up:
        broker = psutil.Process(pid_of(data_dir, "kafka"))
        broker.suspend()
        eventually(lambda: "the watch has not seen for 3" in up.err.read_text(), 60)
        readers = "how far ohlcv, signals, paper_oms, trainer, timeseries_writer"
        assert readers in blind(data_dir).replace("crypto_ws, ", "")
        broker.resume()
        since = up.newest()
        eventually(lambda: up.newest() > since, 90)
        eventually(lambda: "the watch sees how far all workers are again" in up.err.read_text(), 60)
        assert blind(data_dir) == ""
        assert "stood still" not in up.err.read_text()
        assert up.stop(signal.SIGINT) == 0
