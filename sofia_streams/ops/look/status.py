"""What runs on a data directory: processes, how far they are, how fast the venues come in. Only looks."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiokafka.errors import KafkaError

from sofia_streams.embedded.process import find_process, read_record
from sofia_streams.model import NS_PER_SECOND
from sofia_streams.ops.gaps import open_gaps
from sofia_streams.ops.look.watch import ConnectionState, Watcher
from sofia_streams.ops.supervision.alerts import open_alerts
from sofia_streams.ops.supervision.running import blind, given_up
from sofia_streams.ops.workers import READERS, Lag
from sofia_streams.settings import Settings


def processes(data_dir: Path) -> list[dict[str, Any]]:
    """Every process that was started here: name, pid, port, whether it runs."""
    found: list[dict[str, Any]] = []
    why = given_up(data_dir)
    for path in sorted((data_dir / "run").glob("*.json")):
        record = read_record(path)
        if record is not None:
            runs = find_process(record) is not None
            found.append({"name": record.name, "pid": record.pid, "port": record.port or None, "runs": runs})
            if record.name in why:
                found[-1]["why"] = why[record.name]
    return found


async def status(settings: Settings, *, listen_s: float = 2.5) -> dict[str, Any]:
    """Processes, lag, connections and instruments; `settings` are those of the running stack.

    Listens for `listen_s` to know the rates. `broker` says why the rest is missing where it does not answer.
    """
    found: dict[str, Any] = {
        "namespace": settings.namespace, "processes": processes(settings.data_dir), "broker": "ok",
        "blind": blind(settings.data_dir) or None,
    }  # fmt: skip
    try:
        async with Watcher(settings) as watcher:
            await watcher.listen(listen_s)
            found["connections"] = [_rounded(line) for line in watcher.connections()]
            found["silent"] = [{"instrument": name, "why": why} for name, why in watcher.silent()]
            found["instruments"] = [
                {"instrument": one.name, "trades": one.trades, "trades_per_s": round(one.trades_per_s, 1)}
                for one in watcher.instruments()
                if one.trades
            ]
        found["gaps_open"] = dict(Counter(gap.venue for gap in await open_gaps(settings)))
        async with Lag(settings) as lag:
            found["lag"] = {name: await lag.of(name) for name in READERS}
        found["alerts"] = [
            {"at": _time(one.at_ns), "source": one.source, "text": one.text}
            for one in await open_alerts(settings, time.time_ns())
        ]
    except KafkaError as error:
        found["broker"] = f"no answer: {error}"
    return found


def _time(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC).isoformat()


def _rounded(line: ConnectionState) -> dict[str, Any]:
    return {**line._asdict(), "frames_per_s": round(line.frames_per_s, 1), "age_s": round(line.age_s, 2)}


def is_well(found: dict[str, Any]) -> bool:
    """Whether every process runs and is seen by the watch, the broker answers, every connection and instrument is live.

    And nothing critical was said in the last 24 hours.
    """
    return (
        found["broker"] == "ok"
        and not found.get("blind")
        and bool(found["processes"])
        and all(one["runs"] for one in found["processes"])
        and all(line["connected"] for line in found.get("connections", []))
        and not found.get("silent")
        and not found.get("alerts")
    )
