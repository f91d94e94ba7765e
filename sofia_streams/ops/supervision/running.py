"""What runs on a data directory: a note by `sofia up`, so that other commands find its addresses. Starts nothing.

The note may hold passwords of servers that the user configured, so only its owner may read it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sofia_streams.embedded.lock import holder
from sofia_streams.errors import SofiaError
from sofia_streams.files import write_whole
from sofia_streams.settings import Settings, load_settings, worker_environment


class NothingRuns(SofiaError):
    """No `sofia up` on this data directory."""


def _note(data_dir: Path) -> Path:
    return data_dir.resolve() / "run" / "up.note"


def note_given_up(data_dir: Path, why: Mapping[str, str]) -> None:
    """Write down, by name, why something is not started again. Raises NotWritten."""
    write_whole(_given_up(data_dir), json.dumps(dict(why)).encode())


def given_up(data_dir: Path) -> dict[str, str]:
    """What `sofia up` does not start again, and why."""
    try:
        return {str(name): str(why) for name, why in json.loads(_given_up(data_dir).read_text()).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def note_blind(data_dir: Path, text: str) -> None:
    """Write down what the watch cannot see, and why; "" where it sees all. Raises NotWritten."""
    if text:
        write_whole(_blind(data_dir), text.encode())
    else:
        _blind(data_dir).unlink(missing_ok=True)


def blind(data_dir: Path) -> str:
    """What the watch of `sofia up` cannot see, and why; "" where it sees all."""
    try:
        return _blind(data_dir).read_text()
    except (OSError, ValueError):
        return ""


def _blind(data_dir: Path) -> Path:
    return data_dir.resolve() / "run" / "blind.note"


def _given_up(data_dir: Path) -> Path:
    return data_dir.resolve() / "run" / "given_up.note"


@contextmanager
def noted(data_dir: Path, settings: Settings) -> Iterator[None]:
    """Inside, `running_settings` gives these settings to whoever asks. Raises NotWritten."""
    path = _note(data_dir)
    write_whole(path, json.dumps({"environment": worker_environment(settings)}).encode(), mode=0o600)
    try:
        yield
    finally:
        forget(data_dir)


def forget(data_dir: Path) -> None:
    """Remove the notes, also those that a crash left."""
    for path in (_note(data_dir), _given_up(data_dir), _blind(data_dir)):
        path.unlink(missing_ok=True)


def running_settings(settings: Settings) -> Settings:
    """The settings of what `sofia up` runs on this data directory. Raises NothingRuns."""
    try:
        environment = json.loads(_note(settings.data_dir).read_text())["environment"]
    except (OSError, ValueError, KeyError):
        environment = None
    if environment is None or holder(settings.data_dir.resolve()) is None:  # a crash leaves its note
        raise NothingRuns(f"Expected something to run on {settings.data_dir}, found nothing. Start it: sofia up")
    return load_settings(None, environment)


def running_or_configured() -> Settings:
    """The settings of what runs here, else those configured. Raises ConfigError."""
    settings = load_settings()
    try:
        return running_settings(settings)
    except NothingRuns:
        return settings
