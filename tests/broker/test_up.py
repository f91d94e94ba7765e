"""`sofia up --demo` as a user runs it: candles come, a second one is refused, what dies comes back, nothing is left."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from running_up import Up, sofia
from waiting import blocking_eventually as eventually

pytestmark = [pytest.mark.broker, pytest.mark.alone]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def up(data_dir: Path) -> Iterator[Up]:
    with Up(data_dir) as running:
        yield running


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
    pids = {one["name"]: one["pid"] for one in found["processes"]}
    assert [psutil.Process(pids[name]).nice() for name in ("ohlcv", "signals", "timeseries_writer")] == [0, 0, 5]
    sinks = {"timeseries_writer", "redis_bridge"}
    assert set(found["lag"]) == {"ohlcv", "signals", "paper_oms", "trainer", "backfill", *sinks}
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
