"""Bybit v5 public frames to records. No socket, no clock. `S` is the taker's side; contracts send ticker deltas.

Ids are not ordered (UUIDs on contracts), so the venue's order is the cross sequence `seq`, then the place in the frame.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from sofia_streams.errors import BadFrame
from sofia_streams.model import Control, Parsed, ParsedTicker, ParsedTrade, Side, Trade, positive_from_text
from sofia_streams.venues.fields import ns_from_ms, ticker_fields

_TAKER: dict[str, Side] = {"Buy": "buy", "Sell": "sell"}
TRADES_PER_FRAME_MAX = 2048
"""The venue says 1024; the order of a trade is `seq * TRADES_PER_FRAME_MAX + place`."""


class _Envelope(msgspec.Struct):
    topic: str | None = None
    ts: int | None = None
    data: msgspec.Raw = msgspec.Raw()
    op: str | None = None
    success: bool | None = None
    ret_msg: str = ""


class _Trade(msgspec.Struct):
    i: str
    s: str
    p: str
    v: str
    T: int
    S: Literal["Buy", "Sell"]
    seq: int = 0


class _Ticker(msgspec.Struct):
    symbol: str
    lastPrice: str = ""
    bid1Price: str = ""
    bid1Size: str = ""
    ask1Price: str = ""
    ask1Size: str = ""
    prevPrice24h: str = ""
    highPrice24h: str = ""
    lowPrice24h: str = ""
    volume24h: str = ""
    turnover24h: str = ""


class _Book(msgspec.Struct):
    s: str
    b: list[tuple[str, str]] = []
    a: list[tuple[str, str]] = []


_envelope = msgspec.json.Decoder(_Envelope)
_trades = msgspec.json.Decoder(list[_Trade])
_ticker = msgspec.json.Decoder(_Ticker)
_book = msgspec.json.Decoder(_Book)


def parse(frame: bytes, *, received_ns: int) -> list[Parsed]:
    """Records in this frame, in the venue's order. Raises BadFrame for bytes that no v5 topic sends."""
    try:
        envelope = _envelope.decode(frame)
        if envelope.topic is None:
            return [_control(envelope)]
        if not bytes(envelope.data):
            raise ValueError("a topic without data")
        return _records(envelope.topic, envelope.ts, bytes(envelope.data))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadFrame("bybit", "a v5 public topic or a reply", str(error), frame) from error


def _records(topic: str, ts: int | None, data: bytes) -> list[Parsed]:
    if topic.startswith("publicTrade."):
        rows = _trades.decode(data)
        if len(rows) > TRADES_PER_FRAME_MAX:
            raise ValueError(f"expected at most {TRADES_PER_FRAME_MAX} trades a frame, found {len(rows)}")
        return [_print(row, place) for place, row in enumerate(rows)]
    exchange_ns = None if ts is None else ns_from_ms(ts)
    if topic.startswith("tickers."):
        return [_statistics(_ticker.decode(data), exchange_ns)]
    if topic.startswith("orderbook.1."):
        return [_best(_book.decode(data), exchange_ns)]
    return [Control("ignored", topic)]


def _print(row: _Trade, place: int) -> ParsedTrade:
    if not row.i or row.seq < 0:
        raise ValueError("expected a trade id and a sequence of 0 or more")
    return ParsedTrade(
        row.s,
        Trade(
            trade_id=row.i,
            price=positive_from_text(row.p),
            quantity=positive_from_text(row.v),
            taker_side=_TAKER[row.S],
            exchange_ns=ns_from_ms(row.T),
            order=row.seq * TRADES_PER_FRAME_MAX + place,
        ),
    )


def _statistics(row: _Ticker, exchange_ns: int | None) -> ParsedTicker:
    fields = ticker_fields(
        last=row.lastPrice, bid=row.bid1Price, bid_quantity=row.bid1Size, ask=row.ask1Price, ask_quantity=row.ask1Size,
        open_24h=row.prevPrice24h, high_24h=row.highPrice24h, low_24h=row.lowPrice24h, volume_24h=row.volume24h,
        quote_volume_24h=row.turnover24h,
    )  # fmt: skip
    return ParsedTicker(row.symbol, fields, exchange_ns)


def _best(row: _Book, exchange_ns: int | None) -> ParsedTicker:
    bid, ask = (side[0] if side and side[0][1] != "0" else ("", "") for side in (row.b, row.a))
    fields = ticker_fields(bid=bid[0], bid_quantity=bid[1], ask=ask[0], ask_quantity=ask[1])
    return ParsedTicker(row.s, fields, exchange_ns)


def _control(envelope: _Envelope) -> Control:
    if envelope.op == "pong" or envelope.ret_msg == "pong":
        return Control("pong")
    if envelope.success is False:
        return Control("error", envelope.ret_msg)
    if envelope.op is None:
        raise ValueError("neither a topic nor a reply")
    return Control("ack" if envelope.op == "subscribe" else "ignored", envelope.op)
