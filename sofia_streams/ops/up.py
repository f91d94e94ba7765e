"""`sofia up`: servers, topics, workers, and (in the demo) the simulator, until it is told to stop.

What runs is noted in `<data_dir>/up.json`, so that `status`, `logs` and `down` find it from another terminal.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types

from sofia_streams.embedded import process
from sofia_streams.embedded.lock import holder
from sofia_streams.embedded.ports import HOST, pick_ports
from sofia_streams.errors import SofiaError
from sofia_streams.ops.stack import running_stack
from sofia_streams.ops.supervise import Supervisor
from sofia_streams.ops.topics import apply_topics
from sofia_streams.ops.workers import INPUTS
from sofia_streams.settings import Settings, load_settings, worker_environment

DEMO = "demo"
"""The namespace that labels everything the demo stores."""
_NOTE = "up.json"
_CHECK_S = 0.25
_DEMO_PORT, _DEMO_RATE = 8765, 40.0
Show = Callable[[Settings, Supervisor], Awaitable[None]]


def run_up(settings: Settings, *, demo: bool, show: Show, say: Callable[[str], None]) -> None:
    """Start everything, `show` it, until SIGINT or SIGTERM; then stop everything.

    Raises AlreadyRunning, BadJar, ConfigError, DependencyDown.
    """
    data_dir = settings.data_dir.resolve()
    with running_stack(settings, data_dir, say=say) as addressed:
        simulator = None
        if demo:
            port = pick_ports([_DEMO_PORT])[0]
            addressed = addressed.model_copy(update={"namespace": DEMO, "simulator_url": f"ws://{HOST}:{port}"})
            simulator = start_simulator(addressed, data_dir, port)
        try:
            asyncio.run(_run(addressed, data_dir, show, say))
        finally:
            _note(data_dir).unlink(missing_ok=True)
            if simulator:
                process.stop([simulator], grace_s=2.0)


def start_simulator(
    settings: Settings, data_dir: Path, port: int, *, rate: float = _DEMO_RATE, even: bool = False
) -> process.Child:
    """The simulator as a process, serving what the settings ask for at `rate` trades a second and venue."""
    command = [
        *(sys.executable, "-m", "sofia_streams.cli", "simulate", "--port", str(port), "--rate", str(rate)),
        *("--venues", ",".join(settings.crypto_exchanges), "--symbols", ",".join(settings.crypto_symbols)),
        *(["--even"] if even else []),
    ]
    root = Path(__file__).resolve().parents[2]
    env = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"}
    return process.start("simulator", command, port=port, data_dir=data_dir, cwd=root, env=env)


async def _run(settings: Settings, data_dir: Path, show: Show, say: Callable[[str], None]) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await apply_topics(settings)
    supervisor = Supervisor(list(INPUTS), settings, data_dir, say)
    try:
        _write_note(data_dir, settings)
        shown = asyncio.create_task(_show(show, settings, supervisor))
        while not shown.done():
            supervisor.check()
            await asyncio.sleep(_CHECK_S)
        shown.result()
    finally:
        supervisor.stop()


async def _show(show: Show, settings: Settings, supervisor: Supervisor) -> None:
    await show(settings, supervisor)


def _note(data_dir: Path) -> Path:
    return data_dir / _NOTE


def _write_note(data_dir: Path, settings: Settings) -> None:
    path = _note(data_dir)
    path.touch(mode=0o600)  # it may hold passwords of servers the user configured
    path.write_text(json.dumps({"environment": worker_environment(settings)}))


def running_settings(settings: Settings) -> Settings:
    """The settings of what `sofia up` runs on this data directory. Raises SofiaError where nothing runs."""
    path = _note(settings.data_dir.resolve())
    try:
        return load_settings(None, json.loads(path.read_text())["environment"])
    except FileNotFoundError:
        raise SofiaError(
            f"Expected something to run on {settings.data_dir}, found nothing. Start it: sofia up"
        ) from None


def stop_running(settings: Settings, *, within_s: float = 15.0) -> list[str]:
    """Stop what runs on this data directory, whoever started it. What was done, in words."""
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
    done += [f"stopped a {name} left over from a crash" for name in process.stop_leftovers(data_dir)]
    return done
