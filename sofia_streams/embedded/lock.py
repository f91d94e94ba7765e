"""One stack a data directory: an flock that ends with its holder, and a note of who holds it. Never waits."""

from __future__ import annotations

import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, NamedTuple

from sofia_streams.embedded.process import Record, create_time_s, find_process, read_record
from sofia_streams.errors import NotWritten, SofiaError


class Holder(NamedTuple):
    """The process that holds a data directory."""

    pid: int
    since: str  # UTC, ISO 8601: when that process started


class AlreadyRunning(SofiaError):
    """Another process has servers running on this data directory."""

    exit_code = 3

    def __init__(self, data_dir: Path, holder: Holder | None) -> None:
        self.holder = holder
        who = f"process {holder.pid}, started {holder.since}" if holder else "another process"
        super().__init__(
            f"Expected the data directory {data_dir} to be free, found it held by {who}. Stop that one first "
            "(sofia down), or choose another data directory."
        )


class DataDirLock:
    """Holds a data directory until `release` or the end of this process."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock. Raises AlreadyRunning, and NotWritten where it cannot say who holds it."""
        path = _lock_path(self._data_dir)
        while True:
            file = path.open("a+")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                raise AlreadyRunning(self._data_dir, holder(self._data_dir)) from None
            if _is_at(file, path):
                break
            file.close()  # its last holder removed it after we had opened it
        note = Record("stack", os.getpid(), create_time_s(os.getpid()), 0)
        self._file = file
        try:
            file.truncate(0)
            left = json.dumps(note._asdict()).encode()
            while left:
                left = left[os.write(file.fileno(), left) :]
        except OSError as error:
            self.release()
            raise NotWritten(path, error) from error

    def release(self) -> None:
        """Give the directory up; harmless when it is not held."""
        if self._file is not None:
            _lock_path(self._data_dir).unlink(missing_ok=True)  # before the lock goes, so that it is surely ours
            self._file.close()
            self._file = None


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.fstat(file.fileno()).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def holder(data_dir: Path) -> Holder | None:
    """Who holds the data directory now; None when nobody does, or for the instant in which a holder signs in."""
    note = read_record(_lock_path(data_dir))
    if note is None or find_process(note) is None:
        return None
    since = datetime.fromtimestamp(note.create_time_s, UTC)
    return Holder(note.pid, since.isoformat(timespec="seconds"))


def _lock_path(data_dir: Path) -> Path:
    return data_dir / "run" / "lock"
