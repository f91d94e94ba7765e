"""Keeps what one stack runs running: workers and embedded servers that end are started again, with growing pauses.

One that ends again and again is left down, said, and shown by `status`: starting it once more would only hide why. What
it does not do: look whether what runs gets on (`watchdog`). See docs/adr/0007.
"""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sofia_streams.embedded import process
from sofia_streams.embedded.ports import pick_ports
from sofia_streams.embedded.stack import Stack
from sofia_streams.errors import SLEPT_EXIT_CODE, NotWritten, SofiaError
from sofia_streams.obs import metrics, waits
from sofia_streams.ops.supervision.alerts import Alerts
from sofia_streams.ops.supervision.last_words import TAIL_BYTES, last_words
from sofia_streams.ops.supervision.restarts import Restarts
from sofia_streams.ops.supervision.running import note_given_up
from sofia_streams.ops.supervision.stall import Stall
from sofia_streams.ops.supervision.watchdog import Watched
from sofia_streams.ops.workers import start_worker
from sofia_streams.settings import Settings

WEB_PORT_FIRST = 6066
_STOP_GRACE_S = 4.0
"""A worker that is killed loses nothing; it only takes longer to come back."""
_LAST_CHARS = 400
_DISK_FREE_MIN = 64 * 1024 * 1024
"""With less, whatever ends does so for want of room, and comes back by itself once there is some."""


class GaveUp(SofiaError):
    """`sofia up` was stopped while a worker or server was left down after ending again and again."""

    exit_code = 4


class Kept:
    """One worker: its process, which is started with it, its own settings, its restarts."""

    def __init__(self, name: str, settings: Settings, data_dir: Path) -> None:
        self.name, self.settings = name, settings
        self.start(data_dir)
        self.again = Restarts(time.monotonic())

    def start(self, data_dir: Path) -> None:
        """A process of it, with its page on the port it had, or another one where somebody has taken that meanwhile."""
        self.settings = self.settings.model_copy(update={"web_port": pick_ports([self.settings.web_port])[0]})
        self.child = start_worker(self.name, self.settings, data_dir)

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return self.again.count

    @property
    def running_pid(self) -> int | None:
        """None while it is down."""
        return self.child.pid if self.child.exit_code() is None else None

    @property
    def web_port(self) -> int:
        """Of its page."""
        return self.settings.web_port

    def ask_waits(self) -> None:
        """Have it write to its log what it waits for."""
        self.child.signal(waits.ASK)


def has_room(data_dir: Path, name: str) -> bool:
    """Whether a child can write: a server's own folder may be a disk of its own, mounted there."""
    places = [place for place in (data_dir, data_dir / name) if place.exists()]
    return all(shutil.disk_usage(place).free >= _DISK_FREE_MIN for place in places)


class Supervisor:
    """Starts `names`; call `check` a few times a second, from the main thread. Servers of `stack` are kept up too."""

    def __init__(
        self, names: Sequence[str], settings: Settings, data_dir: Path, alerts: Alerts, stack: Stack | None = None
    ) -> None:
        self._data_dir, self._alerts, self._stack = data_dir, alerts, stack
        now_s = time.monotonic()
        self.servers = {name: Restarts(now_s) for name in (stack.children() if stack else ())}
        self.given_up: dict[str, str] = {}
        self.log_answers: Callable[[], bool] = lambda: True
        self.page_port = 0
        ports = pick_ports([WEB_PORT_FIRST + number for number in range(len(names))])
        self.kept: list[Kept] = []
        try:
            for name, port in zip(names, ports, strict=True):
                self.kept.append(Kept(name, settings.model_copy(update={"web_port": port}), data_dir))
        except BaseException:
            self.stop()
            raise

    def check(self) -> None:
        """Start again what ended."""
        for kept in self.kept:
            if self._may_start(kept.name, kept.child, kept.again):
                process.stop([kept.child], grace_s=0)
                with self._said(kept.name):
                    kept.start(self._data_dir)
        if self._stack is not None:
            for name, child in self._stack.children().items():
                if self._may_start(name, child, self.servers[name]):
                    with self._said(name):
                        self._stack.restart(name)
        for name, again in {**{kept.name: kept.again for kept in self.kept}, **self.servers}.items():
            metrics.RESTARTS.labels(name).set(again.count)
            metrics.LEFT_DOWN.labels(name).set(name in self.given_up)

    def kill(self, worker: Watched, stall: Stall) -> None:
        """End a worker that stands still; `check` starts it again."""
        kept = next(kept for kept in self.kept if kept.name == worker.name)
        self._alerts.add(
            f"{kept.name} stood still", "warning",
            f"{kept.name} stood still: {stall.place} at {stall.done} of {stall.end} for {stall.seconds:.0f} s; killed "
            f"(SIGKILL, process {kept.child.pid}), it starts again from there. Its log: {kept.child.log}",
        )  # fmt: skip
        kept.child.signal(signal.SIGKILL)

    def retire(self, name: str) -> None:
        """Stop a worker for good; nobody starts it again."""
        kept = next(kept for kept in self.kept if kept.name == name)
        self.kept.remove(kept)
        process.stop([kept.child], grace_s=_STOP_GRACE_S)

    @contextmanager
    def _said(self, name: str) -> Iterator[None]:
        """What the system refuses is said, and tried again after the next pause."""
        try:
            yield
        except OSError as error:
            self._alerts.say(
                f"{name}: expected to start it again, found {error}. Is there room on the disk of {self._data_dir} "
                "(DATA_DIR)? `sofia doctor` checks it; trying again."
            )

    def _may_start(self, name: str, child: process.Child, again: Restarts) -> bool:
        now_s = time.monotonic()
        code = child.exit_code()
        if code is not None and not again.is_waiting:
            pause_s = again.ended(now_s, counts=self._is_own_fault(name, code))
            last = last_words(child.log_tail(TAIL_BYTES), was_killed=code < 0)[:_LAST_CHARS]
            ended = f"{name} ended with code {code}"
            if again.gave_up:
                self._give_up(name, f"{ended}, {again.why_gave_up}", f"{child.log}: {last}")
            else:
                self._alerts.say(f"{ended}; starting it again in {pause_s:.1f} s. Its log, {child.log}: {last}")
        elif again.is_due(now_s):
            again.started(now_s)
            return True
        return False

    def _is_own_fault(self, name: str, code: int) -> bool:
        """Not where the disk is full, the log of a worker is away, or it was stopped from outside: that passes."""
        is_able = name in self.servers or self.log_answers()
        return is_able and code != SLEPT_EXIT_CODE and has_room(self._data_dir, name)

    def _give_up(self, name: str, why: str, last: str) -> None:
        self.given_up[name] = why
        try:
            note_given_up(self._data_dir, self.given_up)
        except NotWritten as error:
            self._alerts.say(str(error))  # `status` will not know; what runs goes on
        self._alerts.add(
            f"{name} was left down", "critical",
            f"{why}: it is not started again. Read its log, mend the cause, then `sofia down` and `sofia up`. "
            f"The end of {last}",
        )  # fmt: skip

    def check_given_up(self) -> None:
        """Raise GaveUp where something was left down."""
        if self.given_up:
            raise GaveUp("; ".join(f"{why}; it was left down" for why in self.given_up.values()))

    def stop(self) -> None:
        """Stop all workers, politely for a moment; the stack stops its servers itself."""
        for name in process.stop([kept.child for kept in self.kept], grace_s=_STOP_GRACE_S):
            self._alerts.say(f"{name} did not stop within {_STOP_GRACE_S:.0f} s and was killed")
