"""`sofia up --demo` as a user runs it: candles come, a second one is refused, what dies comes back, nothing is left."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.broker
ROOT = Path(__file__).resolve().parents[2]
SOFIA = [sys.executable, "-m", "sofia_streams.cli"]


def environment(data_dir: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(ROOT), "DATA_DIR": str(data_dir)}


def sofia(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SOFIA, *arguments], cwd=data_dir.parent, env=environment(data_dir), capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip


def eventually(holds: Callable[[], bool], within_s: float) -> None:
    deadline_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come to hold in time"
        time.sleep(0.1)


class Up:
    """A running `sofia up --demo --json`, and the last thing it said."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.out, self.err = data_dir.parent / "up.out", data_dir.parent / "up.err"
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                [*SOFIA, "up", "--demo", "--json"], cwd=data_dir.parent, env=environment(data_dir), stdout=out,
                stderr=err,
            )  # fmt: skip

    def state(self) -> dict[str, Any]:
        lines = self.out.read_text().splitlines()
        return json.loads(lines[-1]) if lines else {"instruments": []}

    def newest(self) -> str:
        """The newest second of any candle; times of a day, as text."""
        return max((one["time"] or "" for one in self.state()["instruments"]), default="")

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self, number: signal.Signals) -> int:
        """Exit code; within 15 s, or it fails. Asserts that nothing is left."""
        children = self.children()
        ports = {
            connection.laddr.port
            for child in children
            for connection in child.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }
        assert len(children) >= 8
        assert len(ports) >= 8
        self.process.send_signal(number)
        code = self.process.wait(15)
        assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
        assert not [port for port in ports if listens(port)]
        return code


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def up(data_dir: Path) -> Iterator[Up]:
    running = Up(data_dir)
    try:
        eventually(lambda: running.newest() != "" or running.process.poll() is not None, 90)
        assert running.process.poll() is None, running.err.read_text()
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()


def test_up_shows_candles_refuses_a_second_one_and_ctrl_c_leaves_nothing(up: Up, data_dir: Path):
    state = up.state()
    assert state["schema"] == 1
    assert {line["name"].partition("-")[0] for line in state["connections"]} == {"binance", "okx", "coinbase", "bybit"}
    second = sofia(data_dir, "up", "--demo")
    assert second.returncode == 3
    assert second.stderr.count("\n") == 1
    assert f"held by process {up.process.pid}" in second.stderr
    found = json.loads(sofia(data_dir, "status", "--json").stdout)
    assert {one["name"] for one in found["processes"]} >= {"kafka", "redis", "questdb", "ohlcv", "simulator"}
    assert set(found["lag"]) == {"ohlcv", "timeseries_writer", "redis_bridge"}
    assert sofia(data_dir, "doctor", "--json").returncode == 0
    assert up.stop(signal.SIGINT) == 0
    assert list((data_dir / "run").iterdir()) == []


def test_a_broker_and_a_worker_that_die_come_back_and_candles_go_on(up: Up, data_dir: Path):
    for name in ("kafka", "ohlcv"):
        before = json.loads((data_dir / "run" / f"{name}.json").read_text())["pid"]
        psutil.Process(before).kill()
        eventually(lambda name=name: f"{name} ended with code -9" in up.err.read_text(), 10)
        since = up.newest()
        eventually(lambda since=since: up.newest() > since, 90)
        assert json.loads((data_dir / "run" / f"{name}.json").read_text())["pid"] != before
    done = sofia(data_dir, "down", "--json")
    assert up.process.wait(15) == 0
    assert json.loads(done.stdout)["done"] == [f"stopped sofia up (process {up.process.pid})"]
    assert list((data_dir / "run").iterdir()) == []


def test_kill_9_of_up_ends_all_and_down_cleans_up(up: Up, data_dir: Path):
    children = up.children()
    up.process.kill()
    up.process.wait()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    assert sofia(data_dir, "status").returncode == 1
    assert sofia(data_dir, "down").returncode == 0
    assert list((data_dir / "run").iterdir()) == []
