"""Coinbase frames to records: the Exchange feed and the Advanced Trade feed, told apart by shape. No socket, no clock.

`match.side` and Advanced `market_trades.side` are the MAKER's (measured on captures), so the taker is the other one.
Advanced lists trades newest first. `last_match` and Advanced `snapshot` events replay history.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from sofia_streams.errors import BadFrame
from sofia_streams.model import (
    NS_PER_SECOND,
    Control,
    Parsed,
    ParsedTicker,
    ParsedTrade,
    Side,
    Trade,
    positive_from_text,
)
from sofia_streams.venues.fields import TIME_NS_MAX, ticker_fields, whole_number

_TAKER: dict[str, Side] = {"sell": "buy", "buy": "sell", "SELL": "buy", "BUY": "sell"}


class _Kind(msgspec.Struct):
    type: str | None = None
    channel: str | None = None
    message: str = ""
    reason: str = ""
    timestamp: str = ""
    events: msgspec.Raw = msgspec.Raw()


class _Match(msgspec.Struct):
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
    open_24h: str = ""
    high_24h: str = ""
    low_24h: str = ""
    volume_24h: str = ""
    best_bid: str = ""
    best_bid_size: str = ""
    best_ask: str = ""
    best_ask_size: str = ""


class _AdvancedTrade(msgspec.Struct):
    trade_id: str
    product_id: str
    price: str
    size: str
    side: str
    time: str


class _AdvancedTicker(msgspec.Struct):
    product_id: str
    price: str
    volume_24_h: str = ""
    low_24_h: str = ""
    high_24_h: str = ""
    best_bid: str = ""
    best_bid_quantity: str = ""
    best_ask: str = ""
    best_ask_quantity: str = ""


class _AdvancedEvent(msgspec.Struct):
    type: str = ""
    trades: list[_AdvancedTrade] = []
    tickers: list[_AdvancedTicker] = []


_kind = msgspec.json.Decoder(_Kind)
_match = msgspec.json.Decoder(_Match)
_ticker = msgspec.json.Decoder(_Ticker)
_events = msgspec.json.Decoder(list[_AdvancedEvent])


def parse(frame: bytes, *, received_ns: int) -> list[Parsed]:
    """Records in this frame, oldest first. Raises BadFrame for bytes that neither feed sends."""
    try:
        kind = _kind.decode(frame)
        if kind.type in ("match", "last_match"):
            return [_print(_match.decode(frame), snapshot=kind.type == "last_match")]
        if kind.type in ("ticker", "ticker_batch"):
            return [_statistics(_ticker.decode(frame))]
        if kind.channel in ("market_trades", "ticker", "ticker_batch") and bytes(kind.events):
            return _advanced(_events.decode(kind.events), kind.timestamp)
        return [_control(kind)]
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadFrame("coinbase", "an Exchange or Advanced Trade message", str(error), frame) from error


def _print(row: _Match, *, snapshot: bool) -> ParsedTrade:
    if row.trade_id < 0:
        raise ValueError(f"expected a trade id of 0 or more, found {row.trade_id}")
    trade = _trade(str(row.trade_id), row.trade_id, row.price, row.size, row.side, row.time, snapshot)
    return ParsedTrade(row.product_id, trade)


def _trade(trade_id: str, order: int, price: str, size: str, maker: str, time: str, snapshot: bool) -> Trade:
    if maker not in _TAKER:
        raise ValueError(f"expected side buy or sell, found {maker[:20]!r}")
    return Trade(
        trade_id=trade_id,
        price=positive_from_text(price),
        quantity=positive_from_text(size),
        taker_side=_TAKER[maker],
        exchange_ns=ns_from_iso(time),
        order=order,
        snapshot=snapshot,
    )


def _statistics(row: _Ticker) -> ParsedTicker:
    fields = ticker_fields(
        last=row.price, bid=row.best_bid, bid_quantity=row.best_bid_size, ask=row.best_ask,
        ask_quantity=row.best_ask_size, open_24h=row.open_24h, high_24h=row.high_24h, low_24h=row.low_24h,
        volume_24h=row.volume_24h,
    )  # fmt: skip
    return ParsedTicker(row.product_id, fields, ns_from_iso(row.time) if row.time else None)


def _advanced(events: list[_AdvancedEvent], timestamp: str) -> list[Parsed]:
    records: list[Parsed] = []
    for event in events:
        snapshot = event.type == "snapshot"
        for row in reversed(event.trades):
            order = whole_number(row.trade_id)
            trade = _trade(row.trade_id, order, row.price, row.size, row.side, row.time, snapshot)
            records.append(ParsedTrade(row.product_id, trade))
        for ticker in event.tickers:
            fields = ticker_fields(
                last=ticker.price, bid=ticker.best_bid, bid_quantity=ticker.best_bid_quantity, ask=ticker.best_ask,
                ask_quantity=ticker.best_ask_quantity, high_24h=ticker.high_24_h, low_24h=ticker.low_24_h,
                volume_24h=ticker.volume_24_h,
            )  # fmt: skip
            records.append(ParsedTicker(ticker.product_id, fields, ns_from_iso(timestamp)))
    return records


def _control(kind: _Kind) -> Control:
    name = kind.type or kind.channel
    if name is None:
        raise ValueError("neither type nor channel")
    if name == "error":
        return Control("error", f"{kind.message} {kind.reason}".strip())
    if name in ("heartbeat", "heartbeats"):
        return Control("heartbeat", name)
    return Control("ack" if name == "subscriptions" else "ignored", name)


def ns_from_iso(text: str) -> int:
    """Nanoseconds since 1970 of `2026-08-09T21:05:48.167634Z`, up to nine digits of fraction. Raises ValueError."""
    if len(text) < 20 or not text.isascii() or text[-1] != "Z" or text[16] != ":":
        raise ValueError(f"expected a UTC time like 2026-08-09T21:05:48.167634Z, found {text[:40]!r}")
    seconds, fraction = text[17:19], text[20:-1]
    if not seconds.isdigit() or int(seconds) > 59 or (len(text) > 20 and (text[19] != "." or not fraction.isdigit())):
        raise ValueError(f"expected seconds 00 to 59 with a fraction, found {text[:40]!r}")
    if len(fraction) > 9:
        raise ValueError(f"expected at most nine digits of fraction, found {text[:40]!r}")
    value_ns = (_minute_s(text[:16]) + int(seconds)) * NS_PER_SECOND + int(fraction.ljust(9, "0"))
    if not 0 < value_ns <= TIME_NS_MAX:
        raise ValueError(f"expected a time between 1970 and 2262, found {text[:40]!r}")
    return value_ns


@lru_cache(maxsize=64)
def _minute_s(text: str) -> int:
    """Seconds since 1970 of `2026-08-09T21:05`; cached, since trades of one minute come together."""
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M").replace(tzinfo=UTC).timestamp())
