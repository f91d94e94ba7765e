"""What the market gives an open order: how much, at which price, or why nothing. Pure; nothing is drawn at random.

Market orders, and limits that cross on arrival, take the best ask (bid) of their moment, or the price of a print beyond
it, worse by the impact of their size (square-root law, Almgren et al. 2005; docs/paper_trading.md has the formula),
and at most `participation` of the size shown there; what is left takes that share of later prints. Resting limits fill
at their price when a print goes through it: a touch is no fill, but for `queue_position`, when the size ahead has
traded. Stops become market orders at a print at or through their price, and fill at what comes after it; one that only
reduces has no collar, since it must get out.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import NamedTuple

from sofia_streams.core.oms import reasons
from sofia_streams.core.oms.market.feed import Feed
from sofia_streams.core.oms.money import ZERO, against, tick_of, told, whole_steps
from sofia_streams.core.oms.orders import Working
from sofia_streams.core.oms.rules import Costs, Lot
from sofia_streams.model import Side
from sofia_streams.paper import Liquidity


class Print(NamedTuple):
    """A trade of the market."""

    price: Decimal
    quantity: Decimal
    taker_side: Side
    trade_id: str


class Execution(NamedTuple):
    """What an order gets."""

    quantity: Decimal
    price: Decimal
    liquidity: Liquidity


class Conditions(NamedTuple):
    """What a match needs besides the order: the feed, the lot, costs, daily volatility, and the moment."""

    feed: Feed
    lot: Lot
    costs: Costs
    volatility: float
    at_ns: int


def impact_of(quantity: Decimal, conditions: Conditions) -> Decimal:
    """Y * daily volatility * sqrt(quantity / daily volume), a fraction of the price; 0 where the volume is unknown."""
    volume = float(conditions.feed.day_volume(conditions.at_ns))
    if volume <= 0.0:
        return ZERO
    share = min(1.0, float(quantity) / volume)
    return Decimal(repr(round(float(conditions.costs.impact) * conditions.volatility * math.sqrt(share), 12)))


def match(working: Working, conditions: Conditions, printed: Print | None, most: Decimal) -> Execution | None:
    """What one market record gives an order that is active; None: nothing, and `working.held_by` may say why.

    `printed` is the print, None for a quote; the feed has taken either up already. `most` bounds the quantity (what may
    still be reduced).
    """
    order = working.order
    working.held_by = conditions.feed.trouble(conditions.at_ns, conditions.costs) or ""
    if order.type == "stop" and not working.is_triggered:  # a print is one, whatever the quotes are worth
        working.is_triggered = printed is not None and _reaches(order.side, printed.price, order.stop_price)
        return None
    if working.held_by:
        return None
    if order.type == "limit" and working.allowance is not None and order.limit_price is not None:
        return _rest(working, order.limit_price, conditions, printed, most)
    return _take(working, conditions, printed, most)


def _reaches(side: Side, price: Decimal, stop_price: Decimal | None) -> bool:
    if stop_price is None:
        return False
    return price >= stop_price if side == "buy" else price <= stop_price


def _take(working: Working, conditions: Conditions, printed: Print | None, most: Decimal) -> Execution | None:
    """Take liquidity; a limit that does not cross begins to rest."""
    feed, side, order = conditions.feed, working.order.side, working.order
    best, shown = (feed.ask, feed.ask_quantity) if side == "buy" else (feed.bid, feed.bid_quantity)
    assert best is not None  # `Feed.trouble` would have said so
    if printed is not None and _is_worse(side, printed.price, best):
        best = printed.price  # the market has left the last quote
    if working.allowance is None:
        working.arrival_mid = feed.middle()
        if order.type == "limit" and _is_worse(side, best, working.cap_price):
            working.allowance = ZERO
            working.ahead = _queue(working, feed) if conditions.costs.queue_position else None
            return None
        working.allowance = _first(shown, feed, conditions)
    elif printed is not None:
        working.allowance += conditions.costs.participation * printed.quantity
    quantity = _sized(working, working.allowance, conditions, most)
    if quantity <= 0:
        return None
    impact = impact_of(order.filled_quantity + quantity, conditions)  # of all so far: cut into pieces it is no cheaper
    price = against(best * _worse(side, impact), side, tick_of(conditions.lot, best))
    if (
        order.type == "limit"
        and not _is_worse(side, best, working.cap_price)
        and _is_worse(side, price, working.cap_price)
    ):
        price = working.cap_price
    is_collared = order.type != "stop" or not order.reduce_only
    if price <= 0 or (is_collared and _is_worse(side, price, working.cap_price)):
        working.held_by = reasons.reason(
            reasons.PRICE_OUTSIDE_COLLAR, f"{told(price)}, expected no worse than {told(working.cap_price)}"
        )
        return None
    working.allowance -= quantity
    return Execution(quantity, price, "taker")


def _rest(
    working: Working, limit_price: Decimal, conditions: Conditions, printed: Print | None, most: Decimal
) -> Execution | None:
    """Wait at a price: a print through it, or one at it that goes beyond the queue."""
    if printed is None:
        return None
    through = printed.price < limit_price if working.order.side == "buy" else printed.price > limit_price
    size = printed.quantity
    if through:
        working.ahead = ZERO if working.ahead is not None else None
    elif printed.price != limit_price or working.ahead is None or printed.taker_side == working.order.side:
        return None
    else:
        size = max(ZERO, printed.quantity - working.ahead)
        working.ahead = max(ZERO, working.ahead - printed.quantity)
    assert working.allowance is not None
    working.allowance += conditions.costs.participation * size
    quantity = _sized(working, working.allowance, conditions, most)
    if quantity <= 0:
        return None
    working.allowance -= quantity
    return Execution(quantity, limit_price, "maker")


def _sized(working: Working, allowance: Decimal, conditions: Conditions, most: Decimal) -> Decimal:
    """How much of it, in whole steps; the rest of a position that is finer than a step (of another venue) may go."""
    wanted = min(working.order.leaves_quantity, most)
    if working.order.reduce_only and wanted <= allowance:
        return wanted
    return whole_steps(min(wanted, allowance), conditions.lot)


def _first(shown: Decimal | None, feed: Feed, conditions: Conditions) -> Decimal:
    """What an order may take where it arrives: a share of the size shown, or of a minute's usual volume."""
    minute = feed.day_volume(conditions.at_ns) / 1440
    return conditions.costs.participation * (minute if shown is None else shown)


def _queue(working: Working, feed: Feed) -> Decimal | None:
    """The size that stands before an order that joins the best price; None at any other, whose queue nobody shows."""
    price, shown = (feed.bid, feed.bid_quantity) if working.order.side == "buy" else (feed.ask, feed.ask_quantity)
    return shown if price == working.order.limit_price else None


def _is_worse(side: Side, price: Decimal, cap_price: Decimal) -> bool:
    return price > cap_price if side == "buy" else price < cap_price


def _worse(side: Side, fraction: Decimal) -> Decimal:
    return 1 + fraction if side == "buy" else 1 - fraction
