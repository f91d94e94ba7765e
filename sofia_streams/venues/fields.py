"""What every parser needs: checked times and the fields of a ticker. Pure; knows no venue."""

from __future__ import annotations

from decimal import Decimal

from sofia_streams.model import decimal_from_text

TIME_NS_MAX = 2**63 - 1
_MICROSECONDS_FROM = 10**14
"""A venue that sends milliseconds or microseconds: 10**14 ms is the year 5138, 10**14 us is 1973."""


def ns_from_ms(milliseconds: int) -> int:
    """Nanoseconds since 1970. Raises ValueError outside (0, 2262-04-11]."""
    return _checked(milliseconds * 1_000_000)


def ns_from_ms_or_us(value: int) -> int:
    """As `ns_from_ms`, where a venue may be asked for microseconds instead (Binance `timeUnit`)."""
    return _checked(value * (1_000 if value >= _MICROSECONDS_FROM else 1_000_000))


def ns_from_ms_text(text: str) -> int:
    """As `ns_from_ms`, for a venue that sends integers as text. Raises ValueError for anything but ASCII digits."""
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise ValueError(f"expected milliseconds as digits, found {text[:40]!r}")
    return ns_from_ms(int(text))


def whole_number(text: str) -> int:
    """A trade id that is a number. Raises ValueError for anything but 1 to 20 ASCII digits."""
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise ValueError(f"expected a whole number, found {text[:40]!r}")
    return int(text)


def ticker_fields(**texts: str | None) -> dict[str, Decimal]:
    """The fields that a message really said; absent and empty ones are left out. Raises ValueError."""
    return {name: decimal_from_text(text) for name, text in texts.items() if text}


def _checked(value_ns: int) -> int:
    if not 0 < value_ns <= TIME_NS_MAX:
        raise ValueError(f"expected a time between 1970 and 2262, found {value_ns} ns")
    return value_ns
