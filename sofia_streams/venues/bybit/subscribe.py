"""Bybit v5: where to connect, what to ask for, what it allows (API documentation, 2026-07-24)."""

from __future__ import annotations

from collections.abc import Sequence

from sofia_streams.model import Market
from sofia_streams.venues.base import Limits
from sofia_streams.venues.encoding import frame

TOPICS = ("publicTrade", "tickers", "orderbook.1")
LIMITS = Limits(
    ping='{"req_id":"sofia","op":"ping"}',
    ping_every_s=20.0,
    silence_s=30.0,
    age_s_max=23 * 3600.0,
    connects_per_s=1.0,  # 500 in 5 minutes
    symbols_max=100,  # 21,000 characters of topics a connection
    requests_per_s=10.0,
)


def url(market: Market) -> str:
    """Spot and contracts are different addresses and different books."""
    return f"wss://stream.bybit.com/v5/public/{market}"


def requests(listings: Sequence[str], market: Market) -> list[str]:
    """A subscribe frame a listing: a bad topic rejects its whole request, and spot takes ten topics in one at most."""
    return [
        frame({"req_id": str(number), "op": "subscribe", "args": [f"{topic}.{listing}" for topic in TOPICS]})
        for number, listing in enumerate(listings, 1)
    ]


def answers(request: str) -> int:
    """One a request."""
    return 1
