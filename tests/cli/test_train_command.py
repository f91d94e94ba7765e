"""sofia train and sofia models as a shell runs them: results, progress, refusals in one line, nothing half written."""

import json
import os
import signal
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_commands import ROOT, check_refused, sofia

pytestmark = pytest.mark.slow
GENERATED = ("--data", "generated", "--size", "1s", "--bars", "3000", "--horizon", "5", "--folds", "1")
UNTIL = ("--until", "2026-11-30T12:00")


def models_of(folder):
    place = folder / ".sofia" / "models"
    return sorted(path.name for path in place.iterdir()) if place.exists() else []


def test_a_model_is_trained_listed_and_shown(tmp_path):
    done = sofia(tmp_path, "train", *GENERATED, *UNTIL, "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert {"schema", "model_id", "sha256", "folder", "is_better", "is_synthetic", "verdict", "rows", "test"} <= {*made}
    assert "sofia: features" in done.stderr
    assert made["verdict"] in done.stderr
    assert models_of(tmp_path) == [made["model_id"]]
    again = json.loads(sofia(tmp_path, "train", *GENERATED, *UNTIL, "--json").stdout)
    assert (again["model_id"], again["sha256"]) == (made["model_id"], made["sha256"])
    (listed,) = json.loads(sofia(tmp_path, "models", "list", "--json").stdout)["models"]
    assert (listed["model_id"], listed["sha256"], listed["damage"]) == (made["model_id"], made["sha256"], None)
    assert listed["is_synthetic"]
    shown = sofia(tmp_path, "models", "show", made["model_id"])
    assert shown.stdout.splitlines()[0] == made["verdict"]
    assert "SYNTHETIC" in shown.stdout.splitlines()[1]
    card = json.loads(sofia(tmp_path, "models", "show", made["model_id"], "--json").stdout)
    assert card["card"]["verdict"] == made["verdict"]
    assert card["sha256"] == made["sha256"]


def test_a_damaged_model_is_listed_with_its_damage_and_not_shown(tmp_path):
    made = json.loads(sofia(tmp_path, "train", *GENERATED, "--folds", "0", "--json").stdout)
    place = tmp_path / ".sofia" / "models" / made["model_id"]
    (place / "model.json").write_text("{")
    (tmp_path / ".sofia" / "models" / "notes").mkdir()
    done = sofia(tmp_path, "models", "list", "--json")
    assert done.returncode == 0
    (listed,) = json.loads(done.stdout)["models"]
    assert "expected a model document" in listed["damage"]
    assert "damaged" in sofia(tmp_path, "models", "list").stdout
    check_refused(sofia(tmp_path, "models", "show", made["model_id"]), 1, "expected a model document")


def test_no_models_are_an_empty_list(tmp_path):
    assert json.loads(sofia(tmp_path, "models", "list", "--json").stdout)["models"] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--data", "nowhere.parquet"), ("nothing there",)),
        (("--data", "generated", "--bars", "500", "--folds", "0"), ("expected at least 100 rows",)),
        (("--data", "generated", "--cost-bps", "1000", "--folds", "0"), ("of 1 outcome",)),
        (("--data", "bars.parquet"), ("prices above zero", "row 7")),
        (("--data", "other.parquet"), ("expected the columns",)),
    ],
)
def test_what_cannot_be_trained_on_is_one_line_and_leaves_nothing(arguments, words, tmp_path):
    rows = [{"symbol": "A/B", "start_ns": n * 60 * 10**9, **dict.fromkeys(("open", "high", "low", "close"), "2"),
             "volume": "1"} for n in range(10)]  # fmt: skip
    rows[7]["low"] = "-1"
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "bars.parquet")
    pq.write_table(pa.table({"price": [1]}), tmp_path / "other.parquet")
    done = sofia(tmp_path, "train", "--size", "1m", *arguments, "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr.splitlines()[-1]
    assert models_of(tmp_path) == []


@pytest.mark.parametrize(
    "arguments",
    [("--size", "5m"), ("--sets", "flow"), ("--label", "none"), ("--horizon", "0"), ("--cost-bps", "-1"),
     ("--until", "soon"), ("--folds", "-1"), ("--days", "0")],
)  # fmt: skip
def test_wrong_use_is_exit_code_2(arguments, tmp_path):
    done = sofia(tmp_path, "train", "--data", "generated", *arguments)
    assert done.returncode == 2, done.stderr
    assert arguments[0] in done.stderr


def test_an_id_that_is_a_path_is_refused(tmp_path):
    check_refused(sofia(tmp_path, "models", "show", "../../etc"), 1, "expected an id")


def test_without_a_database_the_command_says_what_to_do(tmp_path):
    done = sofia(tmp_path, "train", QUESTDB_HOST="127.0.0.1", QUESTDB_HTTP_PORT="1")
    assert done.returncode == 1
    assert "questdb: expected an answer" in done.stderr.splitlines()[-1]


def test_interrupted_it_says_so_and_leaves_nothing(tmp_path):
    """In the middle of the features, before anything is saved."""
    base = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "sofia_streams.cli", "train", "--data", "generated", "--bars", "200000"]
    with subprocess.Popen(command, cwd=tmp_path, env=base, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert any("features" in line for line in running.stderr)
        running.send_signal(signal.SIGINT)
        rest = running.stderr.read()
    assert running.returncode == 1
    assert "stopped; nothing was written" in rest
    assert models_of(tmp_path) == []
