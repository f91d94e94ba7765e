"""The log files of a data directory: which there are, their last lines, and what is written to them from now on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from sofia_streams.errors import ConfigError

_POLL_S = 0.2
_LINE_BYTES = 200
"""What a line is taken to be at most on average; a log with longer ones shows fewer lines."""


def log_files(data_dir: Path, name: str | None = None) -> dict[str, Path]:
    """The logs by process name, or the one of `name`. Raises ConfigError where it does not exist."""
    found = {path.stem: path for path in sorted((data_dir / "log").glob("*.log"))}
    if name is None:
        return found
    if name not in found:
        raise ConfigError(f"logs: expected one of {', '.join(found) or '(none yet)'}, found {name!r}.")
    return {name: found[name]}


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a file; reads its end only."""
    with path.open("rb") as file:
        size = path.stat().st_size
        start = max(0, size - count * _LINE_BYTES - 4_096)
        file.seek(start)
        lines = file.read().decode(errors="replace").splitlines()
    return lines[1 if start else 0 :][-count:]


def follow_logs(files: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """(name, line) of everything written from now on, for ever; a log begun anew is read from its start."""
    places = {name: path.stat().st_size for name, path in files.items()}
    inodes = {name: path.stat().st_ino for name, path in files.items()}
    while True:
        for name, path in files.items():
            try:
                found = path.stat()
            except FileNotFoundError:
                continue  # between two runs
            if found.st_ino != inodes[name] or found.st_size < places[name]:
                inodes[name], places[name] = found.st_ino, 0
            with path.open("rb") as file:
                file.seek(places[name])
                text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            places[name] += len(whole)
            yield from ((name, line) for line in whole.decode(errors="replace").splitlines())
        time.sleep(_POLL_S)  # files have no event that every system knows
