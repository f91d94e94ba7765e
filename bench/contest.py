"""Runs one contestant over the records in a namespace and times it, from its first trade to its last commit."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from bench.drain import Drained
from bench.environments import ROOT, python_of
from bench.peers.task import Task
from sofia_streams import topics
from sofia_streams.embedded import process
from sofia_streams.errors import DependencyDown
from sofia_streams.ops.workers import STOP_GRACE_S, check_alive
from sofia_streams.settings import Settings

PEERS = {"faust": "plain_faust", "quix": "quix", "bytewax": "bytewax"}
"""Contestant to module in bench/peers."""
_TIMEOUT_S, _LOOK_EVERY_S = 600.0, 0.05


def interpreter(name: str, say: Callable[[str], None]) -> str:
    """The Python a contestant runs in. Raises `environments.Unavailable`."""
    return sys.executable if name == "faust" else python_of(name, say)


async def run(name: str, python: str, settings: Settings, data_dir: Path, *, records: int, trades: int) -> Drained:
    """Raises DependencyDown when it ends early or takes too long."""
    group = topics.app_id(f"peer-{name}", settings.namespace)
    with tempfile.TemporaryDirectory(prefix=f"sofia-bench-{name}-") as folder:
        task = Task(
            settings.broker_address(),
            topics.wire_name(topics.TRADES, settings.namespace),
            topics.wire_name(topics.BARS, settings.namespace),
            group,
            settings.topic_partitions,
            folder,
        )
        command = [python, "-m", f"bench.peers.{PEERS[name]}", json.dumps(task._asdict())]
        kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG", "TZ", "TMPDIR")}
        child = process.start(name, command, port=0, data_dir=data_dir, cwd=ROOT, env=kept)
        try:
            done_s = await _wait(child, settings, task, records)
        finally:
            process.stop([child], grace_s=STOP_GRACE_S)
        return Drained(trades, done_s - _marks(folder)["first_s"])


async def _wait(child: process.Child, settings: Settings, task: Task, records: int) -> float:
    """The moment everything is committed (Faust, Quix: in the log; Bytewax: the flow is over)."""
    deadline_s = time.monotonic() + _TIMEOUT_S
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.broker_address())
    await admin.start()
    try:
        while time.monotonic() < deadline_s:
            has_ended = child.exit_code() is not None
            if "done_s" in (marks := _marks(task.folder)):
                return marks["done_s"]
            if child.name != "bytewax":
                found = await admin.list_consumer_group_offsets(task.group)
                if sum(entry.offset for place, entry in found.items() if place.topic == task.trades) >= records:
                    return time.monotonic()
            if has_ended:
                check_alive([child])
            await asyncio.sleep(_LOOK_EVERY_S)
    finally:
        await admin.close()
    raise DependencyDown(f"{child.name}: expected it to be done within {_TIMEOUT_S:.0f} s")


def _marks(folder: str) -> dict[str, float]:
    path = Path(folder) / "marks"
    lines = path.read_text().splitlines() if path.exists() else []
    return {name: at_s for line in lines for name, at_s in json.loads(line).items()}
