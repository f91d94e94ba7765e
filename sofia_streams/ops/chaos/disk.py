"""A small disk for the broker, filled on purpose: a file system in memory, which needs root on Linux. Blocks."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sofia_streams.errors import ConfigError, DependencyDown

_BLOCK = b"\0" * (1 << 16)
_FILLER = "filler"


def can_mount() -> bool:
    """Whether this process may make a file system."""
    return sys.platform == "linux" and os.geteuid() == 0


@contextmanager
def small_disk(place: Path, mib: int) -> Iterator[None]:
    """Inside, `place` is a file system of its own of so many MiB; 0: it is left as it is.

    Raises ConfigError where that is not allowed here.
    """
    if not mib:
        yield
        return
    if not can_mount():
        raise ConfigError(
            "chaos: expected root on Linux for a small disk, found another user. Leave this scenario out."
        )
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0700", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(f"chaos: expected to mount a tmpfs, found: {done.stderr.strip()}. Leave this scenario out.")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> int:
    """Write until there is no room; how many bytes. Raises DependencyDown where it stays writable."""
    written = 0
    with (place / _FILLER).open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while written < 1 << 33:
            written += file.write(_BLOCK)
        raise DependencyDown(f"{place}: expected it to be full after {written} bytes, found room. Is it a small disk?")
    return written


def free(place: Path) -> None:
    """Give the room back."""
    (place / _FILLER).unlink(missing_ok=True)
