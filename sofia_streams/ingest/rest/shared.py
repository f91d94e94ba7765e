"""What all processes of a data directory know of a venue's REST: until when it said no, and how much is used up.

Two small files, replaced as a whole, and a lock. The closure outlives restarts, power cuts and reboots. Where a file
cannot be read or written, or who holds the lock stands still, a process goes by what it knows itself: it asks a little
more than it should, rather than not at all. What it does not do: wait until it may ask (`budget`).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
import structlog

from sofia_streams.core.feeds.budget import Bucket, Rate, grant
from sofia_streams.errors import NotWritten
from sofia_streams.files import whole, write_whole

_log = structlog.get_logger("rest")
_LOCK_S_MAX, _LOCK_POLL_S = 0.05, 0.001
"""It is held for less than a millisecond; a process that was stopped with it may hold it for ever."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Moment(msgspec.Struct, frozen=True):
    """A time by the monotonic clock, which all processes share; after a new start of the machine by the wall clock."""

    boot: str
    monotonic_ns: int
    wall_ns: int

    @classmethod
    def at(cls, monotonic_ns: int) -> Moment:
        """That time, as it is written down now."""
        return cls(_boot(), monotonic_ns, time.time_ns() + monotonic_ns - time.monotonic_ns())

    def here_ns(self) -> int:
        """By the monotonic clock of now."""
        if self.boot and self.boot == _boot():
            return self.monotonic_ns
        return time.monotonic_ns() + self.wall_ns - time.time_ns()


class Closure(msgspec.Struct, frozen=True):
    """The venue is not asked before `until`, for the reason it gave."""

    until: Moment
    why: str
    is_ban: bool


class _Used(msgspec.Struct, frozen=True):
    """The bucket (`core.feeds.budget`)."""

    paid: Moment


def _boot() -> str:
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""  # a system that does not say: its wall clock has to do


class Shared:
    """The files of one venue, or of what stands in for it, in a folder that is made where it is missing."""

    def __init__(self, folder: Path, venue: str, rest_url: str | None) -> None:
        name = re.sub(r"[^a-z0-9]+", "-", (rest_url or venue).lower())
        self._closed, self._used = folder / f"{name}.closed.json", folder / f"{name}.used.json"
        self._lock = folder / f"{name}.lock"
        self._seen: tuple[int, int] | None = None
        self._complained = False

    def closure(self) -> Closure | None:
        """What has come since the last call, if anything. Costs one question to the system."""
        try:
            found = self._closed.stat()
            seen = (found.st_mtime_ns, found.st_ino)
            if seen == self._seen:
                return None
            closure = msgspec.json.decode(self._closed.read_bytes(), type=Closure)
        except (OSError, msgspec.DecodeError):
            return None
        self._seen = seen
        return closure

    async def close(self, closure: Closure) -> None:
        """Let all know; a longer closure that stands stays."""
        async with self.turn():
            self._write(closure)

    def _write(self, closure: Closure) -> None:
        with self._careful():
            try:
                known = msgspec.json.decode(self._closed.read_bytes(), type=Closure).until.here_ns()
            except (OSError, msgspec.DecodeError):
                known = 0
            if closure.until.here_ns() > known:
                with whole(self._closed) as partial:
                    partial.write_bytes(msgspec.json.encode(closure))

    def grant(self, rate: Rate, own: Bucket, weight: int, *, is_ours: bool) -> tuple[Bucket, int]:
        """As `core.feeds.budget.grant`, of what is left of the rate to all, inside a `turn` that is ours.

        Else of `own`, which is what this process knows by itself.
        """
        if not is_ours:
            return grant(rate, own, weight, time.monotonic_ns())
        granted = grant(rate, max(own, self._bucket()), weight, time.monotonic_ns())
        with self._careful():
            write_whole(self._used, msgspec.json.encode(_Used(Moment.at(granted[0].paid_ns))))
        return granted

    def _bucket(self) -> Bucket:
        try:
            paid = msgspec.json.decode(self._used.read_bytes(), type=_Used).paid
        except (OSError, msgspec.DecodeError):
            return Bucket()
        return Bucket(paid.here_ns()) if paid.boot == _boot() else Bucket()  # a new start takes longer than any rest

    @contextmanager
    def _careful(self) -> Iterator[None]:
        try:
            yield
        except (OSError, NotWritten) as error:
            if not self._complained:
                self._complained = True
                _log.warning("other processes do not know how often this venue was asked", reason=str(error))

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[bool]:
        """Whether only this process reads and writes the files inside. Nothing may be awaited there."""
        file = None
        with self._careful():
            self._lock.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        if file is None:
            yield False
            return
        is_ours, until_s = False, time.monotonic() + _LOCK_S_MAX
        try:
            with self._careful():  # some file systems lock nothing
                while not (is_ours := _try_lock(file)) and time.monotonic() < until_s:  # noqa: ASYNC110  it has no event
                    await asyncio.sleep(_LOCK_POLL_S)
            yield is_ours
        finally:
            os.close(file)


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
