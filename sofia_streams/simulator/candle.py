"""One candle of a simulated venue, with all that any venue's REST says of one. Exact: whole ticks and lots."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

SECOND_MS, MINUTE_MS = 1_000, 60_000


class Candle(NamedTuple):
    """A window that has a trade; its size is known to who holds it. `bought`: what takers bought."""

    start_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote: Decimal
    bought: Decimal
    bought_quote: Decimal
    trades: int


@dataclass(slots=True)
class Sums:
    """The same while trades come: prices in ticks, quantities in lots, what they cost in both."""

    open: int
    high: int
    low: int
    close: int
    lots: int = 0
    cost: int = 0
    bought: int = 0
    bought_cost: int = 0
    count: int = 0

    def add(self, ticks: int, lots: int, *, is_buy: bool) -> None:
        """One more trade."""
        if ticks > self.high:
            self.high = ticks
        elif ticks < self.low:
            self.low = ticks
        self.close = ticks
        self.lots += lots
        self.cost += ticks * lots
        self.count += 1
        if is_buy:
            self.bought += lots
            self.bought_cost += ticks * lots

    def candle(self, start_ms: int, price_digits: int, lot_digits: int) -> Candle:
        """In decimals, where a tick and a lot have so many digits."""
        prices = [Decimal(one).scaleb(-price_digits) for one in (self.open, self.high, self.low, self.close)]
        volume, bought = (Decimal(one).scaleb(-lot_digits) for one in (self.lots, self.bought))
        quote, paid = (Decimal(one).scaleb(-price_digits - lot_digits) for one in (self.cost, self.bought_cost))
        return Candle(start_ms, prices[0], prices[1], prices[2], prices[3], volume, quote, bought, paid, self.count)
