"""Trades to candles as mergeable sums: a 1 m bar is its 1 s bars merged, a consolidated one its venues merged.

The fold is free of order: any order of the same trades gives the same bar, because first and last are chosen by
(exchange_ns, venue, the venue's own order), never by arrival. What it does not do: decide when a window is closed
(`candles`), remember trade ids (`ids`), or convert contracts to coins.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import reduce

import msgspec

from sofia_streams.model import Bar, Market, Quality, Trade

EXACT = Context(prec=120, rounding=ROUND_HALF_EVEN)
"""Enough digits that sums and products of venue decimals (20 + 20 digits) are never rounded."""
VWAP = Context(prec=18, rounding=ROUND_HALF_EVEN)
"""VWAP alone is a quotient and is rounded: half to even, 18 significant digits."""
_ZERO = Decimal(0)


class Edge(msgspec.Struct, frozen=True, array_like=True, order=True):
    """Where a first or last trade stands; compared field by field, the id only where time and order are equal."""

    exchange_ns: int
    venue: str
    order: int
    trade_id: str
    price: Decimal


class Sums(msgspec.Struct, frozen=True, array_like=True):
    """Everything a candle is made of. Merging is associative and commutative."""

    first: Edge
    last: Edge
    high: Decimal
    low: Decimal
    volume: Decimal
    quote_volume: Decimal
    buy_volume: Decimal
    trade_count: int


def window_start_ns(exchange_ns: int, size_ns: int) -> int:
    """The start of the window of `size_ns` that holds `exchange_ns`; windows are aligned to the epoch."""
    return exchange_ns - exchange_ns % size_ns


def sums_of(trades: list[Trade], venue: str) -> Sums:
    """The candle of one venue's trades: at least one, each once, in any order."""
    first = min(trades, key=_place)
    last = max(trades, key=_place)
    prices = [trade.price for trade in trades]
    add, multiply = EXACT.add, EXACT.multiply
    volume = quote = buys = _ZERO
    for trade in trades:
        quantity = trade.quantity
        volume = add(volume, quantity)
        quote = add(quote, multiply(trade.price, quantity))
        if trade.taker_side == "buy":
            buys = add(buys, quantity)
    return Sums(_edge(first, venue), _edge(last, venue), max(prices), min(prices), volume, quote, buys, len(trades))


def _place(trade: Trade) -> tuple[int, int, str]:
    return trade.exchange_ns, trade.order, trade.trade_id


def _edge(trade: Trade, venue: str) -> Edge:
    return Edge(trade.exchange_ns, venue, trade.order, trade.trade_id, trade.price)


def merge(one: Sums, other: Sums) -> Sums:
    """The candle of both; they must hold different trades."""
    return Sums(
        first=min(one.first, other.first),
        last=max(one.last, other.last),
        high=max(one.high, other.high),
        low=min(one.low, other.low),
        volume=EXACT.add(one.volume, other.volume),
        quote_volume=EXACT.add(one.quote_volume, other.quote_volume),
        buy_volume=EXACT.add(one.buy_volume, other.buy_volume),
        trade_count=one.trade_count + other.trade_count,
    )


def merge_all(parts: Iterable[Sums]) -> Sums | None:
    """The candle of all parts; None for no part at all."""
    known = list(parts)
    return reduce(merge, known) if known else None


def bar_of(
    sums: Sums | None,
    *,
    venue: str,
    market: Market,
    symbol: str,
    size_ns: int,
    start_ns: int,
    revision: int = 0,
    mark: Quality = "complete",
) -> Bar:
    """The candle as it is published; a later `revision` of the same window replaces the earlier one.

    None is a window without a trade. `mark` is its quality but for `revised`, which the revision says.
    """
    quality = "revised" if mark == "complete" and revision else mark
    if sums is None:
        prices = (None, None, None, None, _ZERO, _ZERO, _ZERO, 0, None, "", "")
        return Bar(venue, market, symbol, size_ns, start_ns, *prices, revision, quality)
    return Bar(
        venue=venue,
        market=market,
        symbol=symbol,
        size_ns=size_ns,
        start_ns=start_ns,
        open=sums.first.price,
        high=sums.high,
        low=sums.low,
        close=sums.last.price,
        volume=sums.volume,
        quote_volume=sums.quote_volume,
        buy_volume=sums.buy_volume,
        trade_count=sums.trade_count,
        vwap=VWAP.divide(sums.quote_volume, sums.volume),
        first_trade_id=sums.first.trade_id,
        last_trade_id=sums.last.trade_id,
        revision=revision,
        quality=quality,
    )
