"""The whole pipeline under a steady load: simulated exchanges at a given rate, every worker, both stores.

What it gives: lag of every worker over time, latency from receipt to each stage, bars scored, CPU, memory and open
files of each process. Half an hour of it is a soak: memory's slope says whether a process grows.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # it ships no types

from bench.figures import Held, by_minute, growth
from sofia_streams.embedded import process
from sofia_streams.embedded.ports import HOST, pick_ports
from sofia_streams.ops.latency import Buckets, quantiles, read_page, read_stages
from sofia_streams.ops.look.status import processes
from sofia_streams.ops.namespaces import remove_namespace
from sofia_streams.ops.supervision.alerts import Alerts
from sofia_streams.ops.supervision.supervise import Supervisor
from sofia_streams.ops.supervision.up import start_simulator
from sofia_streams.ops.topics import apply_topics
from sofia_streams.ops.workers import INPUTS, READERS, Lag
from sofia_streams.settings import Settings

_WARM_UP_S, _SAMPLE_S = 15.0, 5.0
Prepare = Callable[[Settings], Awaitable[None]]
"""What is put into the log before the workers start."""
Warm = Callable[[Mapping[str, int]], Awaitable[None]]
"""Waits, given the ports of the workers' pages by name, until what is to be measured goes on."""
After = Callable[[Settings], Awaitable[dict[str, Any]]]
"""Looks at what the run left in the log, while it is there."""
_PYTHON = {"simulator", *INPUTS}


async def _nothing(_: object) -> None:
    """Nothing to prepare, to wait for, or to do meanwhile."""


async def _no_more(_: Settings) -> dict[str, Any]:
    """Nothing to look at."""
    return {}


async def run(
    settings: Settings,
    data_dir: Path,
    say: Callable[[str], None],
    *,
    rate: float,
    seconds: float,
    prepare: Prepare = _nothing,
    warm: Warm = _nothing,
    beside: Prepare = _nothing,
    after: After = _no_more,
) -> dict[str, Any]:
    """`settings` has the addresses of running servers; `rate` is trades a second and venue. Leaves nothing behind.

    `beside` goes on while it is measured, and is then given up.
    """
    port = pick_ports([0])[0]
    chosen = {"namespace": f"bench-{uuid.uuid4().hex[:8]}", "simulator_url": f"ws://{HOST}:{port}"}
    settings = settings.model_copy(update=chosen)
    await apply_topics(settings)
    await prepare(settings)
    simulator = start_simulator(settings, data_dir, port, rate=rate, even=True)
    supervisor = Supervisor(list(INPUTS), settings, data_dir, Alerts(settings, say))
    try:
        say(f"warming up for {_WARM_UP_S:.0f} s")
        await asyncio.sleep(_WARM_UP_S)
        await warm({kept.name: kept.settings.web_port for kept in supervisor.kept})
        meanwhile = asyncio.ensure_future(beside(settings))
        try:
            found = await _measure(settings, supervisor, data_dir, say, rate=rate, seconds=seconds)
        finally:
            meanwhile.cancel()
            await asyncio.gather(meanwhile, return_exceptions=True)
        return found | await after(settings)
    finally:
        supervisor.stop()
        process.stop([simulator], grace_s=2.0)
        await remove_namespace(settings)


async def _measure(
    settings: Settings,
    supervisor: Supervisor,
    data_dir: Path,
    say: Callable[[str], None],
    *,
    rate: float,
    seconds: float,
) -> dict[str, Any]:
    ports = {kept.name: kept.settings.web_port for kept in supervisor.kept}
    running = {found["name"]: psutil.Process(found["pid"]) for found in processes(data_dir)}
    before, scored = await asyncio.to_thread(_stages, ports), await asyncio.to_thread(outcomes, ports["signals"])
    cpu_s = {name: sum(one.cpu_times()[:2]) for name, one in running.items()}
    began_s = time.monotonic()
    lags, held = await _watch(settings, running, say, seconds)
    elapsed_s = time.monotonic() - began_s
    after, later = await asyncio.to_thread(_stages, ports), await asyncio.to_thread(outcomes, ports["signals"])
    memory_mb = {name: round(found[-1].memory_mb) for name, found in held.items()}
    return {
        "rate_asked": rate * len(settings.crypto_exchanges),
        "seconds": round(elapsed_s, 1),
        "latency_ms": {
            stage: quantiles(_since(before.get(stage, {}), found)) for stage, found in sorted(after.items())
        },
        "predictions": {name: found - scored.get(name, 0) for name, found in later.items()},
        "lag_records": lags,
        "lag_records_max": {name: max(one[name] for one in lags) for name in READERS},
        "cpu_percent": {
            name: round(100 * (sum(one.cpu_times()[:2]) - cpu_s[name]) / elapsed_s) for name, one in running.items()
        },
        "memory_mb": memory_mb,
        "growth": {name: growth(found) for name, found in held.items()},
        "memory_mb_by_minute": {name: by_minute(found) for name, found in held.items()},
        "python_memory_mb": sum(found for name, found in memory_mb.items() if name in _PYTHON),
        "restarts": sum(kept.restarts for kept in supervisor.kept),
    }


async def _watch(
    settings: Settings, running: Mapping[str, psutil.Process], say: Callable[[str], None], seconds: float
) -> tuple[list[dict[str, int]], dict[str, list[Held]]]:
    """Every few seconds: records that each worker has left, and what each process holds."""
    began_s, lags = time.monotonic(), []
    held: dict[str, list[Held]] = {name: [] for name in running}
    async with Lag(settings) as lag:
        while (elapsed_s := time.monotonic() - began_s) < seconds:
            lags.append({name: await lag.of(name) for name in READERS})
            for name, one in running.items():
                held[name].append(Held(elapsed_s, one.memory_info().rss / 2**20, one.num_fds()))
            say(f"{elapsed_s:4.0f} s, lag in records {lags[-1]}")
            await asyncio.sleep(_SAMPLE_S)
    return lags, held


def _stages(ports: dict[str, int]) -> dict[str, Buckets]:
    """The buckets of every stage of every worker."""
    return {stage: found for port in ports.values() for stage, found in read_stages(port).items()}


def outcomes(port: int) -> dict[str, int]:
    """Bars that the signals worker scored, by class, and did not, by reason, since it started."""
    found: dict[str, int] = {}
    for family in read_page(port):
        for sample in family.samples if family.name == "sofia_predictions" else ():
            if sample.name.endswith("_total"):
                outcome = sample.labels["outcome"]
                found[outcome] = found.get(outcome, 0) + round(sample.value)
    return found


def _since(before: Buckets, after: Buckets) -> Buckets:
    """What came between."""
    return {bound: count - before.get(bound, 0.0) for bound, count in after.items()}
