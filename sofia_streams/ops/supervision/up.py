"""`sofia up`: servers, topics, workers, and (in the demo) the simulator, until it is told to stop.

What runs is noted on the data directory (`running`), so that `status`, `logs` and `down` find it from another terminal.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import psutil  # type: ignore[import-untyped]  # it ships no types

from sofia_streams.embedded import process
from sofia_streams.embedded.jars import Progress
from sofia_streams.embedded.lock import DataDirLock, holder
from sofia_streams.embedded.ports import HOST, pick_ports
from sofia_streams.embedded.stack import Stack
from sofia_streams.limits import check_open_files
from sofia_streams.obs import metrics
from sofia_streams.ops.stack import addressed, make_stack
from sofia_streams.ops.supervision.alerts import Alerts, BlindnessTold
from sofia_streams.ops.supervision.running import forget, noted
from sofia_streams.ops.supervision.supervise import Supervisor
from sofia_streams.ops.supervision.watchdog import Watchdog
from sofia_streams.ops.topics import apply_topics
from sofia_streams.ops.workers import INPUTS
from sofia_streams.settings import Settings

DEMO = "demo"
"""The namespace that labels everything the demo stores."""
_DEMO_SETTINGS = {
    "namespace": DEMO, "crypto_market": "spot", "symbol_overrides": (), "replay_url": None, "signals_bar_size": "1s",
}  # fmt: skip
"""The simulator has every pair on every venue, on spot, by the venue's own rule. Seconds are scored: there is something
to see at once.
"""
_CHECK_S = 0.25
_DEMO_PORT, _DEMO_RATE = 8765, 40.0
PAGE_PORT = 6065
"""Of `sofia up` itself; those of the workers follow."""
Show = Callable[[Settings, Supervisor], Awaitable[None]]


def run_up(
    settings: Settings, *, demo: bool, show: Show, say: Callable[[str], None], progress: Progress | None = None
) -> None:
    """Start everything, `show` it, until SIGINT, SIGTERM or SIGHUP; then stop everything and raise KeyboardInterrupt.

    Or raise GaveUp, where something had been left down.

    Raises AlreadyRunning, BadJar, ConfigError, DependencyDown.
    """
    check_open_files()
    data_dir = settings.data_dir.resolve()
    with _stoppable(), make_stack(settings, data_dir, say=say, progress=progress) as stack:
        chosen = addressed(settings, stack.addresses, data_dir)
        simulator = None
        try:
            if demo:
                port = pick_ports([_DEMO_PORT])[0]
                own = {"simulator_url": f"ws://{HOST}:{port}", "models_dir": data_dir / "models-demo"}
                chosen = chosen.model_copy(update={**_DEMO_SETTINGS, **own})
                simulator = start_simulator(chosen, data_dir, port, market="tape")
            asyncio.run(_run(chosen, stack, show, say))
        finally:
            _ignore_signals()
            if simulator:
                process.stop([simulator], grace_s=2.0)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Inside, SIGTERM and a closed terminal are taken as Ctrl-C."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in (*numbers, signal.SIGINT)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is started with it ignored
    for number in numbers:
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore_signals() -> None:
    """Stopping is bounded; a second Ctrl-C must not leave half of it behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def start_simulator(
    settings: Settings,
    data_dir: Path,
    port: int,
    *,
    rate: float = _DEMO_RATE,
    even: bool = False,
    market: Literal["generated", "tape"] = "generated",
    seed: int = 1,
    faults: Sequence[str] = (),
    control: bool = False,
    ledger: Path | None = None,
) -> process.Child:
    """The simulator as a process, serving what the settings ask for at `rate` trades a second and venue.

    `faults` as on the command line; for `control` and `ledger` see docs/simulator.md.
    """
    command = [
        *(sys.executable, "-m", "sofia_streams.cli", "simulate", "--market", market),
        *("--port", str(port), "--rate", str(rate)),
        *("--venues", ",".join(settings.crypto_exchanges), "--symbols", ",".join(settings.crypto_symbols)),
        *("--seed", str(seed)),
        *(["--even"] if even else []),
        *(part for fault in faults for part in ("--fault", fault)),
        *(["--control"] if control else []),
        *(["--ledger", str(ledger.resolve())] if ledger else []),
    ]
    root = Path(__file__).resolve().parents[3]
    env = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"}
    return process.start("simulator", command, port=port, data_dir=data_dir, cwd=root, env=env)


async def _run(settings: Settings, stack: Stack, show: Show, say: Callable[[str], None]) -> None:
    await apply_topics(settings)
    alerts = Alerts(settings, say)
    supervisor = Supervisor(list(INPUTS), settings, settings.data_dir, alerts, stack)
    watchdog = Watchdog(settings, supervisor.kept, supervisor.kill, BlindnessTold(alerts, settings.data_dir))
    supervisor.log_answers = lambda: watchdog.sees
    supervisor.page_port = pick_ports([PAGE_PORT])[0]
    try:
        with noted(settings.data_dir, settings), metrics.up_page(HOST, supervisor.page_port):
            running = (_show(show, settings, supervisor), watchdog.run(), alerts.run())
            beside = [asyncio.create_task(one) for one in running]
            while not any(task.done() for task in beside):
                supervisor.check()
                await asyncio.sleep(_CHECK_S)
            for task in beside:
                if task.done():
                    task.result()
    finally:
        _ignore_signals()
        supervisor.stop()
        supervisor.check_given_up()


async def _show(show: Show, settings: Settings, supervisor: Supervisor) -> None:
    await show(settings, supervisor)


def stop_running(settings: Settings, *, within_s: float = 15.0) -> list[str]:
    """Stop what runs on this data directory, whoever started it, and clean up after a crash. What was done, in words.

    Raises AlreadyRunning where it has not ended after `within_s`.
    """
    data_dir = settings.data_dir.resolve()
    if not (data_dir / "run").exists():
        return []
    done = []
    if found := holder(data_dir):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            runner = psutil.Process(found.pid)
            runner.terminate()
            runner.wait(within_s)
        done.append(f"stopped sofia up (process {found.pid})")
    lock = DataDirLock(data_dir)
    lock.acquire()
    try:
        forget(data_dir)
        done += [f"stopped a {name} left over from a crash" for name in process.stop_leftovers(data_dir)]
    finally:
        lock.release()
    return done
