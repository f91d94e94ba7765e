"""The errors this project raises on purpose. Each says what was expected, what was found, and what to do.

SofiaError
├── BadFrame        bad input from a venue: quarantined, the stream goes on
├── BadCapture      a capture file that cannot be read
├── BadRecord       a log record that cannot be decoded: quarantined, the worker goes on
├── ConfigError     a wrong setting: the command stops before anything starts
├── UnknownSymbol   a symbol a venue does not list, or a name nobody can split
├── LogChanged      the log under a running worker is another one: it stops, and begins from there (`worker.transport`)
├── BadModel        a model file that is damaged, or scores other than what was trained: the model before it stays
├── MergeFull       an input of a merge is too far ahead of the others: it is read no further for now
├── BadTransition   an order that would go where its status does not lead: a defect, the worker stops
├── LedgerUnbalanced  postings or balances of the paper account that do not sum to zero: its worker stops
├── NotWritten      the system did not take a file of ours (full, too large, broken): exit code 1
├── DependencyDown  a broker, database or venue that does not answer: retried, then reported
├── QueryRefused    a database answers, and will not do what it was asked: exit code 1
├── BadJar          a jar that is not the listed one: it is not run (`embedded.jars`)
├── AlreadyRunning  the data directory has servers: exit code 3 (`embedded.lock`)
├── GaveUp          a worker or server ended again and again, and was left down: exit code 4 (`ops.supervision`)
└── NothingRuns     the data directory has none (`ops.supervision`)
"""

from __future__ import annotations

from pathlib import Path

SLEPT_EXIT_CODE = 75
"""Of a worker that was stopped from outside for so long that it ended when it woke (`worker.loop_watch`)."""


class SofiaError(Exception):
    """Base of everything below; the command line prints its text and exits with `exit_code`."""

    exit_code = 1


class BadFrame(SofiaError, ValueError):
    """A venue sent bytes that do not match the payload we were built against."""

    def __init__(self, venue: str, expected: str, found: str, frame: bytes) -> None:
        self.venue, self.expected, self.found, self.frame = venue, expected, found, frame
        super().__init__(
            f"{venue}: expected {expected}, found {found}; frame starts {frame[:80]!r}. If the venue "
            f"changed its format, save the frame in tests/golden/{venue}/ and extend its parse.py."
        )


class BadCapture(SofiaError, ValueError):
    """A capture file is cut, not gzip, or a line is not a captured frame."""


class BadRecord(SofiaError, ValueError):
    """A log record does not decode as what its topic promises."""


class ConfigError(SofiaError, ValueError):
    """A setting is unknown or has a value outside its bounds."""


class UnknownSymbol(SofiaError, ValueError):
    """A symbol that the venue does not list, or a joined name that cannot be split."""


class LogChanged(SofiaError):
    """A partition goes on elsewhere than behind the record that was read before."""


class BadModel(SofiaError, ValueError):
    """A model file is damaged, was made for other features, or scores other than what was trained."""


class MergeFull(SofiaError, BufferError):
    """More records wait for a slower input than there is room for."""


class BadTransition(SofiaError, ValueError):
    """An order cannot do that in its status."""


class LedgerUnbalanced(SofiaError, ArithmeticError):
    """Money would come from nowhere: a defect, or damaged state. Nothing is posted."""


class NotWritten(SofiaError, OSError):
    """The system did not take a file of ours; what stood there before is as it was, or its reader knows a cut end."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            f"{path}: expected to write it, found: {error.strerror or error}. Give the folder room and rights, "
            "or choose another place, and do it again."
        )


class QueryRefused(SofiaError, ValueError):
    """A database refuses a query: a table or column that is not there or of another type, a right that is lacking."""

    def __init__(self, store: str, place: str, sql: str, found: str, *, is_missing: bool) -> None:
        self.is_missing = is_missing
        cure = (
            "The writer makes the tables: start it (`sofia up`), or correct NAMESPACE and the database's address."
            if is_missing
            else "See that it is the database of this version, and its log for the reason; `sofia doctor` checks it."
        )
        shown = " ".join(sql.split())[:200]
        super().__init__(f"{store}: expected {place} to run {shown!r}, found: {' '.join(found.split())}. {cure}")


class DependencyDown(SofiaError, ConnectionError):
    """Something we need does not answer."""
