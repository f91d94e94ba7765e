"""Bybit v5 spot frames as the venue would send them. The inverse of `parse`; for the simulator."""

from __future__ import annotations

from collections.abc import Mapping

from sofia_streams.model import ParsedTicker, ParsedTrade
from sofia_streams.venues.base import Answer
from sofia_streams.venues.bybit.parse import TRADES_PER_FRAME_MAX
from sofia_streams.venues.encoding import decoded, frame, ms, plain, texts, words

_TICKER = {
    "last": "lastPrice", "open_24h": "prevPrice24h", "high_24h": "highPrice24h", "low_24h": "lowPrice24h",
    "volume_24h": "volume24h", "quote_volume_24h": "turnover24h",
}  # fmt: skip
_SIDE = {"buy": "Buy", "sell": "Sell"}
_CONNECTION = "2324d924-aa4d-45b0-a858-7b8be29ab52b"


def encode_trade(parsed: ParsedTrade) -> str:
    """A `publicTrade` message of one trade: its order must be a multiple of TRADES_PER_FRAME_MAX."""
    trade, listing = parsed.trade, parsed.venue_symbol
    at_ms = ms(trade.exchange_ns)
    row = {
        "T": at_ms,
        "s": listing,
        "S": _SIDE[trade.taker_side],
        "v": plain(trade.quantity),
        "p": plain(trade.price),
        "i": trade.trade_id,
        "BT": False,
        "RPI": False,
        "seq": trade.order // TRADES_PER_FRAME_MAX,
    }
    return frame({"topic": f"publicTrade.{listing}", "type": "snapshot", "ts": at_ms, "data": [row]})


def encode_ticker(parsed: ParsedTicker) -> list[str]:
    """`tickers`, which has no bid and ask on spot, and `orderbook.1`, as far as the fields are there."""
    listing, fields, at_ms = parsed.venue_symbol, parsed.fields, ms(parsed.exchange_ns or 0)
    statistics = texts(fields, _TICKER)
    frames = []
    if statistics:
        data: dict[str, object] = {"symbol": listing, **statistics}
        frames.append(frame({"topic": f"tickers.{listing}", "ts": at_ms, "type": "snapshot", "data": data}))
    sides: dict[str, list[list[str]]] = {}
    for name, side in (("b", "bid"), ("a", "ask")):
        price, quantity = fields.get(side), fields.get(f"{side}_quantity")
        if side in fields:
            sides[name] = [] if price is None or quantity is None else [[plain(price), plain(quantity)]]
    if sides:
        data = {"s": listing, **sides, "u": at_ms, "seq": at_ms}
        frames.append(frame({"topic": f"orderbook.1.{listing}", "ts": at_ms, "type": "snapshot", "data": data}))
    return frames


def answer(text: str, listed: frozenset[str]) -> Answer:
    """One acknowledgement a request; a topic of a name that is not listed fails the whole request."""
    request = decoded(text) or {}
    common = {"conn_id": _CONNECTION, "req_id": request.get("req_id", "")}
    if request.get("op") == "ping":
        return Answer([frame({"success": True, "ret_msg": "pong", **common, "op": "ping"})])
    op = request.get("op")
    if op not in ("subscribe", "unsubscribe"):
        return Answer([frame({"success": False, "ret_msg": "Invalid op", **common, "op": "subscribe"})])
    topics = words(request.get("args"))
    strangers = [topic for topic in topics if topic.rpartition(".")[2] not in listed]
    if strangers:
        return Answer(
            [frame({"success": False, "ret_msg": f"Invalid topic: {strangers[0]}", **common, "op": "subscribe"})]
        )
    names = dict.fromkeys(topic.rpartition(".")[2] for topic in topics)
    done = [frame({"success": True, "ret_msg": op, **common, "op": op})]
    return Answer(done, list(names)) if op == "subscribe" else Answer(done, stopped=list(names))


def heartbeat(now_ns: int, last_ids: Mapping[str, str]) -> list[str]:
    """Nothing: the client pings."""
    return []
