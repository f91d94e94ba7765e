"""Writing a file of ours whole or not at all: under another name first, which then takes its place.

Not for files that grow while they are read (captures, the simulator's ledger): their readers know a cut end.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sofia_streams.errors import NotWritten, SofiaError


def make_folder(path: Path) -> None:
    """It and those above it, where they are not there. Raises NotWritten."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotWritten(path, error) from error


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Another path to write to; when it is left, what stands there is on the disk and takes the place of `path`.

    Raises NotWritten where the system refuses, inside too; `path` is then as it was, and nothing else is left.
    """
    with _replacing(path) as partial:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())  # some systems say only now that a write has failed


def write_whole(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """As `whole`, but quick: after a power cut it may be cut. For what is worth nothing after one."""
    with (
        _replacing(path) as partial,
        os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file,
    ):
        file.write(data)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError) and not isinstance(error, SofiaError):
            raise NotWritten(path, error) from error
        raise
