"""Exact money: the context sums and products are made in, and every place where something is rounded.

Notionals, cash and positions are never rounded. Rounded are: fees (half up, 8 digits, of an order's fills together),
the cost that leaves a position that is reduced (half even, 18 digits), prices to the tick (against the trader),
quantities to the step (down).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, localcontext
from functools import cache

from sofia_streams.core.oms.rules import Lot
from sofia_streams.model import Side

ZERO = Decimal(0)
BPS = Decimal("0.0001")
_EXACT = Context(prec=120, rounding=ROUND_HALF_EVEN)
_FEE, _COST, _BPS_SHOWN = Decimal("1e-8"), Decimal("1e-18"), Decimal("1e-4")
_TICK_DIGITS = 6
_STEP = Decimal("1e-6")


def is_quoted_in(symbol: str, currency: str) -> bool:
    """Whether money of a unified symbol (BTC/USDT, BTC/USDT:USDT) is in that currency."""
    return symbol.partition(":")[0].endswith(f"/{currency}")


@contextmanager
def exact() -> Iterator[None]:
    """Inside, sums and products of venue decimals are exact. All of `core.oms` must run in it."""
    with localcontext(_EXACT):
        yield


def fee_of(exact_quote: Decimal) -> Decimal:
    """The fee of an order's fills together, half up to 8 digits."""
    return exact_quote.quantize(_FEE, ROUND_HALF_UP)


def share_of_cost(cost_quote: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """The cost of `part` of a position of `whole`, to 18 digits: what is left keeps the rest, so nothing is lost."""
    return cost_quote if part == whole else (cost_quote * part / whole).quantize(_COST, ROUND_HALF_EVEN)


def bps_between(price: Decimal, mid: Decimal, side: Side) -> Decimal:
    """side * (price - mid) / mid * 10,000, to 4 digits; above 0 is a cost to who trades on that side."""
    found = (price - mid) * 10_000 / mid
    return (found if side == "buy" else -found).quantize(_BPS_SHOWN, ROUND_HALF_EVEN)


def tick_of(lot: Lot, price: Decimal) -> Decimal:
    """The lot's tick; six digits of the price where none is known."""
    return lot.price_tick or _digit(price.adjusted() - _TICK_DIGITS + 1)


@cache
def _digit(exponent: int) -> Decimal:
    """10 to that power."""
    return Decimal(1).scaleb(exponent)


def against(price: Decimal, side: Side, tick: Decimal) -> Decimal:
    """A price to the tick, to the trader's disadvantage: up for who buys, down for who sells."""
    return ceiled(price, tick) if side == "buy" else floored(price, tick)


def within(price: Decimal, side: Side, tick: Decimal) -> Decimal:
    """A limit to the tick that is no worse than `price`: down for who buys, up for who sells."""
    return floored(price, tick) if side == "buy" else ceiled(price, tick)


def whole_steps(quantity: Decimal, lot: Lot) -> Decimal:
    """A quantity down to the lot's step; to a millionth where none is known."""
    return floored(quantity, lot.quantity_step or _STEP)


def floored(value: Decimal, unit: Decimal) -> Decimal:
    """The largest multiple of `unit` that is no larger; of a value that is not below 0."""
    return value // unit * unit


def ceiled(value: Decimal, unit: Decimal) -> Decimal:
    """The smallest multiple of `unit` that is no smaller; of a value that is not below 0."""
    found = value // unit * unit
    return found if found == value else found + unit


def told(value: Decimal) -> str:
    """A value as a reason tells it: all its digits, no zeros behind them."""
    return f"{_EXACT.normalize(value):f}"
