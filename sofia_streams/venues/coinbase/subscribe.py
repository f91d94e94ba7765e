"""Coinbase Exchange feed: where to connect, what to ask for, what it allows (developer documentation, 2026)."""

from __future__ import annotations

from collections.abc import Sequence

from sofia_streams.errors import UnknownSymbol
from sofia_streams.model import Market
from sofia_streams.venues.base import Limits
from sofia_streams.venues.encoding import frame

CHANNELS = ["matches", "ticker", "heartbeat"]
LIMITS = Limits(
    ping=None,
    ping_every_s=20.0,
    silence_s=5.0,  # a heartbeat a second for each product
    age_s_max=23 * 3600.0,  # no cap is documented
    connects_per_s=4.0,  # 8
    symbols_max=50,
    requests_per_s=20.0,  # 100
)


def url(market: Market) -> str:
    """The keyless feed. Raises UnknownSymbol: it has spot only."""
    if market != "spot":
        raise UnknownSymbol(f"coinbase: expected market spot, found {market}. Set CRYPTO_MARKET=spot or leave it out.")
    return "wss://ws-feed.exchange.coinbase.com"


def requests(listings: Sequence[str], market: Market) -> list[str]:
    """A subscribe frame a product: one bad product rejects the whole request it stands in."""
    return [frame({"type": "subscribe", "product_ids": [listing], "channels": CHANNELS}) for listing in listings]


def answers(request: str) -> int:
    """One a request."""
    return 1
