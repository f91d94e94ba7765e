"""Keeps what one stack runs running: workers and embedded servers that end are started again, with growing pauses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sofia_streams.embedded import process
from sofia_streams.embedded.ports import pick_ports
from sofia_streams.embedded.stack import Stack
from sofia_streams.ops.workers import start_worker
from sofia_streams.settings import Settings

WEB_PORT_FIRST = 6066
_PAUSE_S_FIRST, _PAUSE_S_MAX, _STEADY_S = 0.5, 30.0, 60.0
_STOP_GRACE_S = 4.0
"""A worker that is killed loses nothing; it only takes longer to come back."""
Say = Callable[[str], None]


class Restarts:
    """When one process may be started again: after a pause that doubles until it has run for a minute."""

    def __init__(self, now_s: float) -> None:
        self.count = 0
        self._started_s, self._pause_s = now_s, _PAUSE_S_FIRST
        self._again_s: float | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether the process has ended and its pause is not over."""
        return self._again_s is not None

    def ended(self, now_s: float) -> float:
        """The process has ended; how many seconds the pause is."""
        if now_s - self._started_s >= _STEADY_S:
            self._pause_s = _PAUSE_S_FIRST
        pause_s, self._again_s = self._pause_s, now_s + self._pause_s
        self._pause_s = min(2 * pause_s, _PAUSE_S_MAX)
        return pause_s

    def is_due(self, now_s: float) -> bool:
        """Whether the pause is over; then call `started`."""
        return self._again_s is not None and now_s >= self._again_s

    def started(self, now_s: float) -> None:
        """It was started again."""
        self._started_s, self._again_s = now_s, None
        self.count += 1


class Kept:
    """One worker: its process, its own settings, its restarts."""

    def __init__(self, name: str, settings: Settings, child: process.Child) -> None:
        self.name, self.settings, self.child = name, settings, child
        self.again = Restarts(time.monotonic())

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return self.again.count


class Supervisor:
    """Starts `names`; call `check` a few times a second, from the main thread. Servers of `stack` are kept up too."""

    def __init__(
        self, names: Sequence[str], settings: Settings, data_dir: Path, say: Say, stack: Stack | None = None
    ) -> None:
        self._data_dir, self._say, self._stack = data_dir, say, stack
        now_s = time.monotonic()
        self.servers = {name: Restarts(now_s) for name in (stack.children() if stack else ())}
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
        """Start again what ended."""
        for kept in self.kept:
            if self._may_start(kept.name, kept.child, kept.again):
                process.stop([kept.child], grace_s=0)
                with self._said(kept.name):
                    kept.child = start_worker(kept.name, kept.settings, self._data_dir)
        if self._stack is not None:
            for name, child in self._stack.children().items():
                if self._may_start(name, child, self.servers[name]):
                    with self._said(name):
                        self._stack.restart(name)

    @contextmanager
    def _said(self, name: str) -> Iterator[None]:
        """What the system refuses is said, and tried again after the next pause."""
        try:
            yield
        except OSError as error:
            self._say(
                f"{name}: expected to start it again, found {error}. Is there room on the disk of {self._data_dir} "
                "(DATA_DIR)? `sofia doctor` checks it; trying again."
            )

    def _may_start(self, name: str, child: process.Child, again: Restarts) -> bool:
        now_s = time.monotonic()
        code = child.exit_code()
        if code is not None and not again.is_waiting:
            pause_s = again.ended(now_s)
            last = " ".join(child.log_tail().splitlines()[-1:])
            self._say(
                f"{name} ended with code {code}; starting it again in {pause_s:.1f} s. Its log, {child.log}: {last}"
            )
        elif again.is_due(now_s):
            again.started(now_s)
            return True
        return False

    def stop(self) -> None:
        """Stop all workers, politely for a moment; the stack stops its servers itself."""
        for name in process.stop([kept.child for kept in self.kept], grace_s=_STOP_GRACE_S):
            self._say(f"{name} did not stop within {_STOP_GRACE_S:.0f} s and was killed")
