"""By which a worker knows its log again: marks of records it has done, kept beside its committed offset.

A committed offset is a bare number. Where a topic was deleted and made again, or a broker came back without its last
seconds, the number still looks right. So the commit carries marks (a record's offset, time and checksum) of the newest
record done and of one or two from a minute before. Pure: asks no broker.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import NamedTuple

Marks = tuple[tuple[int, str], ...]
"""(offset, mark), newest first; at most three."""
_APART_MS = 60_000


def mark_of(timestamp_ms: int, value: bytes | None) -> str:
    """A short text by which a record is known again."""
    return f"{timestamp_ms}-{zlib.crc32(value or b''):08x}"


def time_of(mark: str) -> int:
    """The record's time, ms since the epoch."""
    return int(mark.partition("-")[0])


def extended(marks: Marks, offset: int, mark: str) -> Marks:
    """With a newer one: it, the one that will be a minute old, the one that is."""
    aged_ms = time_of(mark) - _APART_MS
    young = tuple(one for one in marks if time_of(one[1]) > aged_ms)
    old = tuple(one for one in marks if time_of(one[1]) <= aged_ms)
    return ((offset, mark), *young[-1:], *old[:1])


def to_text(marks: Marks) -> str:
    """As it stands beside the offset."""
    return ",".join(f"{offset}:{mark}" for offset, mark in marks)


def from_text(text: str) -> Marks:
    """The marks of a commit; none where it has none of ours."""
    try:
        found = [part.partition(":") for part in text.split(",") if part]
        return tuple((int(offset), mark) for offset, _, mark in found if time_of(mark) >= 0)
    except ValueError:
        return ()


class LogExtent(NamedTuple):
    """A partition as the log has it: its first offset, its end, the marks of the records asked for.

    A mark is None where the log ends before that offset; an offset that retention has dropped is left out.
    """

    first: int
    end: int
    marks: Mapping[int, str | None] = {}


class Overtaken(NamedTuple):
    """Retention dropped records before they were read: those from `since` to before `first`."""

    since: int
    first: int


class Changed(NamedTuple):
    """The log is not the one that was read. `resume_at` is behind the newest record that is the same, or first."""

    since: int
    resume_at: int


def judge(committed: int, marks: Marks, log: LogExtent) -> Overtaken | Changed | None:
    """What happened to a partition while nobody read it; None where it goes on as it was left."""
    asked = [(offset, mark, log.marks[offset]) for offset, mark in marks if offset in log.marks]
    if asked and asked[0][1] != asked[0][2]:
        same = [offset + 1 for offset, mark, found in asked if mark == found]
        return Changed(committed, same[0] if same else log.first)
    if committed > log.end:
        return Changed(committed, log.first)
    if committed < log.first:
        return Overtaken(committed, log.first)
    return None
