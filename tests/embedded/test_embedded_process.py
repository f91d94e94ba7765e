"""Child processes, leftovers and the lock, with real processes that are not servers."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from sofia_streams.embedded import java, launch, process
from sofia_streams.embedded.lock import AlreadyRunning, DataDirLock, holder
from sofia_streams.errors import SofiaError
from sofia_streams.ops.supervision.up import stop_running
from sofia_streams.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
SLEEP = ["/bin/sleep", "600"]
DEAF = ["/bin/sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1; done"]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    for name in ("run", "log"):
        (tmp_path / name).mkdir()
    return tmp_path


def start(data_dir: Path, command: list[str], name: str = "thing") -> process.Child:
    return process.start(name, command, port=1, data_dir=data_dir, cwd=data_dir)


def test_a_child_is_recorded_in_its_own_session_and_stopped(data_dir: Path) -> None:
    child = start(data_dir, SLEEP)
    try:
        record = process.read_record(data_dir / "run/thing.json")
        assert record is not None
        assert (record.pid, record.port) == (child.pid, 1)
        assert process.find_process(record) is not None
        assert os.getsid(child.pid) == child.pid
    finally:
        assert process.stop([child], grace_s=5) == []
    assert process.find_process(record) is None
    assert list((data_dir / "run").iterdir()) == []


def test_a_child_gives_way_to_others_also_where_the_system_shares_by_session(data_dir: Path) -> None:
    child = process.start("thing", SLEEP, port=1, data_dir=data_dir, cwd=data_dir, niceness=7)
    try:
        while psutil.Process(child.pid).cmdline() != SLEEP:
            assert child.exit_code() is None
        assert psutil.Process(child.pid).nice() == 7
        group = Path(f"/proc/{child.pid}/autogroup")
        assert not group.exists() or group.read_text().endswith(" nice 7\n")
    finally:
        process.stop([child], grace_s=5)


def test_niceness_is_not_added_to_that_of_a_parent_which_gives_way_itself(data_dir: Path) -> None:
    inner = [sys.executable, "-I", "-S", launch.__file__]
    code = "import subprocess, sys, os; subprocess.run([*sys.argv[1:4], sys.argv[4], str(os.getpid()), *sys.argv[5:]])"
    command = [sys.executable, "-c", code, *inner, "10", sys.executable, "-c", "import os; print(os.nice(0))"]
    child = process.start("thing", command, port=1, data_dir=data_dir, cwd=data_dir, niceness=5)
    while child.exit_code() is None:
        time.sleep(0.01)
    assert child.log_tail() == "10"
    process.stop([child], grace_s=0)


def test_a_child_that_ignores_sigterm_is_killed(data_dir: Path) -> None:
    child = start(data_dir, DEAF)
    while "deaf" not in child.log_tail():
        assert child.exit_code() is None
    assert process.stop([child], grace_s=0.2) == ["thing"]
    assert child.exit_code() == -signal.SIGKILL


def test_files_of_a_child_are_for_the_owner_only(data_dir: Path) -> None:
    child = start(data_dir, ["/bin/sh", "-c", "echo x > made"])
    process.stop([child], grace_s=5) if child._process.wait(5) else child.forget()
    assert stat.S_IMODE((data_dir / "made").stat().st_mode) == 0o600


def test_the_log_of_the_run_before_is_kept(data_dir: Path) -> None:
    for text in ("first", "second"):
        child = start(data_dir, ["/bin/echo", text])
        child._process.wait(5)
        child.forget()
    assert child.log_tail() == "second"
    assert (data_dir / "log/thing.log.1").read_text() == "first\n"


def test_a_log_is_told_without_what_only_a_terminal_understands(data_dir: Path) -> None:
    child = start(data_dir, ["/bin/sh", "-c", r"printf '\033[?25lwhy it ended\n\033[?25h'"])
    try:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert child.log_tail() == "why it ended"
    finally:
        process.stop([child], grace_s=0)


def test_a_child_must_come_from_the_main_thread(data_dir: Path) -> None:
    raised: list[BaseException] = []

    def run() -> None:
        try:
            start(data_dir, SLEEP)
        except SofiaError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert "main thread" in str(raised[0])


def test_a_leftover_of_ours_is_stopped_and_a_stranger_is_not(data_dir: Path) -> None:
    with subprocess.Popen(SLEEP) as ours, subprocess.Popen(SLEEP) as stranger:
        try:
            started_s = psutil.Process(ours.pid).create_time()
            records = {
                "ours": process.Record("ours", ours.pid, started_s, 1),
                "reused": process.Record("reused", stranger.pid, started_s - 3600, 1),
                "gone": process.Record("gone", 2**22 - 1, started_s, 1),
            }
            for name, record in records.items():
                (data_dir / "run" / f"{name}.json").write_text(json.dumps(record._asdict()))
            (data_dir / "run" / "cut.json").write_text('{"name": "cu')
            assert process.stop_leftovers(data_dir) == ["ours"]
            assert ours.poll() is not None
            assert stranger.poll() is None
            assert list((data_dir / "run").iterdir()) == []
        finally:
            ours.kill()
            stranger.kill()


def test_a_second_stack_is_told_who_holds_the_directory(data_dir: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from sofia_streams.embedded.lock import DataDirLock;"
        "lock = DataDirLock(Path(sys.argv[1])); lock.acquire(); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(data_dir)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunning, match=f"process {other.pid}, started 20") as refused:
            DataDirLock(data_dir).acquire()
        assert refused.value.holder == holder(data_dir)
        other.kill()
    assert holder(data_dir) is None
    lock = DataDirLock(data_dir)
    lock.acquire()
    assert holder(data_dir) is not None
    lock.release()
    assert holder(data_dir) is None


@pytest.mark.parametrize("age_s", [3_600, None], ids=["a reused pid", "a pid of nobody"])
def test_a_stale_lock_file_neither_holds_the_directory_nor_costs_a_stranger_its_life(data_dir: Path, age_s) -> None:
    with subprocess.Popen(SLEEP) as stranger:
        try:
            pid = 2**22 - 1 if age_s is None else stranger.pid
            stale = process.Record("stack", pid, psutil.Process(stranger.pid).create_time() - (age_s or 0), 0)
            (data_dir / "run" / "lock").write_text(json.dumps(stale._asdict()))
            assert holder(data_dir) is None
            settings = load_settings(None, {"DATA_DIR": str(data_dir)})
            assert stop_running(settings) == []
            assert stranger.poll() is None
            lock = DataDirLock(data_dir)
            lock.acquire()
            lock.release()
        finally:
            stranger.kill()


@pytest.mark.parametrize(
    ("text", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_292"', 8),
        ('openjdk version "25" 2025-09-16', 25),
        ("sh: java: not found", None),
    ],
)
def test_java_versions(text: str, major: int | None) -> None:
    assert java.parse_major(text) == major


def test_a_java_is_found_and_its_socket_is_shut(tmp_path: Path) -> None:
    runtime = java.find_java()
    assert runtime.major >= java.OLDEST_MAJOR
    options = java.options(runtime, tmp_path, 64)
    assert "-XX:+DisableAttachMechanism" in options
    assert not [option for option in options if "jmx" in option.lower()]
    subprocess.run([*options, "-version"], check=True, capture_output=True)
