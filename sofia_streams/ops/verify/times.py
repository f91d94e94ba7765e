"""The moments that a command names, and the stretch between them: in whole minutes, so that no bar is cut.

What the stores cannot hold as int64 ns is refused here, before anything is asked.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

from sofia_streams.errors import ConfigError
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND
from sofia_streams.ops.verify.log import Span

_AGO = re.compile(r"([0-9]{1,6})(s|m|h|d)", re.ASCII)
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_NS = (2**63 - 1) // NS_PER_MINUTE * NS_PER_MINUTE
"""The last whole minute that an int64 of ns holds."""


def span_of(start: str | None, end: str | None, now_ns: int | None = None) -> Span:
    """From the minute in which `start` lies to the end of that of `end`; None: no bound. Raises ConfigError."""
    at_ns = time.time_ns() if now_ns is None else now_ns
    from_ns = None if start is None else _ago_or_utc_ns(start, "--from", at_ns) // NS_PER_MINUTE * NS_PER_MINUTE
    until_ns = None if end is None else -(-_ago_or_utc_ns(end, "--to", at_ns) // NS_PER_MINUTE) * NS_PER_MINUTE
    if from_ns is not None and until_ns is not None and from_ns >= until_ns:
        raise ConfigError(f"--to: expected a moment after --from ({start}), found {end}.")
    return Span(from_ns, until_ns)


def utc_ns(text: str, option: str, *, or_ago: str = "") -> int:
    """A moment as ISO 8601 writes it; UTC unless it says otherwise. Raises ConfigError.

    `or_ago`: what else may be written there.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option}: expected UTC like 2026-01-31T12:00{or_ago}, found {text[:40]!r}.") from None
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    return _possible(since // timedelta(microseconds=1) * 1_000, text, option)


def _ago_or_utc_ns(text: str, option: str, now_ns: int) -> int:
    ago = _AGO.fullmatch(text)
    if ago:
        return _possible(now_ns - int(ago[1]) * _UNIT_S[ago[2]] * NS_PER_SECOND, text, option)
    return utc_ns(text, option, or_ago=", or how long ago like 90m, 6h, 2d")


def _possible(at_ns: int, text: str, option: str) -> int:
    if 0 <= at_ns <= _LAST_NS:
        return at_ns
    last = _EPOCH + timedelta(seconds=_LAST_NS // NS_PER_SECOND)
    raise ConfigError(f"{option}: expected a moment from 1970-01-01 to {last:%Y-%m-%dT%H:%M}, found {text[:40]!r}.")
