"""The moments that a command names, and the stretch between two of them.

What the stores cannot hold as int64 ns is refused here, before anything is asked.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from sofia_streams.errors import ConfigError
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND

_AGO = re.compile(r"([0-9]{1,6})(s|m|h|d)", re.ASCII)
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_NS = (2**63 - 1) // NS_PER_MINUTE * NS_PER_MINUTE
"""The last whole minute that an int64 of ns holds."""


def stretch_of(start: str, end: str) -> tuple[int, int]:
    """The ns of --from and --to, as they are written. Raises ConfigError where that is no stretch of time."""
    from_ns, until_ns = utc_ns(start, "--from"), utc_ns(end, "--to")
    check_order(from_ns, until_ns, start, end)
    return from_ns, until_ns


def check_order(from_ns: int | None, until_ns: int | None, start: str | None, end: str | None) -> None:
    """Raises ConfigError where --to (`end`, as it was written) is not after --from (`start`); None: no bound."""
    if from_ns is not None and until_ns is not None and from_ns >= until_ns:
        raise ConfigError(f"--to: expected a moment after --from ({start}), found {end}.")


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


def ago_or_utc_ns(text: str, option: str, now_ns: int) -> int:
    """As `utc_ns`, or how long before `now_ns`, like 90m. Raises ConfigError."""
    ago = _AGO.fullmatch(text)
    if ago:
        return _possible(now_ns - int(ago[1]) * _UNIT_S[ago[2]] * NS_PER_SECOND, text, option)
    return utc_ns(text, option, or_ago=", or how long ago like 90m, 6h, 2d")


def _possible(at_ns: int, text: str, option: str) -> int:
    if 0 <= at_ns <= _LAST_NS:
        return at_ns
    last = _EPOCH + timedelta(seconds=_LAST_NS // NS_PER_SECOND)
    raise ConfigError(f"{option}: expected a moment from 1970-01-01 to {last:%Y-%m-%dT%H:%M}, found {text[:40]!r}.")
