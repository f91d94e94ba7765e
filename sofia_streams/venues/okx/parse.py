"""OKX v5 public frames to records. No socket, no clock. `side` is the taker's; ids are numbers, times text ms."""

from __future__ import annotations

import msgspec

from sofia_streams.errors import BadFrame
from sofia_streams.model import Control, Parsed, ParsedTicker, ParsedTrade, Side, Trade, positive_from_text
from sofia_streams.venues.fields import ns_from_ms_text, ticker_fields, whole_number


class _Argument(msgspec.Struct):
    channel: str = ""
    instId: str = ""


class _Envelope(msgspec.Struct):
    arg: _Argument | None = None
    data: msgspec.Raw = msgspec.Raw()
    event: str | None = None
    code: str = ""
    msg: str = ""


class _Trade(msgspec.Struct):
    instId: str
    tradeId: str
    px: str
    sz: str
    side: Side
    ts: str


class _Ticker(msgspec.Struct):
    instId: str
    ts: str
    instType: str = "SPOT"
    last: str = ""
    askPx: str = ""
    askSz: str = ""
    bidPx: str = ""
    bidSz: str = ""
    open24h: str = ""
    high24h: str = ""
    low24h: str = ""
    volCcy24h: str = ""
    vol24h: str = ""


class _Best(msgspec.Struct):
    ts: str
    asks: list[list[str]] = []
    bids: list[list[str]] = []


_envelope = msgspec.json.Decoder(_Envelope)
_trades = msgspec.json.Decoder(list[_Trade])
_tickers = msgspec.json.Decoder(list[_Ticker])
_bests = msgspec.json.Decoder(list[_Best])
_RECONNECT_CODE = "64008"


def parse(frame: bytes, *, received_ns: int) -> list[Parsed]:
    """Records in this frame, trades ascending by id. Raises BadFrame for bytes that no OKX channel sends."""
    if frame == b"pong":  # not JSON, by the venue's own design
        return [Control("pong")]
    try:
        envelope = _envelope.decode(frame)
        if envelope.event is not None:
            return [_control(envelope, envelope.event)]
        if envelope.arg is None or not bytes(envelope.data):
            raise ValueError("neither an event nor a channel with data")
        return _records(envelope.arg, bytes(envelope.data))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadFrame("okx", "a v5 public push or event", str(error), frame) from error


def _records(argument: _Argument, data: bytes) -> list[Parsed]:
    if argument.channel in ("trades", "trades-all"):
        prints = sorted(map(_print, _trades.decode(data)), key=lambda parsed: parsed.trade.order)
        return [*prints]
    if argument.channel == "tickers":
        return [_statistics(row) for row in _tickers.decode(data)]
    if argument.channel == "bbo-tbt":
        return [_best(argument.instId, row) for row in _bests.decode(data)]
    return [Control("ignored", argument.channel)]


def _print(row: _Trade) -> ParsedTrade:
    return ParsedTrade(
        row.instId,
        Trade(
            trade_id=row.tradeId,
            price=positive_from_text(row.px),
            quantity=positive_from_text(row.sz),
            taker_side=row.side,
            exchange_ns=ns_from_ms_text(row.ts),
            order=whole_number(row.tradeId),
        ),
    )


def _statistics(row: _Ticker) -> ParsedTicker:
    fields = ticker_fields(
        last=row.last, bid=row.bidPx, bid_quantity=row.bidSz, ask=row.askPx, ask_quantity=row.askSz,
        open_24h=row.open24h, high_24h=row.high24h, low_24h=row.low24h, volume_24h=row.vol24h,
        quote_volume_24h=row.volCcy24h if row.instType == "SPOT" else None,  # base currency on contracts
    )  # fmt: skip
    return ParsedTicker(row.instId, fields, ns_from_ms_text(row.ts))


def _best(instrument: str, row: _Best) -> ParsedTicker:
    bid, ask = (side[0] if side else ["", ""] for side in (row.bids, row.asks))
    if len(bid) < 2 or len(ask) < 2:
        raise ValueError("expected [price, size, ...] in bids and asks")
    fields = ticker_fields(bid=bid[0], bid_quantity=bid[1], ask=ask[0], ask_quantity=ask[1])
    return ParsedTicker(instrument, fields, ns_from_ms_text(row.ts))


def _control(envelope: _Envelope, event: str) -> Control:
    if event == "error":
        return Control("error", f"{envelope.code} {envelope.msg}")
    if event == "notice":
        return Control("notice", f"{envelope.code} {envelope.msg}", reconnect=envelope.code == _RECONNECT_CODE)
    return Control("ack" if event in ("subscribe", "unsubscribe") else "ignored", event)
