"""Bybit v5 public frames to records. No socket, no clock. `S` is the taker's side; contracts send ticker deltas.

Ids are not ordered (UUIDs on contracts), so the venue's order is the cross sequence `seq`, then the place in the frame.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import msgspec

from sofia_streams.errors import BadFrame
from sofia_streams.model import Control, Parsed, ParsedTicker, ParsedTrade, Side, Trade, decimal_from_text
from sofia_streams.venues.fields import (
    TIME_MS_MAX,
    checked_text,
    ns_from_ms,
    number_of,
    positive,
    refuse_repeated_keys,
    rows,
    ticker_fields,
)

TAKER: dict[str, Side] = {"Buy": "buy", "Sell": "sell"}
TRADES_PER_FRAME_MAX = 2048
"""The venue says 1024; the order of a trade is `seq * TRADES_PER_FRAME_MAX + place`."""
SEQUENCE_MAX = (2**63 - 1) // TRADES_PER_FRAME_MAX - 1


class _Envelope(msgspec.Struct):
    topic: str | None = None
    type: str = ""
    ts: int | None = None
    data: msgspec.Raw = msgspec.Raw()
    op: str | None = None
    success: bool | None = None
    ret_msg: str = ""


class _Trade(msgspec.Struct, gc=False):
    T: int
    s: str
    S: Literal["Buy", "Sell"]
    v: str
    p: str
    i: str
    seq: int = 0


class _Ticker(msgspec.Struct):
    symbol: str
    lastPrice: str | None = None
    bid1Price: str | None = None
    bid1Size: str | None = None
    ask1Price: str | None = None
    ask1Size: str | None = None
    prevPrice24h: str | None = None
    highPrice24h: str | None = None
    lowPrice24h: str | None = None
    volume24h: str | None = None
    turnover24h: str | None = None


class _Book(msgspec.Struct):
    s: str
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]


class _SpotRow(msgspec.Struct, gc=False):
    """In the order of the wire, which decodes fastest."""

    T: int
    s: str
    S: Literal["Buy", "Sell"]
    v: str
    p: str
    i: str
    BT: bool
    RPI: bool
    seq: int


class _ContractRow(msgspec.Struct, gc=False):
    T: int
    s: str
    S: Literal["Buy", "Sell"]
    v: str
    p: str
    L: str
    i: str
    BT: bool
    RPI: bool
    seq: int


class _SpotTrades(msgspec.Struct, gc=False):
    topic: str
    type: str
    ts: int
    data: list[_SpotRow]


class _ContractTrades(msgspec.Struct, gc=False):
    topic: str
    type: str
    ts: int
    data: list[_ContractRow]


_envelope = msgspec.json.Decoder(_Envelope)
_rows = msgspec.json.Decoder(list[msgspec.Raw])
_trade = msgspec.json.Decoder(_Trade)
_ticker = msgspec.json.Decoder(_Ticker)
_book = msgspec.json.Decoder(_Book)
_spot: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_SpotTrades)
_contract: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_ContractTrades)
_ENVELOPE_COLONS, _SPOT_COLONS, _CONTRACT_COLONS = 4, 9, 10
_FIRST_ROW = 320
"""Bytes that hold the first row."""


def parse(frame: bytes, *, received_ns: int) -> list[Parsed]:
    """Records in this frame, in the venue's order. Raises BadFrame for bytes that no v5 topic sends."""
    if frame.startswith(b'{"topic":"publicTrade.'):
        is_contract = frame.find(b'"L":', 0, _FIRST_ROW) > 0
        decoder, keys = (_contract, _CONTRACT_COLONS) if is_contract else (_spot, _SPOT_COLONS)
        try:
            found = decoder.decode(frame).data
            # as many colons as keys, and each key is there: none stands twice
            if frame.count(b":") == _ENVELOPE_COLONS + keys * len(found) and len(found) <= TRADES_PER_FRAME_MAX:
                return [_print(row, place) for place, row in enumerate(found)]
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pass  # the careful way says what is wrong
    return _careful(frame)


def _careful(frame: bytes) -> list[Parsed]:
    try:
        envelope = _envelope.decode(frame)
        if envelope.topic is None:
            return [_control(envelope)]
        if not bytes(envelope.data):
            raise ValueError("a topic without data")
        return _records(envelope, envelope.topic, frame)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadFrame("bybit", "a v5 public topic or a reply", str(error)[:300], frame) from error


def _records(envelope: _Envelope, topic: str, frame: bytes) -> list[Parsed]:
    if topic.startswith("publicTrade."):
        found = _rows.decode(envelope.data)
        if len(found) > TRADES_PER_FRAME_MAX:
            raise ValueError(f"expected at most {TRADES_PER_FRAME_MAX} trades a frame, found {len(found)}")
        return rows(found, lambda row, place: [_print(_trade.decode(row), place)], frame)
    if not topic.startswith(("tickers.", "orderbook.1.")):
        return [Control("ignored", topic[:100])]
    refuse_repeated_keys(frame)
    exchange_ns = None if envelope.ts is None else ns_from_ms(envelope.ts)
    if topic.startswith("tickers."):
        return [_statistics(_ticker.decode(envelope.data), exchange_ns)]
    return [_best(_book.decode(envelope.data), exchange_ns, is_whole=envelope.type == "snapshot")]


def _print(row: _Trade | _SpotRow | _ContractRow, place: int) -> ParsedTrade:
    if not 0 <= row.seq <= SEQUENCE_MAX:
        raise ValueError(f"expected a sequence of 0 or more, found {str(row.seq)[:40]}")
    at = row.T
    return ParsedTrade(
        row.s,
        Trade(
            checked_text(row.i),
            number_of.get(row.p) or positive(row.p),
            number_of.get(row.v) or positive(row.v),
            TAKER[row.S],
            at * 1_000_000 if 0 < at <= TIME_MS_MAX else ns_from_ms(at),
            row.seq * TRADES_PER_FRAME_MAX + place,
        ),
    )


def _statistics(row: _Ticker, exchange_ns: int | None) -> ParsedTicker:
    fields = ticker_fields(
        last=row.lastPrice, bid=row.bid1Price, bid_quantity=row.bid1Size, ask=row.ask1Price, ask_quantity=row.ask1Size,
        open_24h=row.prevPrice24h, high_24h=row.highPrice24h, low_24h=row.lowPrice24h, volume_24h=row.volume24h,
        quote_volume_24h=row.turnover24h,
    )  # fmt: skip
    return ParsedTicker(row.symbol, fields, exchange_ns)


def _best(row: _Book, exchange_ns: int | None, *, is_whole: bool) -> ParsedTicker:
    """The best level of each side. Size 0 deletes a level, and the book is one deep.

    So a side whose only news is a deletion is empty until the next message, and a side that a snapshot leaves out is
    empty too: both are said. A side that a delta leaves out is as it was.
    """
    fields: dict[str, Decimal | None] = {}
    for name, levels in (("bid", row.b), ("ask", row.a)):
        if levels or is_whole:
            standing = [(price, size) for price, size in levels if decimal_from_text(size)]
            price, size = standing[0] if standing else ("", "")
            fields |= ticker_fields(**{name: price, f"{name}_quantity": size})
    return ParsedTicker(row.s, fields, exchange_ns)


def _control(envelope: _Envelope) -> Control:
    if envelope.op == "pong" or envelope.ret_msg == "pong":
        return Control("pong")
    if envelope.success is False:
        return Control("error", envelope.ret_msg)
    if envelope.op is None:
        raise ValueError("neither a topic nor a reply")
    return Control("ack" if envelope.op == "subscribe" else "ignored", envelope.op)
