"""Open files: raised as far as the system allows, refused with the cure where that is too little."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(soft: int, hard: int, command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env={"BROKER_URL": "kafka://127.0.0.1:1", "PATH": "/usr/bin:/bin"}, capture_output=True,
        text=True, check=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
    )  # fmt: skip


@pytest.mark.parametrize("name", [["worker", "ohlcv"], ["up"]])
def test_a_start_with_too_few_open_files_is_refused_with_the_cure(name):
    done = run(64, 64, [sys.executable, "-m", "sofia_streams.cli", *name])
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "expected the system to allow at least 512 a process, found 64" in done.stderr
    assert "ulimit -Hn" in done.stderr


def test_an_agent_started_by_itself_is_refused_too():
    done = run(64, 64, [sys.executable, "-m", "agents.ohlcv", "worker"])
    assert done.returncode != 0
    assert "ulimit -Hn" in done.stderr


def test_a_low_soft_limit_is_raised():
    code = "import resource; from sofia_streams.limits import *; check_open_files(); print(resource.getrlimit(7)[0])"
    assert run(64, 2_000, [sys.executable, "-c", code]).stdout == "2000\n"
