"""What the trainer must know again after a restart: one small file beside the models. All else is read from the log."""

from __future__ import annotations

from pathlib import Path

import msgspec
import structlog

from sofia_streams.files import make_folder, write_whole

_log = structlog.get_logger("trainer")
NAME = "trainer.json"


class Notes(msgspec.Struct, frozen=True):
    """`challenger` is scored in shadow on bars that start at `since_ns` or later; `trained_ns`: end of the newest bar
    when a training last ended well; `failures`: trainings in a row that did not.
    """

    challenger: str | None = None
    since_ns: int = 0
    trained_ns: int | None = None
    failures: int = 0


def read_notes(folder: Path) -> Notes:
    """Those of a models folder; empty ones where there are none, or damaged ones."""
    try:
        return msgspec.json.decode((folder / NAME).read_bytes(), type=Notes)
    except FileNotFoundError:
        return Notes()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        _log.warning("the trainer's notes cannot be read; it begins anew", error=str(error))
        return Notes()


def write_notes(folder: Path, notes: Notes) -> None:
    """Raises NotWritten."""
    make_folder(folder)
    write_whole(folder / NAME, msgspec.json.encode(notes))


def with_notes(notes: Notes, **changed: object) -> Notes:
    """The same but for these."""
    return msgspec.structs.replace(notes, **changed)
