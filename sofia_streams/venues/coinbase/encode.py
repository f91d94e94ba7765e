"""Coinbase Exchange frames as the venue would send them. The inverse of `parse`; for the simulator."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from sofia_streams.model import NS_PER_SECOND, ParsedTicker, ParsedTrade
from sofia_streams.venues.base import Answer
from sofia_streams.venues.encoding import decoded, frame, plain, texts, words

_TICKER = {
    "last": "price", "bid": "best_bid", "bid_quantity": "best_bid_size", "ask": "best_ask",
    "ask_quantity": "best_ask_size", "open_24h": "open_24h", "high_24h": "high_24h", "low_24h": "low_24h",
    "volume_24h": "volume_24h",
}  # fmt: skip
_ORDER = "00000000-0000-0000-0000-000000000000"


def iso(value_ns: int) -> str:
    """`2026-08-09T21:05:48.167634Z`, nine digits where microseconds do not hold it."""
    seconds, rest_ns = divmod(value_ns, NS_PER_SECOND)
    fraction = f"{rest_ns // 1000:06d}" if rest_ns % 1000 == 0 else f"{rest_ns:09d}"
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction}Z"


def encode_trade(parsed: ParsedTrade) -> str:
    """A `match` (`last_match` for history); `side` is the maker's. The id must be a number."""
    trade = parsed.trade
    return frame(
        {
            "type": "last_match" if trade.snapshot else "match",
            "trade_id": int(trade.trade_id),
            "maker_order_id": _ORDER,
            "taker_order_id": _ORDER,
            "side": "sell" if trade.taker_side == "buy" else "buy",
            "size": plain(trade.quantity),
            "price": plain(trade.price),
            "product_id": parsed.venue_symbol,
            "sequence": int(trade.trade_id),
            "time": iso(trade.exchange_ns),
        }
    )


def encode_ticker(parsed: ParsedTicker) -> list[str]:
    """A `ticker`; the feed does not say the quote volume."""
    fields = texts(parsed.fields, _TICKER)
    return [
        frame({"type": "ticker", "product_id": parsed.venue_symbol, **fields, "time": iso(parsed.exchange_ns or 0)})
    ]


def answer(text: str, listed: frozenset[str]) -> Answer:
    """The list of subscriptions, or an error for the whole request when one product is not listed."""
    request = decoded(text)
    if request is None or request.get("type") not in ("subscribe", "unsubscribe"):
        return Answer([frame({"type": "error", "message": "Failed to subscribe", "reason": "Type must be subscribe"})])
    products = words(request.get("product_ids"))
    strangers = [name for name in products if name not in listed]
    if strangers:
        reason = f"{strangers[0]} is not a valid product"
        return Answer([frame({"type": "error", "message": "Failed to subscribe", "reason": reason})])
    channels = [{"name": name, "product_ids": products} for name in words(request.get("channels"))]
    done = [frame({"type": "subscriptions", "channels": channels})]
    return Answer(done, products) if request["type"] == "subscribe" else Answer(done, stopped=products)


def heartbeat(now_ns: int, last_ids: Mapping[str, str]) -> list[str]:
    """One for each product."""
    return [
        frame(
            {
                "type": "heartbeat",
                "sequence": int(last_id),
                "last_trade_id": int(last_id),
                "product_id": name,
                "time": iso(now_ns - now_ns % 1_000),
            }
        )
        for name, last_id in last_ids.items()
    ]
