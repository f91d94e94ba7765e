"""What every simulated venue's REST needs: an HTTP answer, parameters read strictly, plain numbers. No socket."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from sofia_streams.simulator.candle import Candle
from sofia_streams.simulator.instrument import SimulatedInstrument

MIN_NOTIONAL = "5"
_JSON = {"Content-Type": "application/json"}
_encoder = msgspec.json.Encoder()


class Reply(NamedTuple):
    """An HTTP answer; `cut` bytes of its body are announced and not sent."""

    status: int
    body: str
    headers: Mapping[str, str] = _JSON
    cut: int = 0


class BadParameter(ValueError):
    """A parameter that the venue refuses: its name, and what was sent (None: nothing)."""

    def __init__(self, name: str, found: str | None) -> None:
        super().__init__(name)
        self.name, self.found = name, found


def json_reply(value: Any, status: int = 200, headers: Mapping[str, str] = {}) -> Reply:
    """An answer in JSON."""
    return Reply(status, _encoder.encode(value).decode(), {**_JSON, **headers})


def too_many(after_s: float) -> Reply:
    """What a client that asked too often gets."""
    return json_reply({"code": -1003, "msg": "Too many requests."}, 429, {"Retry-After": f"{math.ceil(after_s)}"})


def number(asked: Mapping[str, str], name: str) -> int | None:
    """A whole number from zero; None where it was not sent. Raises BadParameter."""
    text = asked.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise BadParameter(name, text)
    return int(text)


def limit(asked: Mapping[str, str], usual: int, most: int) -> int:
    """How many rows, at most `most` whatever is asked. Raises BadParameter, for none at all too."""
    wanted = number(asked, "limit")
    if wanted == 0:
        raise BadParameter("limit", "0")
    return min(usual if wanted is None else wanted, most)


def moment_ms(asked: Mapping[str, str], name: str) -> int | None:
    """A time in ISO text, ms. Raises BadParameter."""
    try:
        return round(datetime.fromisoformat(asked[name]).timestamp() * 1000) if name in asked else None
    except (ValueError, OverflowError, OSError) as error:  # the last two: years that the system cannot count
        raise BadParameter(name, asked[name]) from error


def step(one: SimulatedInstrument) -> str:
    """The lot size."""
    return format(Decimal(1).scaleb(-one.lot_digits), "f")


def ohlc(one: Candle) -> list[str]:
    """Its prices as text."""
    return [f"{price:f}" for price in (one.open, one.high, one.low, one.close)]
