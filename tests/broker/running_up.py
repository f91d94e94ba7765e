"""Shared by the tests of `sofia up`: it runs as a user's, in a folder of its own, and says what it shows."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import psutil
from waiting import blocking_eventually as eventually

ROOT = Path(__file__).resolve().parents[2]
SOFIA = [sys.executable, "-m", "sofia_streams.cli"]


def environment(data_dir: Path, **settings: str) -> dict[str, str]:
    own = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(ROOT), "DATA_DIR": str(data_dir)}
    return own | settings


def sofia(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SOFIA, *arguments], cwd=data_dir.parent, env=environment(data_dir), capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip


class Up:
    """A running `sofia up --demo --json`, and the last thing it said. Entered with its first candle."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self.data_dir = data_dir
        self.out, self.err = data_dir.parent / "up.out", data_dir.parent / "up.err"
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                [*SOFIA, "up", "--demo", "--json"], cwd=data_dir.parent, env=environment(data_dir, **settings),
                stdout=out, stderr=err,
            )  # fmt: skip

    def __enter__(self) -> Self:
        try:
            eventually(lambda: self.newest() != "" or self.process.poll() is not None, 90)
            assert self.process.poll() is None, self.err.read_text()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

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
        ports = {port for child in children for port in ports_of(child)}
        assert len(children) >= 8
        assert len(ports) >= 8
        self.process.send_signal(number)
        code = self.process.wait(15)
        assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
        assert not [port for port in ports if listens(port)]
        return code


def ports_of(child: psutil.Process) -> list[int]:
    """Where it listens; none where it has just ended, as the one that asks what is listed does."""
    try:
        found = child.net_connections("inet")
    except psutil.NoSuchProcess:
        return []
    return [one.laddr.port for one in found if one.status == psutil.CONN_LISTEN]


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
