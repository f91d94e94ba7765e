"""Keeps the workers of one stack running: started together, started again with growing pauses, stopped together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sofia_streams.embedded import process
from sofia_streams.embedded.ports import pick_ports
from sofia_streams.ops.workers import start_worker
from sofia_streams.settings import Settings

WEB_PORT_FIRST = 6066
_PAUSE_S_FIRST, _PAUSE_S_MAX, _STEADY_S = 0.5, 30.0, 60.0
_STOP_GRACE_S = 4.0
"""A worker that is killed loses nothing; it only takes longer to come back."""
Say = Callable[[str], None]


class Kept:
    """One worker: its process, how often it was started again, when it may be."""

    def __init__(self, name: str, settings: Settings, child: process.Child) -> None:
        self.name, self.settings, self.child = name, settings, child
        self.restarts = 0
        self.started_s = time.monotonic()
        self.again_s: float | None = None
        self.pause_s = _PAUSE_S_FIRST


class Supervisor:
    """Starts `names`; call `check` a few times a second, from the main thread."""

    def __init__(self, names: Sequence[str], settings: Settings, data_dir: Path, say: Say) -> None:
        self._data_dir, self._say = data_dir, say
        ports = pick_ports([WEB_PORT_FIRST + number for number in range(len(names))])
        self.kept: list[Kept] = []
        try:
            for name, port in zip(names, ports, strict=True):
                own = settings.model_copy(update={"web_port": port})
                self.kept.append(Kept(name, own, start_worker(name, own, data_dir)))
        except BaseException:
            self.stop()
            raise

    def check(self) -> None:
        """Start again what ended, after a pause that doubles until it has run for a minute."""
        now_s = time.monotonic()
        for kept in self.kept:
            code = kept.child.exit_code()
            if code is None:
                if now_s - kept.started_s >= _STEADY_S:
                    kept.pause_s = _PAUSE_S_FIRST
            elif kept.again_s is None:
                kept.again_s = now_s + kept.pause_s
                kept.pause_s = min(2 * kept.pause_s, _PAUSE_S_MAX)
                last = kept.child.log_tail().splitlines()[-1:]
                self._say(f"{kept.name} ended with code {code}; starting it again. Its log, {kept.child.log}: {last}")
            elif now_s >= kept.again_s:
                process.stop([kept.child], grace_s=0)
                kept.child = start_worker(kept.name, kept.settings, self._data_dir)
                kept.started_s, kept.again_s = now_s, None
                kept.restarts += 1

    def stop(self) -> None:
        """Stop all, politely for a moment."""
        for name in process.stop([kept.child for kept in self.kept], grace_s=_STOP_GRACE_S):
            self._say(f"{name} did not stop within {_STOP_GRACE_S:.0f} s and was killed")
