"""Coinbase times: ISO text to nanoseconds, exact and strict. No clock."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from sofia_streams.model import NS_PER_SECOND
from sofia_streams.venues.fields import TIME_NS_MAX

_SECOND_CHARS = 19
_MICROSECOND_CHARS = 27
_SECONDS_KEPT_MAX = 4_096

_second_ns: dict[str, int] = {}
"""Seconds read lately, by their text: trades of one second come together."""


def ns_from_iso(text: str) -> int:
    """Nanoseconds since 1970 of `2026-08-09T21:05:48.167634Z`, up to nine digits of fraction. Raises ValueError."""
    at_ns = _second_ns.get(text[:_SECOND_CHARS])
    if at_ns is not None and len(text) == _MICROSECOND_CHARS and text[-1] == "Z" and text[_SECOND_CHARS] == ".":
        fraction = text[_SECOND_CHARS + 1 : -1]
        if fraction.isdigit() and fraction.isascii():
            return at_ns + int(fraction) * 1_000
    return _careful(text)


def _careful(text: str) -> int:
    if len(text) < 20 or not text.isascii() or text[-1] != "Z" or text[16] != ":":
        raise ValueError(f"expected a UTC time like 2026-08-09T21:05:48.167634Z, found {text[:40]!r}")
    seconds, fraction = text[17:_SECOND_CHARS], text[20:-1]
    is_fraction = len(text) == 20 or (text[_SECOND_CHARS] == "." and fraction.isdigit() and len(fraction) <= 9)
    if not seconds.isdigit() or int(seconds) > 59 or not is_fraction:
        raise ValueError(f"expected seconds 00 to 59 with at most nine digits of fraction, found {text[:40]!r}")
    at_ns = (_minute_s(text[:16]) + int(seconds)) * NS_PER_SECOND
    value_ns = at_ns + int(fraction.ljust(9, "0"))
    if not 0 < value_ns <= TIME_NS_MAX:
        raise ValueError(f"expected a time between 1970 and 2262, found {text[:40]!r}")
    if at_ns > 0 and at_ns + NS_PER_SECOND <= TIME_NS_MAX:
        if len(_second_ns) >= _SECONDS_KEPT_MAX:
            _second_ns.clear()
        _second_ns[text[:_SECOND_CHARS]] = at_ns
    return value_ns


@lru_cache(maxsize=64)
def _minute_s(text: str) -> int:
    """Seconds since 1970 of `2026-08-09T21:05`; cached, since trades of one minute come together."""
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M").replace(tzinfo=UTC).timestamp())
