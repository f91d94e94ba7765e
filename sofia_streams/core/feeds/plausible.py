"""Which prints cannot be true: from the future or another age, or at a price a thousand times off. No clock, no I/O.

A refused print goes to `quarantine` with the reason, never into candles. The rules are wide on purpose: they catch
wrong units, shifted digits and garbage, not odd markets.

times   at most 60 s ahead of the receipt, whatever came before; at most 30 days before it, or ten years where the
        venue replays history (the last print of an instrument that hardly trades). So a guessed unit of time (Binance
        sends milliseconds or microseconds) is checked too: the wrong one is decades off.
price   at most a factor of 1000 from the last one taken. The first print of an instrument has nothing to be compared
        with, and a market may really move (a redenomination): after ten refused prints in a row that agree with each
        other, the next one is taken.
"""

from __future__ import annotations

from decimal import Decimal

AHEAD_NS_MAX = 60 * 1_000_000_000
BEHIND_NS_MAX = 30 * 24 * 3600 * 1_000_000_000
HISTORY_NS_MAX = 3650 * 24 * 3600 * 1_000_000_000
FACTOR_MAX = 1000
AGREEING = 10
"""Refused prints in a row, each within FACTOR_MAX of the one before, after which the price is believed."""


def time_trouble(exchange_ns: int, received_ns: int, *, history: bool) -> str | None:
    """Why a print of this time is not believed; None where it is."""
    age_ns = received_ns - exchange_ns
    if age_ns < -AHEAD_NS_MAX:
        return f"expected a trade that has happened, found one {-age_ns / 1e9:.0f} s ahead of our clock"
    if age_ns > (HISTORY_NS_MAX if history else BEHIND_NS_MAX):
        return f"expected a trade of the last 30 days (history: ten years), found one {age_ns / 86_400e9:.0f} days old"
    return None


class PriceGuard:
    """The price of one instrument that later ones are compared with."""

    __slots__ = ("_agreeing", "_high", "_low", "_odd", "last")

    def __init__(self) -> None:
        self.last: Decimal | None = None
        self._low = self._high = Decimal(0)
        self._odd: Decimal | None = None
        self._agreeing: set[str] = set()

    def trouble(self, price: Decimal, name: str) -> str | None:
        """Why this price is not believed; None where it is, and then it is the one to compare with.

        `name` tells prints apart: the same one again does not agree with itself.
        """
        last = self.last
        if last is None:
            self._take(price)
        elif self._low <= price <= self._high:
            if price != last:
                self._take(price)
        elif self._agrees(price, name):
            self._take(price)
        else:
            return f"expected a price within a factor of {FACTOR_MAX} of the last one, {last}, found {price}"
        return None

    def _take(self, price: Decimal) -> None:
        self.last = price
        self._low, self._high = price / FACTOR_MAX, price * FACTOR_MAX
        if self._agreeing:
            self._odd, self._agreeing = None, set()

    def _agrees(self, price: Decimal, name: str) -> bool:
        odd, self._odd = self._odd, price
        if odd is None or not odd <= price * FACTOR_MAX or not price <= odd * FACTOR_MAX:
            self._agreeing = set()
        self._agreeing.add(name)
        return len(self._agreeing) > AGREEING
