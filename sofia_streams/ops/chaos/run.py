"""One run: servers, exchanges and workers of its own; warmed up, hurt, healed, brought to rest, compared.

Never touches what is configured or running elsewhere. What the comparison finds is a result, not an error; only what
keeps the run from taking place is raised.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

from aiokafka.errors import KafkaError

from sofia_streams.embedded.ports import HOST, pick_ports
from sofia_streams.embedded.stack import Ports, Stack
from sofia_streams.ops.chaos.checks import compare
from sofia_streams.ops.chaos.converging import Healing, come_to_rest, wait_warm
from sofia_streams.ops.chaos.disk import small_disk
from sofia_streams.ops.chaos.evidence import keep_log
from sofia_streams.ops.chaos.exchange import Exchange
from sofia_streams.ops.chaos.hurting import Hurting, Outcome
from sofia_streams.ops.chaos.keeper import Keeper
from sofia_streams.ops.chaos.plan import Plan
from sofia_streams.ops.chaos.probe import Probe
from sofia_streams.ops.chaos.report import Report
from sofia_streams.ops.chaos.verdict import Watched
from sofia_streams.ops.stack import addressed
from sofia_streams.ops.supervision.alerts import Alerts
from sofia_streams.ops.supervision.supervise import Supervisor
from sofia_streams.ops.supervision.watchdog import Watchdog
from sofia_streams.ops.topics import apply_topics
from sofia_streams.ops.workers import INPUTS
from sofia_streams.settings import Settings

Say = Callable[[str], None]
T = TypeVar("T")
SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
_OWN: dict[str, object] = {
    "crypto_symbols": SYMBOLS, "topic_retention_hours": 0, "redis_maxlen": 2**40, "retention_trades_days": 0,
    "retention_bars_1s_days": 0, "retention_tickers_days": 0, "signals_bar_size": "1s",
}  # fmt: skip
"""On top of the defaults: nothing that was written may go by itself. Nothing of what the user configured is used."""
_DEVELOPMENT = "QDB_DEV_MODE_ENABLED"
_LATE_S, _SETTLE_S = 9.0, 4.0
"""How long the exchanges go on after the last trade that is compared: what is under way arrives."""


class _Phases(NamedTuple):
    """What was measured while it ran."""

    watched: Watched
    outcomes: list[Outcome]
    healing: Healing
    unfinished: str
    fired: dict[str, int]


def run_chaos(plan: Plan, data_dir: Path, say: Say) -> Report:
    """Carry one plan out. Call it from the main thread.

    After a run that did not hold, its logs stay in `data_dir`/chaos. Raises DependencyDown, BadJar.
    """
    for line in plan.lines():
        say(line)
    keeper = Keeper()
    began_s = time.monotonic()
    with _folder() as folder:
        stack = Stack(folder, postgres=plan.fallback, preferred_ports=Ports(0, 0, 0, 0, 0), say=say)
        with small_disk(folder / "kafka", plan.disk_mib), _suspendable(), stack:
            own = Settings().model_copy(update={**_OWN, "namespace": f"chaos-{uuid4().hex[:8]}"})
            own = own.model_copy(update={"fallback_enabled": plan.fallback})
            found = addressed(own, stack.addresses, folder)
            report = asyncio.run(_run(plan, found, stack, keeper, say))
        report.orphans = keeper.orphans(folder)
        report.elapsed_s = round(time.monotonic() - began_s, 1)
        if report.failures():
            report.logs = _kept_logs(folder, data_dir, plan)
    return report


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sofia-chaos-") as folder:
        yield Path(folder) / "data"


@contextmanager
def _suspendable() -> Iterator[None]:
    """Inside, a QuestDB that is started knows SUSPEND WAL: it does in development mode only."""
    before = os.environ.get(_DEVELOPMENT)
    os.environ[_DEVELOPMENT] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_DEVELOPMENT]
        else:
            os.environ[_DEVELOPMENT] = before


def _kept_logs(folder: Path, data_dir: Path, plan: Plan) -> str:
    place = data_dir / "chaos" / f"{plan.name}-{plan.seed}"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(folder / "log", place)
    return str(place)


async def _run(plan: Plan, settings: Settings, stack: Stack, keeper: Keeper, say: Say) -> Report:
    await apply_topics(settings)
    port = pick_ports([0])[0]
    settings = settings.model_copy(update={"simulator_url": f"ws://{HOST}:{port}"})
    exchange = Exchange(settings, settings.data_dir, port, plan)
    alerts, probe = Alerts(settings, say), Probe(settings)
    supervisor = Supervisor(list(INPUTS), settings, settings.data_dir, alerts, stack)
    watchdog, kept = Watchdog(settings, supervisor.kept, supervisor.kill), list(supervisor.kept)
    supervisor.log_answers = lambda: watchdog.sees
    hurting = Hurting(settings, supervisor, stack, exchange, probe, say)
    running = (keeper.run(supervisor, stack), probe.run(), alerts.run(), watchdog.run())
    beside = [asyncio.create_task(one) for one in running]
    try:
        phases = await _first(_phases(plan, settings, hurting, keeper, say), beside)
        say("comparing the exchanges' ledger with the log, QuestDB, Redis and the bars")
        spans: dict[str, list[tuple[int, int]]] = {}
        for one in phases.outcomes:
            spans.setdefault(one.fault.target, []).append(one.span_ns)
        comparing = compare(settings, exchange.ledger, exchange.symbols(), phases.watched, spans, say)
        compared = await _first(comparing, beside)
        if compared.tally.failures():
            await _keep_log(settings, say)
        restarts = {one.name: one.restarts for one in kept}
        return Report(
            plan, compared, *phases[1:], figures=keeper.figures(), restarts=restarts, given_up=supervisor.given_up,
            standstill_s=probe.standstill_s,
        )  # fmt: skip
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        hurting.heal()
        supervisor.stop()
        exchange.stop()


async def _keep_log(settings: Settings, say: Say) -> None:
    try:
        await keep_log(settings, settings.data_dir / "log" / "records.jsonl.gz")
    except (KafkaError, OSError) as error:
        say(f"not all records of the log could be kept: {error!r}")


async def _first(work: Coroutine[Any, Any, T], beside: Sequence[asyncio.Task[None]]) -> T:
    """The work's result; an error of what runs beside it ends it."""
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait([task, *beside], return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()
        return await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _phases(plan: Plan, settings: Settings, hurting: Hurting, keeper: Keeper, say: Say) -> _Phases:
    exchange, probe = hurting.exchange, hurting.probe
    warm_s = await wait_warm(probe, len(settings.crypto_exchanges) * len(settings.crypto_symbols), exchange)
    say(f"trades flow after {warm_s:.1f} s; hurting")
    first = exchange.written()
    outcomes = await hurting.carry_out(plan)
    await asyncio.to_thread(exchange.heal)
    say("the faults are over; healing")
    healing = await Healing.of(settings, probe, keeper, outcomes, plan)
    say(f"converged after {healing.seconds:.1f} s" if healing.is_done else f"not converged: {healing.waits_for}")
    last = exchange.written()
    await asyncio.sleep(_LATE_S if "late" in plan.frames else _SETTLE_S)
    fired = await asyncio.to_thread(exchange.fired)
    stopped_ns = time.time_ns()
    exchange.stop()
    say("the exchanges have stopped; waiting until everything rests")
    rested = await come_to_rest(probe, hurting.supervisor)
    return _Phases(Watched(first, last, stopped_ns), outcomes, healing, rested, fired)
