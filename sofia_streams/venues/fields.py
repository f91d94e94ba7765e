"""What every parser needs: strict numbers, checked times, one row taken at a time. Pure; knows no venue.

Each parser has two ways. The exact one decodes a frame of a known layout in one go; it proves by the number of colons
that no key stands twice (see `_exact` in the parsers). Whatever it does not take goes the careful way, which takes row
by row and says what is wrong. Both give the same records.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from sofia_streams.model import Parsed, Refused, decimal_from_text, positive_from_text

T = TypeVar("T")

TIME_NS_MAX = 2**63 - 1
TIME_MS_MAX = TIME_NS_MAX // 1_000_000
ID_MAX = 2**63 - 1
_TEXT_CHARS_MAX = 64
_MICROSECONDS_FROM = 10**14
"""A venue that sends milliseconds or microseconds: 10**14 ms is the year 5138, 10**14 us is 1973."""
_NUMBERS_KEPT_MAX = 32_768
_ABOVE_ZERO = frozenset({"last", "bid", "ask", "open_24h", "high_24h", "low_24h"})

number_of: dict[str, Decimal] = {}
"""Numbers above zero read lately, by their text: prices and sizes repeat, and a look-up costs a fifth of reading."""


def positive(text: str) -> Decimal:
    """As `positive_from_text`, remembered in `number_of`. Hot paths look there first."""
    found = number_of.get(text)
    if found is None:
        found = positive_from_text(text)
        if len(number_of) >= _NUMBERS_KEPT_MAX:
            number_of.clear()
        number_of[text] = found
    return found


def ns_from_ms(milliseconds: int) -> int:
    """Nanoseconds since 1970. Raises ValueError outside (0, 2262-04-11]."""
    value_ns = milliseconds * 1_000_000
    if 0 < value_ns <= TIME_NS_MAX:
        return value_ns
    raise ValueError(f"expected a time between 1970 and 2262, found {str(milliseconds)[:40]} ms")


def ns_from_ms_or_us(value: int) -> int:
    """As `ns_from_ms`, where a venue may be asked for microseconds instead (Binance `timeUnit`).

    The unit is a guess by size; ingest refuses a time that is then far from the receipt (`core.feeds.plausible`).
    """
    value_ns = value * (1_000 if value >= _MICROSECONDS_FROM else 1_000_000)
    if 0 < value_ns <= TIME_NS_MAX:
        return value_ns
    raise ValueError(f"expected a time between 1970 and 2262, found {str(value)[:40]}")


def ns_from_ms_text(text: str) -> int:
    """As `ns_from_ms`, for a venue that sends integers as text. Raises ValueError for anything but ASCII digits."""
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise ValueError(f"expected milliseconds as digits, found {text[:40]!r}")
    return ns_from_ms(int(text))


def whole_number(text: str) -> int:
    """A trade id that is a number. Raises ValueError for anything but ASCII digits up to 2**63."""
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and (number := int(text)) <= ID_MAX):
        raise ValueError(f"expected a whole number below 2**63, found {text[:40]!r}")
    return number


def checked_id(number: int) -> int:
    """The id. Raises ValueError below 0 and from 2**63."""
    if not 0 <= number <= ID_MAX:
        raise ValueError(f"expected a trade id from 0 to 2**63 - 1, found {str(number)[:40]}")
    return number


def checked_text(text: str) -> str:
    """An id that is text. Raises ValueError unless it is 1 to 64 printable ASCII characters."""
    if not (0 < len(text) <= _TEXT_CHARS_MAX and text.isascii() and text.isprintable()):
        raise ValueError(f"expected an id of 1 to {_TEXT_CHARS_MAX} printable characters, found {text[:40]!r}")
    return text


def ticker_fields(**texts: str | None) -> dict[str, Decimal | None]:
    """The fields that a message said; absent ones (None) are left out. Raises ValueError.

    An empty text, or a price of zero, is the venue's way to say that there is none: that is said with None, so that an
    old bid does not stand for ever. A quantity goes with its price. Negative numbers are refused.
    """
    fields: dict[str, Decimal | None] = {}
    for name, text in texts.items():
        if text is not None:
            fields[name] = number_of.get(text) or _ticker_number(name, text)
    for side in ("bid", "ask"):
        if side in fields and fields[side] is None:
            fields[f"{side}_quantity"] = None
    return fields


def _ticker_number(name: str, text: str) -> Decimal | None:
    if not text:
        return None
    value = decimal_from_text(text)
    if value.is_signed():
        raise ValueError(f"expected {name} of zero or more, found {text[:40]!r}")
    if not value:
        return None if name in _ABOVE_ZERO else value
    return positive(text)


def book_fields(bid: str, bid_quantity: str, ask: str, ask_quantity: str) -> dict[str, Decimal | None]:
    """`ticker_fields` of a best bid and ask, quicker where all four are above zero."""
    try:
        return {
            "bid": number_of.get(bid) or positive(bid),
            "bid_quantity": number_of.get(bid_quantity) or positive(bid_quantity),
            "ask": number_of.get(ask) or positive(ask),
            "ask_quantity": number_of.get(ask_quantity) or positive(ask_quantity),
        }
    except ValueError:
        return ticker_fields(bid=bid, bid_quantity=bid_quantity, ask=ask, ask_quantity=ask_quantity)


def refuse_repeated_keys(data: bytes) -> None:
    """Raises ValueError where an object has a key twice: decoders would silently take the last."""
    if _repeats(data):
        raise ValueError(_TWICE)


def _repeats(data: bytes) -> int:
    """How many objects have a key twice. Raises ValueError for what is no JSON.

    Decoding and encoding again drops repeated keys; outside of text every key has one colon, so the count tells.
    """
    if b"\\" not in data and _encode(_decode(data)).count(b":") == data.count(b":"):
        return 0
    repeats = 0

    def distinct(pairs: list[tuple[str, object]]) -> None:
        nonlocal repeats
        repeats += len({name for name, _ in pairs}) != len(pairs)

    json.loads(data, object_pairs_hook=distinct)
    return repeats


def row_of(layout: type[T], row: Mapping[str, Any]) -> T:
    """A decoded row (of REST) as this layout; other keys are left out. Raises ValueError for other types."""
    try:
        return msgspec.convert(row, layout)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)[:300]) from error


def rows(found: Sequence[msgspec.Raw], take: Callable[[bytes, int], list[Parsed]], frame: bytes) -> list[Parsed]:
    """The records of each row; `Refused` for a row that `take` cannot read, or that has a key twice.

    Raises ValueError when no row is good, or when `frame` has a key twice outside of its rows.
    """
    repeats = _repeats(frame)
    records: list[Parsed] = []
    reasons = []
    for place, row in enumerate(found):
        data = bytes(row)
        repeats_here = _repeats(data) if repeats else 0
        repeats -= repeats_here
        try:
            if repeats_here:
                raise ValueError(_TWICE)
            records += take(data, place)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            reasons.append(str(error)[:300])
            records.append(Refused(f"row {place + 1} of {len(found)}: {reasons[-1]}"))
    if repeats:
        raise ValueError(_TWICE)
    if reasons and len(reasons) == len(found):
        raise ValueError(reasons[0])
    return records


_TWICE = "expected each key once in an object, found one twice"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
