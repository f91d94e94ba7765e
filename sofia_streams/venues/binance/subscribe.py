"""Binance: where to connect, what to ask for, what it allows (spot API documentation, 2026-07-21)."""

from __future__ import annotations

from collections.abc import Sequence

from sofia_streams.model import Market
from sofia_streams.venues.base import Limits
from sofia_streams.venues.encoding import frame

_URLS: dict[Market, str] = {
    "spot": "wss://data-stream.binance.vision/stream",
    "linear": "wss://fstream.binance.com/stream",
    "inverse": "wss://dstream.binance.com/stream",
}
STREAMS = ("trade", "miniTicker", "bookTicker")
_STREAMS_A_REQUEST = 100
LIMITS = Limits(
    ping=None,  # the server pings; the client library answers
    ping_every_s=20.0,
    silence_s=30.0,
    age_s_max=23 * 3600.0,  # the venue cuts at 24 h
    connects_per_s=0.5,  # 300 in 5 minutes
    symbols_max=300,  # 1024 streams
    requests_per_s=4.0,  # 5
)


def url(market: Market) -> str:
    """The market-data host, combined streams."""
    return _URLS[market]


def requests(listings: Sequence[str], market: Market) -> list[str]:
    """Subscribe frames. Contracts have no `trade` stream that is documented, so aggregates are read there."""
    kinds = STREAMS if market == "spot" else ("aggTrade", *STREAMS[1:])
    streams = [f"{listing.lower()}@{kind}" for listing in listings for kind in kinds]
    parts = [streams[first : first + _STREAMS_A_REQUEST] for first in range(0, len(streams), _STREAMS_A_REQUEST)]
    return [frame({"method": "SUBSCRIBE", "params": part, "id": number}) for number, part in enumerate(parts, 1)]


def answers(request: str) -> int:
    """One a request."""
    return 1
