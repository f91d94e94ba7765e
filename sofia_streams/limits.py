"""What the operating system must allow this process. Raises what it may by itself, else says what to do."""

from __future__ import annotations

from sofia_streams.errors import ConfigError

try:
    import resource
except ImportError:  # not on every platform
    resource = None  # type: ignore[assignment]

OPEN_FILES_MIN, OPEN_FILES_WANTED = 512, 4_096


def check_open_files() -> None:
    """Allow this process and its children enough open files. Raises ConfigError where the system forbids it."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft != unlimited and soft < OPEN_FILES_WANTED:
        soft = OPEN_FILES_WANTED if hard == unlimited else min(OPEN_FILES_WANTED, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft != unlimited and soft < OPEN_FILES_MIN:
        raise ConfigError(
            f"open files: expected the system to allow at least {OPEN_FILES_MIN} a process, found {soft}: sockets and "
            f"log segments would be refused later. Raise it: ulimit -Hn {OPEN_FILES_WANTED}, or LimitNOFILE of the "
            "service."
        )
