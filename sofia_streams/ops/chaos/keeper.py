"""Keeps the supervisor at work during a run, measures its processes, and knows afterwards what was left behind."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import psutil  # type: ignore[import-untyped]  # it ships no types

from sofia_streams.embedded.process import Child, Record, create_time_s, find_process
from sofia_streams.embedded.stack import Stack
from sofia_streams.ops.supervision.supervise import Supervisor

_CHECK_S, _MEASURE_S = 0.25, 5.0


class Figure(NamedTuple):
    """Memory in MiB and open files of one process, from its first and its last measurement, and the most."""

    memory_first: int
    memory_last: int
    memory_max: int
    files_first: int
    files_last: int
    files_max: int


class Keeper:
    """`run` must be running while the workers are."""

    def __init__(self) -> None:
        self._seen: dict[int, Record] = {}
        self._measured: dict[str, dict[int, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
        self._measured_s = 0.0
        self._children: list[Child] = []

    async def run(self, supervisor: Supervisor, stack: Stack) -> None:
        """Call `supervisor.check` for ever."""
        while True:
            supervisor.check()
            self._children = [*(kept.child for kept in supervisor.kept), *stack.children().values()]
            self._remember()
            if time.monotonic() - self._measured_s >= _MEASURE_S:
                self._measured_s = time.monotonic()
                self._measure()
            await asyncio.sleep(_CHECK_S)

    def down(self) -> list[str]:
        """Processes that do not run now."""
        return [child.name for child in self._children if child.exit_code() is not None]

    def _remember(self) -> None:
        for child in self._children:
            if child.pid not in self._seen:
                with contextlib.suppress(psutil.NoSuchProcess):
                    self._seen[child.pid] = Record(child.name, child.pid, create_time_s(child.pid), child.port)

    def _measure(self) -> None:
        for child in self._children:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                one = psutil.Process(child.pid)
                self._measured[child.name][child.pid].append((one.memory_info().rss >> 20, one.num_fds()))

    def figures(self) -> dict[str, Figure]:
        """By process: the longest life of each name, without its first measurement while it started."""
        found = {}
        for name, lives in sorted(self._measured.items()):
            memory, files = zip(*max(lives.values(), key=len)[1:] or [(0, 0)], strict=True)
            found[name] = Figure(memory[0], memory[-1], max(memory), files[0], files[-1], max(files))
        return found

    def orphans(self, data_dir: Path) -> list[str]:
        """What should be gone: processes that still run, notes of processes, the lock."""
        running = [f"{one.name} (process {one.pid})" for one in self._seen.values() if find_process(one) is not None]
        return [*running, *sorted(path.name for path in (data_dir / "run").iterdir())]
