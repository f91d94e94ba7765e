"""Why a process ended, from the end of its log: the last error in it, else its last line. Reads no file.

What a process says last is mostly that it stops, not why.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

TAIL_BYTES = 64 * 1024
"""So much of the end of a log is looked at: stopping is said in many lines, and tracebacks are long."""
_ERROR = re.compile(r'\blevel=(?:error|critical)\b|"level": ?"(?:error|critical)"')
_BESIDE = re.compile(r'\blogger=(?:asyncio|aiokafka)\b|"logger": ?"(?:asyncio|aiokafka)\b')
"""Of these, errors are tried again, or come of the end itself."""
_EXCEPTION = re.compile(r'"?\bexception"?[=:] ?"((?:[^"\\]|\\.)*)"')
_TRACEBACK = re.compile(r"(?:( *)[+|] )?(?:Exception Group )?Traceback \(most recent call last\):")
"""Within a group of exceptions, as a TaskGroup raises it, each line stands behind a margin."""


def last_words(log: str, *, was_killed: bool = False) -> str:
    """The last error of a process that ended, in one line, by the end of its log; "" of an empty log.

    Of a group of exceptions it is the last one in it. A process that was killed could not say why; its last line says
    at least what it was at.
    """
    lines = log.splitlines()
    if was_killed:
        return lines[-1] if lines else ""
    errors = [place for place, line in enumerate(lines) if _ERROR.search(line)]
    own = [place for place in errors if not _BESIDE.search(lines[place])]
    place = (own or errors or [-1])[-1]
    if said := _raised(lines[place + 1 :]):
        return said
    if place >= 0:
        found = _EXCEPTION.search(lines[place])
        return (found and _raised(found[1].replace('\\"', '"').split("\\n"))) or lines[place]
    return lines[-1] if lines else ""


def _raised(lines: Sequence[str]) -> str:
    """What the last traceback in these lines says at its end; "" where there is none."""
    begun = [(number, found) for number, line in enumerate(lines) if (found := _TRACEBACK.fullmatch(line))]
    if not begun:
        return ""
    number, found = begun[-1]
    margin = "" if found[1] is None else f"{found[1]}| "
    inside = (line.removeprefix(margin) for line in lines[number + 1 :])
    return next((line for line in inside if line and not line[0].isspace()), "")
