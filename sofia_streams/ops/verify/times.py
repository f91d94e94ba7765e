"""The stretch of time that a command names: moments, or how long ago; whole minutes, so that no bar is cut."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from sofia_streams.errors import ConfigError
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND
from sofia_streams.ops.verify.log import Span

_AGO = re.compile(r"([0-9]{1,6})(s|m|h|d)", re.ASCII)
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def span_of(start: str | None, end: str | None, now_ns: int | None = None) -> Span:
    """From the minute in which `start` lies to the end of that of `end`; None: no bound. Raises ConfigError."""
    at_ns = time.time_ns() if now_ns is None else now_ns
    from_ns = None if start is None else _moment_ns(start, "--from", at_ns) // NS_PER_MINUTE * NS_PER_MINUTE
    until_ns = None if end is None else -(-_moment_ns(end, "--to", at_ns) // NS_PER_MINUTE) * NS_PER_MINUTE
    if from_ns is not None and until_ns is not None and from_ns >= until_ns:
        raise ConfigError(f"--to: expected a moment after --from ({start}), found {end}.")
    return Span(from_ns, until_ns)


def _moment_ns(text: str, option: str, now_ns: int) -> int:
    ago = _AGO.fullmatch(text)
    if ago:
        return now_ns - int(ago[1]) * _UNIT_S[ago[2]] * NS_PER_SECOND
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{option}: expected UTC like 2026-01-31T12:00, or how long ago like 90m, 6h, 2d, found {text[:40]!r}."
        ) from None
    found = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(found.timestamp()) * NS_PER_SECOND
