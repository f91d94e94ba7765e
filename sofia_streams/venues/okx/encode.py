"""OKX v5 frames as the venue would send them. The inverse of `parse`; for the simulator."""

from __future__ import annotations

from collections.abc import Mapping

from sofia_streams.model import ParsedTicker, ParsedTrade
from sofia_streams.venues.base import Answer
from sofia_streams.venues.encoding import decoded, frame, ms, plain, texts

_TICKER = {
    "last": "last", "bid": "bidPx", "bid_quantity": "bidSz", "ask": "askPx", "ask_quantity": "askSz",
    "open_24h": "open24h", "high_24h": "high24h", "low_24h": "low24h", "volume_24h": "vol24h",
    "quote_volume_24h": "volCcy24h",
}  # fmt: skip
_CONNECTION = "a4d3ae55"


def encode_trade(parsed: ParsedTrade) -> str:
    """A push of the `trades` channel; its id must be a number."""
    trade, listing = parsed.trade, parsed.venue_symbol
    row = {
        "instId": listing,
        "tradeId": trade.trade_id,
        "px": plain(trade.price),
        "sz": plain(trade.quantity),
        "side": trade.taker_side,
        "ts": str(ms(trade.exchange_ns)),
        "count": str(trade.count),
        "source": "0",
        "seqId": int(trade.trade_id),
    }
    return frame({"arg": {"channel": "trades", "instId": listing}, "data": [row]})


def encode_ticker(parsed: ParsedTicker) -> list[str]:
    """A push of the `tickers` channel (spot)."""
    listing, at_ms = parsed.venue_symbol, ms(parsed.exchange_ns or 0)
    row = {"instType": "SPOT", "instId": listing, **texts(parsed.fields, _TICKER), "ts": str(at_ms)}
    return [frame({"arg": {"channel": "tickers", "instId": listing}, "data": [row]})]


def answer(text: str, listed: frozenset[str]) -> Answer:
    """One acknowledgement for each argument, or an error for a name that is not listed; "pong" to "ping"."""
    if text == "ping":
        return Answer(["pong"])
    request = decoded(text)
    event = request.get("op") if request else None
    arguments = request.get("args") if request and event in ("subscribe", "unsubscribe") else None
    if not isinstance(arguments, list):
        return Answer([_error("60012", f"Invalid request: {text[:200]}")])
    frames, symbols = [], []
    for argument in arguments:
        name = argument.get("instId") if isinstance(argument, dict) else None
        if isinstance(name, str) and name in listed:
            symbols.append(name)
            frames.append(frame({"event": event, "arg": argument, "connId": _CONNECTION}))
        else:
            frames.append(_error("60018", f"Wrong URL or channel:{argument} doesn't exist."))
    names = list(dict.fromkeys(symbols))
    return Answer(frames, names) if event == "subscribe" else Answer(frames, stopped=names)


def heartbeat(now_ns: int, last_ids: Mapping[str, str]) -> list[str]:
    """Nothing: the client pings."""
    return []


def _error(code: str, message: str) -> str:
    return frame({"event": "error", "code": code, "msg": message, "connId": _CONNECTION})
