"""One training in a process of its own: low priority, bounded time and memory. The caller's loop goes on meanwhile.

What it does not do: decide when, or what becomes of the model (`trainer`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from sofia_streams.core.scoring.document import Document
from sofia_streams.core.scoring.labels import bps_of
from sofia_streams.embedded import launch
from sofia_streams.settings import Settings, worker_environment
from sofia_streams.training.retraining import bounded

_ROOT = Path(__file__).resolve().parents[3]
WITHIN_S, BYTES_MAX = 3_600.0, 4 * 1024**3
"""At most so long, and so much address space (a library reserves far more than it uses)."""
_NICENESS = 10
"""A tenth of what scoring gets where both want the processor. With less it might never end."""
_INHERITED = ("PATH", "HOME", "LANG", "TZ", "TMPDIR")
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_TAIL = 1_000


class Ended(NamedTuple):
    """How a training ended: the model, or why there is none."""

    model_id: str | None
    text: str


Source = Literal["questdb", "venues", "generated"]


def source_of(settings: Settings, *, has_bars: bool) -> Source:
    """Where the bars to train on are from: made up in the demo, else QuestDB, or the venues where it has too few."""
    if settings.simulator_url is not None:
        return "generated"
    return "questdb" if has_bars else "venues"


def options_of(settings: Settings, document: Document | None, source: Source) -> list[str]:
    """Of `sofia train`: bars from this source, the rest as in the model before."""
    options = ["--data", source, "--size", settings.signals_bar_size]
    if document is not None:
        sets = "base,flow" if "flow" in document.schemas else "base"
        options += ["--horizon", str(document.horizon_bars), "--label", document.label]
        options += ["--cost-bps", repr(bps_of(document.cost)), "--sets", sets]
    return options


async def train(settings: Settings, options: Sequence[str], *, within_s: float = WITHIN_S) -> Ended:
    """`sofia train` with these options. Raises nothing; cancelling it ends the process."""
    command = [sys.executable, "-m", "sofia_streams.cli", "train", *options, "--json"]
    script = [sys.executable, "-I", "-S"]
    bound = [*script, bounded.__file__, str(BYTES_MAX), *command]
    launcher = [*script, launch.__file__, str(os.getpid()), str(_NICENESS), *bound]
    try:
        process = await asyncio.create_subprocess_exec(
            *launcher, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, cwd=_ROOT, env=_environment(settings, os.environ), start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return Ended(None, f"expected a training to start, found {error.strerror}")
    try:
        async with asyncio.timeout(within_s):
            out, err = await process.communicate()
    except TimeoutError:
        return Ended(None, f"expected a training to end within {within_s:.0f} s, found that it still ran")
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return _ended(process.returncode, out, err.decode(errors="replace").strip())


def _environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    kept = {key: value for key, value in inherited.items() if key in _INHERITED}
    return {**kept, **_ONE_THREAD, **worker_environment(settings), "PYTHONPATH": str(_ROOT)}


def _ended(code: int | None, out: bytes, err: str) -> Ended:
    lines = out.decode(errors="replace").strip().splitlines()
    try:
        found = json.loads(lines[-1]) if code == 0 and lines else {}
    except ValueError:
        found = {}
    if isinstance(found, dict) and isinstance(model_id := found.get("model_id"), str):
        return Ended(model_id, str(found.get("verdict", "")))
    return Ended(
        None, f"expected `sofia train` to give a model, found exit code {code}: {err[-_TAIL:] or 'nothing said'}"
    )
