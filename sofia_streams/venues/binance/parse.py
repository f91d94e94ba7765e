"""Binance spot and futures frames to records, raw or wrapped in a combined stream. No socket, no clock.

`m` true means the buyer was the maker, so the taker sold. `trade` and `aggTrade` ids are different spaces.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from sofia_streams.errors import BadFrame
from sofia_streams.model import Control, IdKind, Parsed, ParsedTicker, ParsedTrade, Trade
from sofia_streams.venues.fields import (
    ID_MAX,
    TIME_MS_MAX,
    book_fields,
    checked_id,
    ns_from_ms_or_us,
    number_of,
    positive,
    refuse_repeated_keys,
    ticker_fields,
)


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


class _Trade(msgspec.Struct, gc=False):
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool
    X: str | None = None


class _AggTrade(msgspec.Struct, gc=False):
    s: str
    a: int
    p: str
    q: str
    T: int
    m: bool


class _Book(msgspec.Struct, gc=False):
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


class _ExactTrade(msgspec.Struct, gc=False):
    """In the order of the wire, which decodes fastest; `M` on spot, `X` on contracts."""

    e: Literal["trade"]
    E: int
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool
    M: bool | None = None
    X: str | None = None


class _ExactAggTrade(msgspec.Struct, gc=False):
    e: Literal["aggTrade"]
    E: int
    s: str
    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741  the venue's name
    T: int
    m: bool
    M: bool | None = None


class _ExactBook(msgspec.Struct, gc=False):
    u: int
    s: str
    b: str
    B: str
    a: str
    A: str
    T: None = None


class _CombinedTrade(msgspec.Struct, gc=False):
    stream: str
    data: _ExactTrade


class _CombinedAggTrade(msgspec.Struct, gc=False):
    stream: str
    data: _ExactAggTrade


class _CombinedBook(msgspec.Struct, gc=False):
    stream: str
    data: _ExactBook


_envelope = msgspec.json.Decoder(_Envelope)
_kind = msgspec.json.Decoder(_Kind)
_trade = msgspec.json.Decoder(_Trade)
_agg_trade = msgspec.json.Decoder(_AggTrade)
_book = msgspec.json.Decoder(_Book)
_mini_ticker = msgspec.json.Decoder(_MiniTicker)
_ticker = msgspec.json.Decoder(_Ticker)

_exact: dict[int, msgspec.json.Decoder[Any]] = {
    8: msgspec.json.Decoder(_CombinedBook),  # spot; that of contracts has more
    11: msgspec.json.Decoder(_CombinedTrade),
    12: msgspec.json.Decoder(_CombinedAggTrade),  # of contracts
    13: msgspec.json.Decoder(_CombinedAggTrade),
}
"""By the number of colons, which is that of the keys: when each of so many is there, none stands twice."""


def parse(frame: bytes, *, received_ns: int) -> list[Parsed]:
    """Records in this frame. Raises BadFrame for bytes that no Binance stream sends."""
    colons = frame.count(b":")
    decoder = _exact.get(colons)
    if decoder is not None:
        try:
            data = decoder.decode(frame).data
            if colons == 11 and (data.X is None) is not (data.M is None):
                return [_print(data, data.t, "trade") if data.X is None else _market_print(data)]
            if colons == 8:
                return [_best(data)]
            if (data.M is None) is (colons == 12):
                return [_print(data, data.a, "agg")]
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pass  # the careful way says what is wrong
    return _careful(frame)


def _careful(frame: bytes) -> list[Parsed]:
    try:
        envelope = _envelope.decode(frame)
        if envelope.stream is None:
            return [_record(envelope.e, envelope.u, frame, frame) or _control(envelope)]
        if not bytes(envelope.data):
            raise ValueError("a combined frame without data")
        data = bytes(envelope.data)
        kind = _kind.decode(data)
        return [_record(kind.e, kind.u, data, frame) or Control("ignored", kind.e or envelope.stream)]
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadFrame("binance", "a market stream event or a reply", str(error)[:300], frame) from error


def _record(event: str | None, update_id: int | None, data: bytes, frame: bytes) -> Parsed | None:
    if event == "serverShutdown":
        return Control("notice", "serverShutdown", reconnect=True)
    if event is None and update_id is None:
        return None
    if event not in (None, "trade", "aggTrade", "bookTicker", "24hrMiniTicker", "24hrTicker"):
        return None
    refuse_repeated_keys(frame)
    if event == "trade":
        return _market_print(_trade.decode(data))
    if event == "aggTrade":
        agg = _agg_trade.decode(data)
        return _print(agg, agg.a, "agg")
    if event in ("24hrMiniTicker", "24hrTicker"):
        return _statistics(_mini_ticker.decode(data) if event == "24hrMiniTicker" else _ticker.decode(data))
    return _best(_book.decode(data))


def _market_print(row: _Trade | _ExactTrade) -> Parsed:
    if row.X is not None and row.X != "MARKET":  # insurance fund and similar: not a print of the market
        return Control("ignored", f"trade of kind {row.X[:40]}")
    return _print(row, row.t, "trade")


def _print(row: _Trade | _AggTrade | _ExactTrade | _ExactAggTrade, number: int, kind: IdKind) -> ParsedTrade:
    if not 0 <= number <= ID_MAX:
        checked_id(number)
    at = row.T
    return ParsedTrade(
        row.s,
        Trade(
            str(number),
            number_of.get(row.p) or positive(row.p),
            number_of.get(row.q) or positive(row.q),
            "sell" if row.m else "buy",
            at * 1_000_000 if 0 < at <= TIME_MS_MAX else ns_from_ms_or_us(at),
            number,
            kind,
        ),
    )


def _best(row: _Book | _ExactBook) -> ParsedTicker:
    fields = book_fields(row.b, row.B, row.a, row.A)
    return ParsedTicker(row.s, fields, None if row.T is None else ns_from_ms_or_us(row.T))


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
