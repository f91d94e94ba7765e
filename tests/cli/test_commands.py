"""The commands as a shell runs them: help, JSON, exit codes, and one plain line for every mistake."""

import gzip
import importlib
import json
import os
import re
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
import typer

from sofia_streams.cli.__main__ import COMMANDS

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
CAPTURE = ROOT / "tests" / "captures" / "okx-spot-mixed6-20210722.jsonl.gz"
SECRET = "8231:aVerySecretToken"
GROUPS = {
    "debug": ("bundle",),
    "topics": ("list", "apply", "tail"),
    "config": ("show",),
    "models": ("list", "show"),
}


def sofia(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    base = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "sofia_streams.cli", *arguments], cwd=folder, env=base | env, capture_output=True,
        text=True, check=False, timeout=120,
    )  # fmt: skip


def check_refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """The exit code, one line on stderr that has the words, and no traceback."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("sofia: ")
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


def test_help_lists_every_command_and_loads_nothing_of_ours(tmp_path):
    done = sofia(tmp_path, "--help")
    assert done.returncode == 0
    for name, command in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(command.about)}", done.stdout, re.MULTILINE)
    code = "import sys; from sofia_streams.cli.__main__ import main; main(['--help']); print(*sorted(sys.modules))"
    loaded = sofia_code(tmp_path, code).splitlines()[-1].split()
    assert not {"typer", "pydantic", "aiokafka", "msgspec", "rich"} & set(loaded)


def sofia_code(folder: Path, code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, check=True,
    ).stdout  # fmt: skip


def test_help_is_quick(tmp_path):
    best_s = 10.0
    for _ in range(5):
        began_s = time.monotonic()
        sofia(tmp_path, "--help")
        best_s = min(best_s, time.monotonic() - began_s)
    assert best_s < 0.5, f"the best of five took {best_s:.3f} s"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_says_what_the_overview_says_and_has_an_example(name):
    command = COMMANDS[name]
    found = getattr(importlib.import_module(f"sofia_streams.cli.{command.module}"), command.name)
    about = found.info.help if isinstance(found, typer.Typer) else found.__doc__
    assert about.startswith(command.about)
    members = [one.callback.__doc__ for one in found.registered_commands] if isinstance(found, typer.Typer) else [about]
    for text in members:
        assert re.search(rf"Example: (\S+=\S+ )?sofia {name}\b", text), text


@pytest.mark.parametrize("path", [(name,) for name in COMMANDS] + [(one, two) for one in GROUPS for two in GROUPS[one]])
def test_help_of_every_command_runs(path, tmp_path):
    done = sofia(tmp_path, *path, "--help")
    assert done.returncode == 0, done.stderr
    assert f"Usage: sofia {' '.join(path)}" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_replay_in_process_prints_one_object_and_writes_files(tmp_path):
    done = sofia(tmp_path, "replay", str(CAPTURE), "--in-process", "--json", "--out", "made/here")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert found["schema"] == 1
    assert (found["trades"], found["duplicates"], found["snapshot_trades"], found["late"]) == (27, 54, 6, 0)
    assert {path.stem for path in (tmp_path / "made" / "here").iterdir()} >= {"trades", "bars_1s", "bars_1m"}


@pytest.mark.parametrize(
    "arguments", [("config", "show"), ("doctor",), ("down",), ("logs",), ("replay", str(CAPTURE), "--in-process")]
)
def test_json_is_one_object_with_a_schema(arguments, tmp_path):
    done = sofia(tmp_path, *arguments, "--json")
    assert done.stdout.count("\n") == 1
    assert json.loads(done.stdout)["schema"] == 1


def test_a_truncated_capture_is_one_line_and_nothing_is_started(tmp_path):
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(CAPTURE.read_bytes()[:-400])
    for more in ((), ("--in-process",)):
        check_refused(sofia(tmp_path, "replay", str(cut), "--json", *more), 1, "cut or damaged", str(cut))
    assert [path.name for path in tmp_path.iterdir()] == ["cut.jsonl.gz"]


def test_a_line_that_is_no_frame_is_named(tmp_path):
    odd = tmp_path / "odd.jsonl.gz"
    odd.write_bytes(gzip.compress(b'{"nothing": 1}\n'))
    check_refused(sofia(tmp_path, "replay", str(odd), "--in-process"), 1, "line 1")


@pytest.mark.parametrize(
    ("arguments", "env", "code", "words"),
    [
        (("replay", "/nowhere.gz", "--in-process"), {}, 1, ("/nowhere.gz",)),
        (("replay", str(CAPTURE), "--in-process", "--out", "/proc/nowhere"), {}, 1, ("/proc/nowhere",)),
        (("config", "show"), {"CRYPTO_EXCHANGE": "okx"}, 1, ("CRYPTO_EXCHANGE", "CRYPTO_EXCHANGES")),
        (("worker", "nobody"), {}, 1, ("nobody", "ohlcv")),
        (("status",), {}, 1, ("sofia up",)),
        (("logs", "nobody"), {}, 1, ("nobody",)),
        (("topics", "list"), {}, 1, ("BROKER_URL",)),
        (("topics", "list"), {"BROKER_URL": "kafka://127.0.0.1:1"}, 1, ("127.0.0.1:1",)),
        (("topics", "tail", "nothing"), {}, 1, ("nothing", "trades")),
        (("halt",), {}, 1, ("BROKER_URL",)),
        (("resume", "--json"), {"BROKER_URL": "kafka://127.0.0.1:1"}, 1, ("127.0.0.1",)),
        (("export", "trades", "--out", "x.parquet"), {}, 1, ("QUESTDB_HOST",)),
        (("export", "nothing", "--out", "x"), {"QUESTDB_HOST": "localhost"}, 1, ("nothing", "bars_1s")),
        (("dwon",), {}, 2, ("dwon", "down")),
    ],
)
def test_a_mistake_is_one_line_that_names_it(arguments, env, code, words, tmp_path):
    check_refused(sofia(tmp_path, *arguments, **env), code, *words)


@pytest.mark.parametrize(
    "arguments",
    [
        *(("replay",), ("replay", "x", "--speed", "fast"), ("replay", "x", "--nope"), ("topics", "nope")),
        *(("halt", "--reason", "a\nb"), ()),
    ],
)
def test_wrong_use_is_exit_code_2(arguments, tmp_path):
    done = sofia(tmp_path, *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_stretch_that_is_still_to_come_is_wrong_use(tmp_path):
    stretch = ("--from", "2026-01-01", "--to", "2250-01-02")
    done = sofia(tmp_path, "backfill", "--venue", "okx", "--symbol", "BTC/USDT", *stretch)
    assert done.returncode == 2
    assert "--to" in done.stderr and "in the future" in done.stderr


def test_the_bundle_has_no_secret(tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "ohlcv.log").write_text(f"token {SECRET}\nredis://user:hunter22@host:1/0\npassword hunter22\n")
    done = sofia(
        tmp_path, "debug", "bundle", "--out", "b.tar.gz", "--json", DATA_DIR=".", TELEGRAM_BOT_TOKEN=SECRET,
        REDIS_URL="redis://user:hunter22@127.0.0.1:1/0", WHALE_WEBHOOK_URL="https://hooks.example/T0/s3cretpath",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / "b.tar.gz") as bundle:
        parts = {one.name: bundle.extractfile(one).read().decode() for one in bundle.getmembers()}
    assert set(parts) >= {"settings.json", "versions.json", "status.json", "doctor.json", "log/ohlcv.log"}
    assert list(parts) == json.loads(done.stdout)["holds"]
    for name, text in parts.items():
        for secret in (SECRET, "hunter22", "s3cretpath"):
            assert secret not in text, name
    assert "token ***" in parts["log/ohlcv.log"]


def test_logs_show_the_end_of_each_log(tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "ohlcv.log").write_text("".join(f"line {number}\n" for number in range(5_000)))
    done = sofia(tmp_path, "logs", "ohlcv", "-n", "3", DATA_DIR=".")
    assert done.stdout.splitlines() == ["== ohlcv", "line 4997", "line 4998", "line 4999"]


@pytest.mark.parametrize(
    "arguments",
    [(), ("--minutes", "1", "--battery"), ("--minutes", "0"), ("--scenario", "nothing"), ("--minutes", "x")],
)
def test_chaos_starts_nothing_where_it_is_asked_for_nonsense(arguments, tmp_path):
    done = sofia(tmp_path, "chaos", *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_chaos_names_its_scenarios(tmp_path):
    done = sofia(tmp_path, "chaos", "--scenario", "list", "--json")
    assert done.returncode == 0
    assert {"scenario", "battery", "about"} == set(json.loads(done.stdout)["scenarios"][0])
