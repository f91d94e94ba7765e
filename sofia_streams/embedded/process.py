"""One child process: started, recorded in a file, recognised again, stopped. Does not know which program it is.

A process is known by pid and start time together, so that a reused pid is never taken for one of ours.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil  # type: ignore[import-untyped]  # it ships no types

from sofia_streams.embedded import launch
from sofia_streams.errors import SofiaError
from sofia_streams.files import write_whole

_START_TIME_TOLERANCE_S = 1.0
LOG_TAIL_BYTES = 4_000
_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Record(NamedTuple):
    """What `run/<name>.json` holds."""

    name: str
    pid: int
    create_time_s: float
    port: int


class Child:
    """A server or worker that this process started."""

    stop_signal = signal.SIGTERM
    """What ends it in order."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], port: int, log: Path, record: Path) -> None:
        self.name, self.port, self.log = name, port, log
        self._process, self._record = process, record

    @property
    def pid(self) -> int:
        """Its process id, which is also its process group."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def log_tail(self, bytes_max: int = LOG_TAIL_BYTES) -> str:
        """The last lines it wrote, without what only a terminal understands."""
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - bytes_max))
            return _TERMINAL.sub("", file.read().decode(errors="replace")).strip()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and whatever it started."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def forget(self) -> None:
        """Remove its record; call it once the process has ended."""
        self._record.unlink(missing_ok=True)


def start(
    name: str,
    command: list[str],
    *,
    port: int,
    data_dir: Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    niceness: int = 0,
) -> Child:
    """Start `command` in a session of its own with its own log file, and record it under `data_dir`/run.

    `env` replaces the environment; `niceness` is how far it gives way to others, 0 to 19 (`launch`). Call it from the
    main thread: the kernel ends the child when the thread that started it ends. Raises
    OSError where the system refuses: then it does not run.
    """
    if threading.current_thread() is not threading.main_thread():
        raise SofiaError(
            f"{name}: expected to be started from the main thread, found {threading.current_thread().name}. "
            "A server ends with the thread that started it; call Stack.start() from the main thread."
        )
    log = data_dir / "log" / f"{name}.log"
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    launcher = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(niceness), *command]
    with log.open("wb") as output:
        process = subprocess.Popen(
            launcher, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=cwd, env=env, start_new_session=True
        )
    path = data_dir / "run" / f"{name}.json"
    child = Child(name, process, port, log, path)
    try:
        _write_record(path, Record(name, process.pid, create_time_s(process.pid), port))
    except (OSError, psutil.Error):
        stop([child], grace_s=0)
        raise
    return child


def stop(children: Sequence[Child], *, grace_s: float) -> list[str]:
    """`stop_signal` to all, SIGKILL to those still there after `grace_s`, all waited for. Names of the killed ones."""
    running = [child for child in children if child.exit_code() is None]
    for child in running:
        child.signal(child.stop_signal)
    deadline_s = time.monotonic() + grace_s
    killed = []
    for child in running:
        try:
            child._process.wait(max(0.0, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            killed.append(child.name)
            child.signal(signal.SIGKILL)
    for child in children:
        child._process.wait()
        child.forget()
    return killed


def read_record(path: Path) -> Record | None:
    """The record in a file; None when it is cut or not one of ours (it is written in one move, so that is rare)."""
    try:
        found = json.loads(path.read_text())
        return Record(str(found["name"]), int(found["pid"]), float(found["create_time_s"]), int(found["port"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def create_time_s(pid: int) -> float:
    """When a running process started, in seconds since the epoch."""
    return float(psutil.Process(pid).create_time())


def find_process(record: Record) -> psutil.Process | None:
    """The process of a record if it is still that very process; None when it ended or its pid went to a stranger."""
    try:
        process = psutil.Process(record.pid)
        same = abs(process.create_time() - record.create_time_s) <= _START_TIME_TOLERANCE_S
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def stop_leftovers(data_dir: Path, *, grace_s: float = 10.0) -> list[str]:
    """Stop every recorded process of `data_dir` that still runs and remove the records. Names of those stopped.

    A stranger that was given the pid of one of ours is left alone.
    """
    found: dict[Path, psutil.Process | None] = {}
    for path in sorted((data_dir / "run").glob("*.json")):
        record = read_record(path)
        found[path] = find_process(record) if record else None
    processes = [process for process in found.values() if process is not None]
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, stubborn = psutil.wait_procs(processes, timeout=grace_s)
    for process in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=grace_s)
    for path in found:
        path.unlink(missing_ok=True)
    return [path.stem for path, process in found.items() if process is not None]


def _write_record(path: Path, record: Record) -> None:
    write_whole(path, json.dumps(record._asdict()).encode())
