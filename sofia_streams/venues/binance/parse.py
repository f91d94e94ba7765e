"""Binance spot and futures frames to records, raw or wrapped in a combined stream. No socket, no clock.

`m` true means the buyer was the maker, so the taker sold. `trade` and `aggTrade` ids are different spaces.
"""

from __future__ import annotations

import msgspec

from sofia_streams.errors import BadFrame
from sofia_streams.model import Control, IdKind, Parsed, ParsedTicker, ParsedTrade, Trade, positive_from_text
from sofia_streams.venues.fields import ns_from_ms_or_us, ticker_fields


class _Envelope(msgspec.Struct):
    stream: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    e: str | None = None
    u: int | None = None
    result: msgspec.Raw = msgspec.Raw()
    id: int | str | None = None
    code: int | None = None
    msg: str = ""
    error: msgspec.Raw = msgspec.Raw()


class _Kind(msgspec.Struct):
    e: str | None = None
    u: int | None = None


class _Trade(msgspec.Struct):
    s: str
    p: str
    q: str
    T: int
    m: bool
    t: int | None = None
    X: str = "MARKET"


class _AggTrade(msgspec.Struct):
    s: str
    a: int
    p: str
    q: str
    T: int
    m: bool


class _Book(msgspec.Struct):
    s: str
    b: str
    B: str
    a: str
    A: str
    T: int | None = None


class _MiniTicker(msgspec.Struct):
    s: str
    E: int
    c: str
    o: str
    h: str
    l: str  # noqa: E741  the venue's name
    v: str
    q: str


class _Ticker(_MiniTicker):
    b: str | None = None
    B: str | None = None
    a: str | None = None
    A: str | None = None


_envelope = msgspec.json.Decoder(_Envelope)
_kind = msgspec.json.Decoder(_Kind)
_trade = msgspec.json.Decoder(_Trade)
_agg_trade = msgspec.json.Decoder(_AggTrade)
_book = msgspec.json.Decoder(_Book)
_mini_ticker = msgspec.json.Decoder(_MiniTicker)
_ticker = msgspec.json.Decoder(_Ticker)


def parse(frame: bytes, *, received_ns: int) -> list[Parsed]:
    """Records in this frame. Raises BadFrame for bytes that no Binance stream sends."""
    try:
        envelope = _envelope.decode(frame)
        if envelope.stream is None:
            return [_record(envelope.e, envelope.u, frame) or _control(envelope)]
        if not bytes(envelope.data):
            raise ValueError("a combined frame without data")
        data = bytes(envelope.data)
        kind = _kind.decode(data)
        return [_record(kind.e, kind.u, data) or Control("ignored", kind.e or envelope.stream)]
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadFrame("binance", "a market stream event or a reply", str(error), frame) from error


def _record(event: str | None, update_id: int | None, data: bytes) -> Parsed | None:
    if event == "trade":
        row = _trade.decode(data)
        if row.X != "MARKET":  # insurance fund and similar: not a print of the market
            return Control("ignored", f"trade of kind {row.X}")
        if row.t is None:
            raise ValueError("a trade without id")
        return _print(row, row.t, "trade")
    if event == "aggTrade":
        agg = _agg_trade.decode(data)
        return _print(agg, agg.a, "agg")
    if event == "bookTicker" or (event is None and update_id is not None):
        book = _book.decode(data)
        fields = ticker_fields(bid=book.b, bid_quantity=book.B, ask=book.a, ask_quantity=book.A)
        return ParsedTicker(book.s, fields, None if book.T is None else ns_from_ms_or_us(book.T))
    if event in ("24hrMiniTicker", "24hrTicker"):
        return _statistics(_mini_ticker.decode(data) if event == "24hrMiniTicker" else _ticker.decode(data))
    if event == "serverShutdown":
        return Control("notice", "serverShutdown", reconnect=True)
    return None


def _print(row: _Trade | _AggTrade, number: int, kind: IdKind) -> ParsedTrade:
    if number < 0:
        raise ValueError(f"expected a trade id of 0 or more, found {number}")
    return ParsedTrade(
        row.s,
        Trade(
            trade_id=str(number),
            price=positive_from_text(row.p),
            quantity=positive_from_text(row.q),
            taker_side="sell" if row.m else "buy",
            exchange_ns=ns_from_ms_or_us(row.T),
            order=number,
            id_kind=kind,
        ),
    )


def _statistics(row: _MiniTicker) -> ParsedTicker:
    fields = ticker_fields(
        last=row.c, open_24h=row.o, high_24h=row.h, low_24h=row.l, volume_24h=row.v, quote_volume_24h=row.q
    )
    if isinstance(row, _Ticker):
        fields |= ticker_fields(bid=row.b, bid_quantity=row.B, ask=row.a, ask_quantity=row.A)
    return ParsedTicker(row.s, fields, ns_from_ms_or_us(row.E))


def _control(envelope: _Envelope) -> Control:
    if envelope.code is not None:
        return Control("error", f"{envelope.code} {envelope.msg}")
    if bytes(envelope.error):
        return Control("error", bytes(envelope.error).decode())
    if envelope.e is not None:
        return Control("ignored", envelope.e)
    if envelope.id is not None:
        return Control("ack", str(envelope.id))
    raise ValueError("neither an event, nor a reply")
