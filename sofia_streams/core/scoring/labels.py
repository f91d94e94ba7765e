"""What became of a bar: whether the price rose over the horizon, or which barrier it touched first. Bar by bar.

A bar's label is about what a trade on its prediction could have got: entry at the open of the next bar, exit at the
close of the bar `horizon` bars on. It is known when that bar has closed, and only then.

forward   1 where exit / entry - 1 is above the cost, else 0
barrier   1 where the price touches entry * (1 + width) before entry * (1 - width), by highs and lows; a bar that
          touches both counts as the lower one, one that opens beyond fills there; without a touch by the horizon, as
          `forward`. The width is `BARRIER_SIGMAS` times the volatility that was known at the bar, over the horizon,
          and at least the cost.

Source: Lopez de Prado, Advances in Financial Machine Learning, chapter 3.
What it does not do: weigh labels that overlap.
"""

from __future__ import annotations

from collections import deque
from math import inf, nextafter, sqrt
from typing import Literal, NamedTuple

LabelKind = Literal["forward", "barrier"]
Prices = tuple[float, float, float, float]
"""Open, high, low, close."""
BARRIER_SIGMAS = 1.0
_BPS = 1e-4


class Rule(NamedTuple):
    """What is labelled: the kind, how many bars ahead, and the cost of getting in and out as a fraction."""

    kind: LabelKind
    horizon_bars: int
    cost: float = 0.0


def fraction_of(bps: float) -> float:
    """A cost in basis points as a rule has it."""
    return bps * _BPS


def bps_of(fraction: float) -> float:
    """The basis points that give exactly this fraction again: a rule with another cost is another rule.

    >>> bps_of(fraction_of(5.0)), fraction_of(bps_of(fraction_of(10 / 3))) == fraction_of(10 / 3)
    (5.0, True)
    """
    near = fraction / _BPS
    tried = (round(near, 6), near, nextafter(near, -inf), nextafter(near, inf))
    return next((one for one in tried if fraction_of(one) == fraction), near)


class Outcome(NamedTuple):
    """Of the bar that started at `start_ns`: its label, the return from entry to exit, and how many bars it took."""

    start_ns: int
    label: int
    forward_return: float
    bars: int


class _Open:
    """A bar whose label is not known yet; `number` counts the labeller's bars."""

    __slots__ = ("entry", "lower", "number", "start_ns", "upper", "width")

    def __init__(self, start_ns: int, number: int, width: float) -> None:
        self.start_ns, self.number, self.width = start_ns, number, width
        self.entry = self.upper = self.lower = 0.0


class Labeller:
    """Labels the bars of one symbol as they mature. Holds at most `horizon_bars` of them."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._number = 0
        self._open: deque[_Open] = deque()

    def take(self, start_ns: int, prices: Prices, sigma: float | None) -> list[Outcome]:
        """The next bar and the outcomes that it settles, oldest first.

        `sigma` is the deviation of one bar's return as known behind this bar; without it the bar gets no barrier label.
        Windows are handed over without a hole: one that is missing ends what is open (`forget`). A quiet one repeats
        the close before it.
        """
        if self._open and self._open[-1].number == self._number:
            self._enter(self._open[-1], prices[0])
        self._number += 1
        settled = self._touched(prices) if self.rule.kind == "barrier" else []
        if self._open and self._number - self._open[0].number >= self.rule.horizon_bars:
            settled.append(self._expired(self._open.popleft(), prices[3]))
        if self.rule.kind == "forward" or sigma is not None:
            width = max(self.rule.cost, BARRIER_SIGMAS * (sigma or 0.0) * sqrt(self.rule.horizon_bars))
            self._open.append(_Open(start_ns, self._number, width))
        return sorted(settled)

    def forget(self) -> None:
        """Give up what is open: its bars are not known to follow each other."""
        self._open.clear()

    def _enter(self, one: _Open, price: float) -> None:
        one.entry = price
        one.upper, one.lower = price * (1.0 + one.width), price * (1.0 - one.width)

    def _touched(self, prices: Prices) -> list[Outcome]:
        """Bars of which this one touches a barrier; they are open no longer."""
        opened, high, low, _ = prices
        touched = [one for one in self._open if low <= one.lower or high >= one.upper]
        if touched:
            self._open = deque(one for one in self._open if low > one.lower and high < one.upper)
        found = []
        for one in touched:
            is_lower = low <= one.lower
            price = min(one.lower, opened) if is_lower else max(one.upper, opened)
            found.append(Outcome(one.start_ns, int(not is_lower), price / one.entry - 1.0, self._number - one.number))
        return found

    def _expired(self, one: _Open, close: float) -> Outcome:
        change = close / one.entry - 1.0
        return Outcome(one.start_ns, int(change > self.rule.cost), change, self._number - one.number)
