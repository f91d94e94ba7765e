"""How fast one real worker gets through a topic that was filled before it started.

The clock starts when its first work is seen and ends when all its offsets are committed; what was done before the
first look is not counted, so that the start of the process is not measured and nothing is measured twice.
"""

from __future__ import annotations

import asyncio
import http.client
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from sofia_streams.embedded import process
from sofia_streams.embedded.ports import HOST, pick_ports
from sofia_streams.errors import DependencyDown
from sofia_streams.ops.workers import STOP_GRACE_S, Lag, check_alive, start_worker
from sofia_streams.settings import Settings

_LOOK_EVERY_S, _TIMEOUT_S = 0.05, 600.0


class Drained(NamedTuple):
    """What was seen: units (trades, rows, entries) and seconds between the first look and the last commit."""

    units: float
    seconds: float

    @property
    def per_s(self) -> float:
        """Units a second."""
        return self.units / self.seconds


class Running(NamedTuple):
    """A started worker and where its metrics are."""

    name: str
    settings: Settings
    child: process.Child

    def counter(self, metric: str) -> float:
        """A counter of its /metrics page; 0 before the page is there. `metric` is the whole name with its labels."""
        connection = http.client.HTTPConnection(HOST, self.settings.web_port, timeout=30)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return 0.0
        finally:
            connection.close()
        found = re.search(rf"^{re.escape(metric)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0


@asynccontextmanager
async def running(name: str, settings: Settings, data_dir: Path) -> AsyncIterator[Running]:
    """Inside, the worker runs; it is stopped afterwards."""
    settings = settings.model_copy(update={"web_port": pick_ports([0])[0]})
    child = start_worker(name, settings, data_dir)
    try:
        yield Running(name, settings, child)
    finally:
        process.stop([child], grace_s=STOP_GRACE_S)


async def drain(worker: Running, metric: str) -> Drained:
    """Until the worker has committed everything. Raises DependencyDown when it ends or takes too long."""
    deadline_s = time.monotonic() + _TIMEOUT_S
    while not (first := await asyncio.to_thread(worker.counter, metric)):
        _check(worker, deadline_s)
        await asyncio.sleep(_LOOK_EVERY_S)
    began_s = time.monotonic()
    async with Lag(worker.settings) as lag:
        while await lag.of(worker.name):
            _check(worker, deadline_s)
            await asyncio.sleep(_LOOK_EVERY_S)
    seconds = time.monotonic() - began_s
    return Drained(await asyncio.to_thread(worker.counter, metric) - first, seconds)


def _check(worker: Running, deadline_s: float) -> None:
    check_alive([worker.child])
    if time.monotonic() > deadline_s:
        raise DependencyDown(f"{worker.name}: expected it to be done within {_TIMEOUT_S:.0f} s; its log says why not")
