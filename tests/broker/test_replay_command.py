"""`sofia replay` through real servers, as a user runs it: its Parquet files, its numbers, and Ctrl-C in the middle."""

import csv
import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from sofia_streams.ops.replay.export import write_replay
from sofia_streams.ops.replay.in_process import replay_in_process

pytestmark = pytest.mark.broker
ROOT = Path(__file__).resolve().parents[2]
CAPTURES = ROOT / "tests" / "captures"
PATHS = sorted(set(CAPTURES.glob("*.jsonl.gz")) - {CAPTURES / "binance-spot-btcusdt-20240808.jsonl.gz"})


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-m", "sofia_streams.cli", "replay", *arguments], cwd=folder, env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def without(rows: list[dict], *names: str) -> list[tuple]:
    return sorted(tuple(str(value) for name, value in row.items() if name not in names) for row in rows)


def test_the_files_of_a_replay_are_those_of_the_fold_and_of_the_truth(tmp_path):
    done = start(tmp_path, *map(str, PATHS), "--json", "--out", "out")
    stdout, stderr = done.communicate(timeout=240)
    assert done.returncode == 0, stderr
    found = json.loads(stdout)
    replay = replay_in_process(PATHS, keep_trades=True)
    write_replay(tmp_path / "folded", replay.book, replay.trades, replay.scored)
    expected = replay.summary()
    assert {name: found[name] for name in expected} == expected
    assert found["gaps"] == 0
    assert set(found["latency_ms"]) == {"applied", "predicted", "questdb", "redis"}
    for quantiles in found["latency_ms"].values():
        assert 0 < quantiles["p50"] <= quantiles["p95"] <= quantiles["p99"] < 60_000
        assert quantiles["records"] > 0
    for path in (tmp_path / "folded").iterdir():
        mine, theirs = (pq.read_table(folder / path.name).to_pylist() for folder in (tmp_path / "out", path.parent))
        own = {"trades": ("received_ns",), "features": (), "predictions": ("place",)}
        told_by_records = own.get(path.stem, ("revision", "quality"))
        assert without(mine, *told_by_records) == without(theirs, *told_by_records), path.name
    truth = []
    for path in PATHS:
        with gzip.open(CAPTURES / "truth" / path.name.removesuffix(".jsonl.gz") / "bars_1s.csv.gz", "rt") as lines:
            truth += [(row["venue"], row["start_ns"], row["open"], row["close"], row["vwap"])
                      for row in csv.DictReader(lines)]  # fmt: skip
    bars = pq.read_table(tmp_path / "out" / "bars_1s.parquet").to_pylist()
    columns = ("venue", "start_ns", "open", "close", "vwap")
    assert sorted(tuple(str(row[name]) for name in columns) for row in bars) == sorted(truth)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_in_the_middle_leaves_no_process_and_no_file(number, tmp_path):
    running = start(tmp_path, *map(str, PATHS), "--speed", "1")
    assert running.stderr is not None
    for line in running.stderr:
        if "replaying" in line:
            break
    children = psutil.Process(running.pid).children(recursive=True)
    assert len(children) >= 7
    running.send_signal(number)
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "nothing is left running" in stderr
    assert "Traceback" not in stderr
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert list(tmp_path.iterdir()) == []
