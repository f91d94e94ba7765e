"""OKX v5 public frames to records. No socket, no clock. `side` is the taker's; ids are numbers, times text ms.

A trade may join several fills of one order: `tradeId` is the last of `count` ids.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sofia_streams.errors import BadFrame
from sofia_streams.model import Control, Parsed, ParsedTicker, ParsedTrade, Side, Trade
from sofia_streams.venues.fields import (
    book_fields,
    ns_from_ms_text,
    number_of,
    positive,
    rows,
    ticker_fields,
    whole_number,
)


class _Argument(msgspec.Struct, gc=False):
    channel: str = ""
    instId: str = ""


class _Envelope(msgspec.Struct):
    arg: _Argument | None = None
    data: msgspec.Raw = msgspec.Raw()
    event: str | None = None
    code: str = ""
    msg: str = ""


class _Trade(msgspec.Struct, gc=False):
    instId: str
    tradeId: str
    px: str
    sz: str
    side: Side
    ts: str


class _TradeNow(_Trade, gc=False):
    """As the venue sends it since 2025; older recordings have the six fields above."""

    count: str
    source: str
    seqId: int


class _AnyTrade(_Trade, gc=False):
    count: Any = None


class _Ticker(msgspec.Struct):
    instId: str
    ts: str
    instType: str = "SPOT"
    last: str | None = None
    askPx: str | None = None
    askSz: str | None = None
    bidPx: str | None = None
    bidSz: str | None = None
    open24h: str | None = None
    high24h: str | None = None
    low24h: str | None = None
    volCcy24h: str | None = None
    vol24h: str | None = None


class _Best(msgspec.Struct):
    ts: str
    asks: list[list[str]]
    bids: list[list[str]]


class _ExactArgument(msgspec.Struct, gc=False):
    channel: str
    instId: str


class _ExactTrades(msgspec.Struct, gc=False):
    arg: _ExactArgument
    data: list[_Trade]


class _ExactTradesNow(msgspec.Struct, gc=False):
    arg: _ExactArgument
    data: list[_TradeNow]


_envelope = msgspec.json.Decoder(_Envelope)
_rows = msgspec.json.Decoder(list[msgspec.Raw])
_trade = msgspec.json.Decoder(_AnyTrade)
_ticker = msgspec.json.Decoder(_Ticker)
_best_row = msgspec.json.Decoder(_Best)
_RECONNECT_CODE = "64008"
_COUNT_USUAL_MAX, _COUNT_DIGITS_MAX = 64, 4
"""More orders than 9,999 are not filled by one; a wrong count must not hide a gap."""
_COUNT_OF: dict[str | None, int] = {None: 1, **{str(count): count for count in range(1, _COUNT_USUAL_MAX + 1)}}
_TRADES = ("trades", "trades-all")

_ENVELOPE_COLONS = 4
_exact: dict[int, msgspec.json.Decoder[Any]] = {
    _ENVELOPE_COLONS + keys: msgspec.json.Decoder(layout) for keys, layout in ((6, _ExactTrades), (9, _ExactTradesNow))
}
"""One trade, by the number of colons, which is that of the keys: when each of so many is there, none stands twice."""


def parse(frame: bytes, *, received_ns: int) -> list[Parsed]:
    """Records in this frame, trades ascending by id. Raises BadFrame for bytes that no OKX channel sends."""
    decoder = _exact.get(frame.count(b":"))
    if decoder is not None:
        try:
            found = decoder.decode(frame)
            if found.arg.channel in _TRADES and len(found.data) == 1:
                row = found.data[0]
                return [_print(row, row.count if type(row) is _TradeNow else None)]
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pass  # the careful way says what is wrong
    return _careful(frame)


def _careful(frame: bytes) -> list[Parsed]:
    if frame == b"pong":  # not JSON, by the venue's own design
        return [Control("pong")]
    try:
        envelope = _envelope.decode(frame)
        if envelope.event is not None:
            return [_control(envelope, envelope.event)]
        if envelope.arg is None or not bytes(envelope.data):
            raise ValueError("neither an event nor a channel with data")
        return _records(envelope.arg, envelope.data, frame)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadFrame("okx", "a v5 public push or event", str(error)[:300], frame) from error


def _records(argument: _Argument, data: msgspec.Raw, frame: bytes) -> list[Parsed]:
    channel = argument.channel
    if channel not in (*_TRADES, "tickers", "bbo-tbt"):
        return [Control("ignored", channel)]
    found = _rows.decode(data)
    if channel in _TRADES:
        records = rows(found, lambda row, place: [_careful_print(_trade.decode(row))], frame)
        return sorted(records, key=lambda parsed: parsed.trade.order if isinstance(parsed, ParsedTrade) else 0)
    if channel == "tickers":
        return rows(found, lambda row, place: [_statistics(_ticker.decode(row))], frame)
    return rows(found, lambda row, place: [_best(argument.instId, _best_row.decode(row))], frame)


def _careful_print(row: _AnyTrade) -> ParsedTrade:
    return _print(row, row.count if isinstance(row.count, str) else None)


def _print(row: _Trade, count: str | None) -> ParsedTrade:
    number = whole_number(row.tradeId)
    return ParsedTrade(
        row.instId,
        Trade(
            row.tradeId,
            number_of.get(row.px) or positive(row.px),
            number_of.get(row.sz) or positive(row.sz),
            row.side,
            ns_from_ms_text(row.ts),
            number,
            "trade",
            False,
            False,
            _COUNT_OF[count] if count in _COUNT_OF and number >= _COUNT_USUAL_MAX else _covered(count, number),
        ),
    )


def _covered(count: str | None, number: int) -> int:
    """How many ids end at this one; 1 where `count` is no plausible number."""
    if count is not None and count.isascii() and count.isdigit() and len(count) <= _COUNT_DIGITS_MAX:
        return int(count) if 1 <= int(count) <= number + 1 else 1
    return 1


def _statistics(row: _Ticker) -> ParsedTicker:
    fields = ticker_fields(
        last=row.last, bid=row.bidPx, bid_quantity=row.bidSz, ask=row.askPx, ask_quantity=row.askSz,
        open_24h=row.open24h, high_24h=row.high24h, low_24h=row.low24h, volume_24h=row.vol24h,
        quote_volume_24h=row.volCcy24h if row.instType == "SPOT" else None,  # base currency on contracts
    )  # fmt: skip
    return ParsedTicker(row.instId, fields, ns_from_ms_text(row.ts))


def _best(instrument: str, row: _Best) -> ParsedTicker:
    bid, ask = (side[0] if side else ["", ""] for side in (row.bids, row.asks))
    if len(bid) < 2 or len(ask) < 2 or not instrument:
        raise ValueError("expected an instrument, and [price, size, ...] in bids and asks")
    return ParsedTicker(instrument, book_fields(bid[0], bid[1], ask[0], ask[1]), ns_from_ms_text(row.ts))


def _control(envelope: _Envelope, event: str) -> Control:
    if event == "error":
        return Control("error", f"{envelope.code} {envelope.msg}")
    if event == "notice":
        return Control("notice", f"{envelope.code} {envelope.msg}", reconnect=envelope.code == _RECONNECT_CODE)
    return Control("ack" if event in ("subscribe", "unsubscribe") else "ignored", event)
