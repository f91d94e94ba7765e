"""Chaos as a user runs it: a defect that is put in on purpose is caught."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sofia_streams.worker import canary

pytestmark = pytest.mark.broker
ROOT = Path(__file__).resolve().parents[2]
RATE = 40
PATIENCE_S = 900


def chaos(folder: Path, *arguments: str, **env: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, what was printed, and the plan and progress."""
    base = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "sofia_streams.cli", "chaos", *arguments, "--rate", str(RATE), "--json"], cwd=folder,
        env=base | env, capture_output=True, text=True, check=False, timeout=PATIENCE_S,
    )  # fmt: skip
    assert done.stdout, done.stderr[-4_000:]
    return done.returncode, json.loads(done.stdout), done.stderr


def test_a_sink_that_acknowledges_before_it_writes_is_caught(tmp_path):
    """The same run holds without the defect, as part of the battery."""
    code, found, said = chaos(
        tmp_path, "--scenario", "questdb-and-writer", "--seed", "1", SOFIA_CANARY=canary.ACK_FIRST
    )
    assert code == 1, said[-4_000:]
    assert found["missing"]["QuestDB"] > 0
    assert found["missing"]["Redis"] == found["lost"] == 0
    assert any("missing in QuestDB" in text for text in found["failures"])
    assert Path(tmp_path, found["logs"], "timeseries_writer.log").exists()
