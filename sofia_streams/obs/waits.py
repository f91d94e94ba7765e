"""What every task of a process waits for, written to its log when it is sent SIGUSR1. No values: they may be secrets.

A worker that stands still with a loop that turns has a task that waits for what never comes; the watch asks for this
before it ends one.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from pathlib import Path
from typing import Any

ASK = signal.SIGUSR1
_PARENTS_SHOWN = 2


def say_when_asked(loop: asyncio.AbstractEventLoop) -> None:
    """Call it from the main thread; replaces what else is done on the signal."""
    loop.add_signal_handler(ASK, lambda: os.write(2, report().encode()))


def report() -> str:
    """Each unfinished task of every loop, with the places in the code that wait for one another, outermost first."""
    known = (found for found in gc.get_objects() if issubclass(type(found), asyncio.Task))  # no proxy is asked
    tasks = [found for found in known if not found.done()]
    lines = [f"{len(tasks)} tasks of process {os.getpid()} wait:"]
    for task in sorted(tasks, key=lambda one: one.get_name()):
        lines.append(f"  {task.get_name()[:100]}")
        lines += [f"    {place}" for place in _places(task.get_coro())]
    return "\n".join(lines) + "\n"


def _places(waiting: Any) -> list[str]:
    found = []
    while waiting is not None:
        prefix = next((one for one in ("cr", "gi", "ag") if hasattr(waiting, f"{one}_frame")), None)
        if prefix is None:
            break
        frame = getattr(waiting, f"{prefix}_frame")
        if frame is not None:
            path = "/".join(Path(frame.f_code.co_filename).parts[-_PARENTS_SHOWN - 1 :])
            found.append(f"{path}:{frame.f_lineno} {frame.f_code.co_name}")
        waiting = getattr(waiting, "gi_yieldfrom" if prefix == "gi" else f"{prefix}_await")
    return found
