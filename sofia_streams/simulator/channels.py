"""Which channel a frame belongs to and which channels a client asked for, in one spelling per venue.

Binance `btcusdt@trade`, OKX `trades:BTC-USDT`, Coinbase `matches:BTC-USD` (both feeds), Bybit `publicTrade.BTCUSDT`.
Reads only as much of a frame as that takes; parsing is the venues' own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from sofia_streams.venues.base import Answer
from sofia_streams.venues.encoding import decoded, frame, words
from sofia_streams.venues.registry import VENUES

ADVANCED = "spot/advanced"
"""What stands after `/coinbase/` for the Advanced Trade feed, a protocol of its own."""
_BINANCE = {"24hrMiniTicker": "miniTicker", "24hrTicker": "ticker"}
_COINBASE = {"match": "matches", "last_match": "matches"}
_NONE: frozenset[str] = frozenset()


class Wanted(NamedTuple):
    """One channel of one listing that a client asked for."""

    channel: str
    listing: str


class _Argument(msgspec.Struct):
    channel: str = ""
    instId: str = ""


class _Product(msgspec.Struct):
    product_id: str = ""


class _Event(msgspec.Struct):
    trades: list[_Product] = []
    tickers: list[_Product] = []


class _Envelope(msgspec.Struct):
    """What names the channel, of any venue."""

    stream: str | None = None
    e: str | None = None
    s: str | None = None
    u: int | None = None
    arg: _Argument | None = None
    topic: str | None = None
    type: str | None = None
    product_id: str | None = None
    channel: str | None = None
    events: list[_Event] = []


_envelope = msgspec.json.Decoder(_Envelope)


def carried(venue: str, text: str) -> frozenset[str]:
    """The channels that this frame of a venue belongs to; none for bytes that do not say."""
    try:
        found = _envelope.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _NONE
    if venue == "binance":
        return frozenset(filter(None, [found.stream or _raw_binance(found)]))
    if venue == "okx":
        return frozenset([f"{found.arg.channel}:{found.arg.instId}"]) if found.arg else _NONE
    if venue == "bybit":
        return frozenset(filter(None, [found.topic]))
    if found.channel is not None:
        products = {row.product_id for event in found.events for row in (*event.trades, *event.tickers)}
        return frozenset(f"{found.channel}:{product}" for product in products)
    if found.type is None or found.product_id is None:
        return _NONE
    return frozenset([f"{_COINBASE.get(found.type, found.type)}:{found.product_id}"])


def _raw_binance(found: _Envelope) -> str | None:
    """The stream of a frame that is not wrapped in a combined one; best bid and ask have no event type on spot."""
    event = found.e or ("bookTicker" if found.u is not None else None)
    return f"{found.s.lower()}@{_BINANCE.get(event, event)}" if event and found.s else None


def _asked_binance(request: dict[str, object]) -> list[Wanted]:
    return [Wanted(stream, stream.partition("@")[0].upper()) for stream in words(request.get("params"))]


def _asked_okx(request: dict[str, object]) -> list[Wanted]:
    arguments = request.get("args")
    rows = arguments if isinstance(arguments, list) else []
    return [
        Wanted(f"{row.get('channel')}:{row.get('instId')}", str(row.get("instId")))
        for row in rows
        if isinstance(row, dict)
    ]


def _asked_bybit(request: dict[str, object]) -> list[Wanted]:
    return [Wanted(topic, topic.rpartition(".")[2]) for topic in words(request.get("args"))]


def _asked_coinbase(request: dict[str, object]) -> list[Wanted]:
    channels = [*words(request.get("channels")), *words([request.get("channel")])]
    products = words(request.get("product_ids"))
    return [Wanted(f"{channel}:{product}", product) for channel in channels for product in products]


_ASKED: dict[str, Callable[[dict[str, object]], list[Wanted]]] = {
    "binance": _asked_binance,
    "okx": _asked_okx,
    "bybit": _asked_bybit,
    "coinbase": _asked_coinbase,
}


def asked(venue: str, text: str) -> list[Wanted]:
    """The channels that a client's frame asks for; what the venue makes of it is its `answer`."""
    return _ASKED[venue](decoded(text) or {})


def answer(venue: str, market: str, text: str, listed: frozenset[str]) -> Answer:
    """What the venue answers on this path."""
    return _answer_advanced(text, listed) if market == ADVANCED else VENUES[venue].answer(text, listed)


def _answer_advanced(text: str, listed: frozenset[str]) -> Answer:
    """Coinbase Advanced Trade: one channel a request; a product that is not listed fails the whole request."""
    request = decoded(text)
    channel = (request or {}).get("channel")
    if request is None or request.get("type") != "subscribe" or not isinstance(channel, str):
        return Answer([frame({"type": "error", "message": "expected a subscribe request with one channel"})])
    products = words(request.get("product_ids"))
    strangers = [name for name in products if name not in listed]
    if strangers:
        return Answer([frame({"type": "error", "message": f"{strangers[0]} is not a valid product"})])
    event = {"subscriptions": {channel: products}}
    return Answer([frame({"channel": "subscriptions", "sequence_num": 0, "events": [event]})], products)
