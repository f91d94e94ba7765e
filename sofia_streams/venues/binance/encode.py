"""Binance frames as the venue would send them, combined streams. The inverse of `parse`; for the simulator."""

from __future__ import annotations

from collections.abc import Mapping

from sofia_streams.model import ParsedTicker, ParsedTrade
from sofia_streams.venues.base import Answer
from sofia_streams.venues.encoding import decoded, frame, ms, plain, texts, words

_STATISTICS = {
    "last": "c", "open_24h": "o", "high_24h": "h", "low_24h": "l", "volume_24h": "v", "quote_volume_24h": "q",
}  # fmt: skip
_BOOK = {"bid": "b", "bid_quantity": "B", "ask": "a", "ask_quantity": "A"}


def encode_trade(parsed: ParsedTrade) -> str:
    """A `trade` or `aggTrade` event; its id must be a number."""
    trade, listing = parsed.trade, parsed.venue_symbol
    at_ms = ms(trade.exchange_ns)
    kind, name = ("aggTrade", "a") if trade.id_kind == "agg" else ("trade", "t")
    data = {
        "e": kind,
        "E": at_ms,
        "s": listing,
        name: int(trade.trade_id),
        "p": plain(trade.price),
        "q": plain(trade.quantity),
        "T": at_ms,
        "m": trade.taker_side == "sell",
        "M": True,
    }
    return frame({"stream": f"{listing.lower()}@{kind}", "data": data})


def encode_ticker(parsed: ParsedTicker) -> list[str]:
    """`miniTicker` and `bookTicker`, as far as the fields are there."""
    listing, fields = parsed.venue_symbol, parsed.fields
    frames = []
    if _STATISTICS.keys() <= fields.keys():
        data = {"e": "24hrMiniTicker", "E": ms(parsed.exchange_ns or 0), "s": listing, **texts(fields, _STATISTICS)}
        frames.append(frame({"stream": f"{listing.lower()}@miniTicker", "data": data}))
    if _BOOK.keys() <= fields.keys():
        data = {"u": ms(parsed.exchange_ns or 0), "s": listing, **texts(fields, _BOOK)}
        frames.append(frame({"stream": f"{listing.lower()}@bookTicker", "data": data}))
    return frames


def answer(text: str, listed: frozenset[str]) -> Answer:
    """Acknowledges any subscription; one to a name that is not listed stays silent, as the venue does."""
    request = decoded(text)
    if request is None:
        return Answer([frame({"code": 3, "msg": "Invalid JSON"})])
    if request.get("method") not in ("SUBSCRIBE", "UNSUBSCRIBE"):
        return Answer([frame({"code": 2, "msg": "Invalid request", "id": request.get("id")})])
    asked = dict.fromkeys(stream.partition("@")[0].upper() for stream in words(request.get("params")))
    names = [name for name in asked if name in listed]
    done = [frame({"result": None, "id": request.get("id")})]
    return Answer(done, names) if request["method"] == "SUBSCRIBE" else Answer(done, stopped=names)


def heartbeat(now_ns: int, last_ids: Mapping[str, str]) -> list[str]:
    """Nothing: the venue pings on the protocol's level."""
    return []
