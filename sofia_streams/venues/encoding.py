"""What the encoders share: plain decimal text, milliseconds, compact JSON. For the simulator only."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

_encoder = msgspec.json.Encoder()


def frame(message: object) -> str:
    """A JSON text frame."""
    return _encoder.encode(message).decode()


def plain(value: Decimal) -> str:
    """Decimal digits without an exponent."""
    return format(value, "f")


def texts(fields: Mapping[str, Decimal | None], names: Mapping[str, str]) -> dict[str, str]:
    """The fields that are there, under the venue's names, as text; empty where there is none."""
    there = {theirs: fields[ours] for ours, theirs in names.items() if ours in fields}
    return {theirs: "" if value is None else plain(value) for theirs, value in there.items()}


def ms(value_ns: int) -> int:
    """Whole milliseconds. Raises ValueError for a finer time, which such a venue cannot say."""
    value_ms, rest_ns = divmod(value_ns, 1_000_000)
    if rest_ns:
        raise ValueError(f"expected a time in whole milliseconds, found {value_ns} ns")
    return value_ms


def decoded(text: str) -> dict[str, object] | None:
    """A client's request; None where it is not a JSON object."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def words(value: object) -> list[str]:
    """The texts of a JSON list; others are left out."""
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []
