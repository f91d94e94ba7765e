"""Coinbase frames to records: the Exchange feed and the Advanced Trade feed, told apart by shape. No socket, no clock.

`match.side` and Advanced `market_trades.side` are the MAKER's (measured on captures), so the taker is the other one.
Advanced lists trades newest first. `last_match` and Advanced `snapshot` events replay history.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from sofia_streams.errors import BadFrame
from sofia_streams.model import Control, Parsed, ParsedTicker, ParsedTrade, Side, Trade
from sofia_streams.venues.coinbase.times import ns_from_iso
from sofia_streams.venues.fields import (
    checked_id,
    number_of,
    positive,
    refuse_repeated_keys,
    rows,
    ticker_fields,
    whole_number,
)

_TAKER: dict[str, Side] = {"sell": "buy", "buy": "sell", "SELL": "buy", "BUY": "sell"}


class _Kind(msgspec.Struct):
    type: str | None = None
    channel: str | None = None
    message: str = ""
    reason: str = ""
    timestamp: str = ""
    events: msgspec.Raw = msgspec.Raw()


class _Match(msgspec.Struct, gc=False):
    trade_id: int
    side: str
    size: str
    price: str
    product_id: str
    time: str


class _Ticker(msgspec.Struct):
    product_id: str
    price: str
    time: str = ""
    open_24h: str | None = None
    high_24h: str | None = None
    low_24h: str | None = None
    volume_24h: str | None = None
    best_bid: str | None = None
    best_bid_size: str | None = None
    best_ask: str | None = None
    best_ask_size: str | None = None


class _AdvancedTrade(msgspec.Struct, gc=False):
    """In the order of the wire, which decodes fastest."""

    product_id: str
    trade_id: str
    price: str
    size: str
    time: str
    side: str


class _AdvancedTicker(msgspec.Struct):
    product_id: str
    price: str
    volume_24_h: str | None = None
    low_24_h: str | None = None
    high_24_h: str | None = None
    best_bid: str | None = None
    best_bid_quantity: str | None = None
    best_ask: str | None = None
    best_ask_quantity: str | None = None


class _AdvancedEvent(msgspec.Struct):
    type: str = ""
    trades: list[msgspec.Raw] = []
    tickers: list[msgspec.Raw] = []


class _ExactMatch(msgspec.Struct, gc=False):
    type: Literal["match", "last_match"]
    trade_id: int
    maker_order_id: str
    taker_order_id: str
    side: str
    size: str
    price: str
    product_id: str
    sequence: int
    time: str


class _ExactEvent(msgspec.Struct, gc=False):
    type: str
    trades: list[_AdvancedTrade]


class _ExactTrades(msgspec.Struct, gc=False):
    channel: str
    timestamp: str
    sequence_num: int
    events: list[_ExactEvent]


_kind = msgspec.json.Decoder(_Kind)
_match = msgspec.json.Decoder(_Match)
_ticker = msgspec.json.Decoder(_Ticker)
_events = msgspec.json.Decoder(list[_AdvancedEvent])
_advanced_trade = msgspec.json.Decoder(_AdvancedTrade)
_advanced_ticker = msgspec.json.Decoder(_AdvancedTicker)
_exact_match: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_ExactMatch)
_exact_trades: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_ExactTrades)
_COLONS_A_TIME = 2
_MATCH_COLONS = 10 + _COLONS_A_TIME
_ENVELOPE_COLONS, _EVENT_COLONS, _TRADE_COLONS = 4 + _COLONS_A_TIME, 2, 6 + _COLONS_A_TIME


def parse(frame: bytes, *, received_ns: int) -> list[Parsed]:
    """Records in this frame, oldest first. Raises BadFrame for bytes that neither feed sends."""
    try:  # as many colons as keys and times give, and each key is there: none stands twice
        if frame.startswith(b'{"channel":"market_trades"'):
            found = _exact_trades.decode(frame)
            trades = sum([len(event.trades) for event in found.events])
            colons = _ENVELOPE_COLONS + _EVENT_COLONS * len(found.events) + _TRADE_COLONS * trades
            if frame.count(b":") == colons and found.channel == "market_trades" and found.timestamp.count(":") == 2:
                return [
                    _advanced_print(row, event.type == "snapshot")
                    for event in found.events
                    for row in reversed(event.trades)
                ]
        elif frame.count(b":") == _MATCH_COLONS:
            match = _exact_match.decode(frame)
            return [_print(match, snapshot=match.type == "last_match")]
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass  # the careful way says what is wrong
    return _careful(frame)


def _careful(frame: bytes) -> list[Parsed]:
    try:
        kind = _kind.decode(frame)
        if kind.type in ("match", "last_match"):
            refuse_repeated_keys(frame)
            return [_print(_match.decode(frame), snapshot=kind.type == "last_match")]
        if kind.type in ("ticker", "ticker_batch"):
            refuse_repeated_keys(frame)
            return [_statistics(_ticker.decode(frame))]
        if kind.channel in ("market_trades", "ticker", "ticker_batch") and bytes(kind.events):
            return _advanced(kind, frame)
        return [_control(kind)]
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadFrame("coinbase", "an Exchange or Advanced Trade message", str(error)[:300], frame) from error


def _print(row: _Match | _ExactMatch, *, snapshot: bool) -> ParsedTrade:
    number = checked_id(row.trade_id)
    return ParsedTrade(
        row.product_id,
        Trade(
            str(number),
            number_of.get(row.price) or positive(row.price),
            number_of.get(row.size) or positive(row.size),
            _TAKER.get(row.side) or _no_side(row.side),
            ns_from_iso(row.time),
            number,
            "trade",
            snapshot,
        ),
    )


def _advanced_print(row: _AdvancedTrade, snapshot: bool) -> ParsedTrade:
    number = whole_number(row.trade_id)
    return ParsedTrade(
        row.product_id,
        Trade(
            row.trade_id,
            number_of.get(row.price) or positive(row.price),
            number_of.get(row.size) or positive(row.size),
            _TAKER.get(row.side) or _no_side(row.side),
            ns_from_iso(row.time),
            number,
            "trade",
            snapshot,
        ),
    )


def _no_side(found: str) -> Side:
    raise ValueError(f"expected side buy or sell, found {found[:20]!r}")


def _statistics(row: _Ticker) -> ParsedTicker:
    fields = ticker_fields(
        last=row.price, bid=row.best_bid, bid_quantity=row.best_bid_size, ask=row.best_ask,
        ask_quantity=row.best_ask_size, open_24h=row.open_24h, high_24h=row.high_24h, low_24h=row.low_24h,
        volume_24h=row.volume_24h,
    )  # fmt: skip
    return ParsedTicker(row.product_id, fields, ns_from_iso(row.time) if row.time else None)


def _advanced(kind: _Kind, frame: bytes) -> list[Parsed]:
    events = _events.decode(kind.events)
    trades = [(row, event.type == "snapshot") for event in events for row in reversed(event.trades)]
    tickers = [row for event in events for row in event.tickers]
    exchange_ns = ns_from_iso(kind.timestamp) if tickers else 0

    def take(row: bytes, place: int) -> list[Parsed]:
        if place < len(trades):
            return [_advanced_print(_advanced_trade.decode(row), trades[place][1])]
        return [_advanced_statistics(_advanced_ticker.decode(row), exchange_ns)]

    return rows([*(row for row, _ in trades), *tickers], take, frame)


def _advanced_statistics(row: _AdvancedTicker, exchange_ns: int) -> ParsedTicker:
    fields = ticker_fields(
        last=row.price, bid=row.best_bid, bid_quantity=row.best_bid_quantity, ask=row.best_ask,
        ask_quantity=row.best_ask_quantity, high_24h=row.high_24_h, low_24h=row.low_24_h, volume_24h=row.volume_24_h,
    )  # fmt: skip
    return ParsedTicker(row.product_id, fields, exchange_ns)


def _control(kind: _Kind) -> Control:
    name = kind.type or kind.channel
    if name is None:
        raise ValueError("neither type nor channel")
    if name == "error":
        return Control("error", f"{kind.message} {kind.reason}".strip())
    if name in ("heartbeat", "heartbeats"):
        return Control("heartbeat", name)
    return Control("ack" if name == "subscriptions" else "ignored", name)
