"""OKX: where to connect, what to ask for, what it allows (API v5 guide, 2026-07-28)."""

from __future__ import annotations

from collections.abc import Sequence

from sofia_streams.model import Market
from sofia_streams.venues.base import Limits
from sofia_streams.venues.encoding import decoded, frame

CHANNELS = ("trades", "tickers")
_ARGUMENTS_A_REQUEST = 200  # 64 KB a request
LIMITS = Limits(
    ping="ping",  # bare text; the answer is the bare text "pong"
    ping_every_s=20.0,
    silence_s=28.0,
    age_s_max=23 * 3600.0,
    connects_per_s=2.0,  # 3
    symbols_max=200,
    requests_per_s=3.0,
)


def url(market: Market) -> str:
    """One public address for all markets."""
    return "wss://ws.okx.com:8443/ws/v5/public"


def requests(listings: Sequence[str], market: Market) -> list[str]:
    """Subscribe frames."""
    arguments = [{"channel": channel, "instId": listing} for listing in listings for channel in CHANNELS]
    size = _ARGUMENTS_A_REQUEST
    return [
        frame({"op": "subscribe", "args": arguments[first : first + size]}) for first in range(0, len(arguments), size)
    ]


def answers(request: str) -> int:
    """One for each argument."""
    arguments = (decoded(request) or {}).get("args")
    return len(arguments) if isinstance(arguments, list) else 1
