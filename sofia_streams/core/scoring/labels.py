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
from math import sqrt
from typing import Literal, NamedTuple

LabelKind = Literal["forward", "barrier"]
BARRIER_SIGMAS = 1.0


class Rule(NamedTuple):
    """What is labelled: the kind, how many bars ahead, and the cost of getting in and out as a fraction."""

    kind: LabelKind
    horizon_bars: int
    cost: float = 0.0


class Outcome(NamedTuple):
    """Of the bar that started at `start_ns`: its label, the return from entry to exit, and how many bars it took."""

    start_ns: int
    label: int
    forward_return: float
    bars: int


class _Open:
    """A bar whose label is not known yet."""

    __slots__ = ("bars", "entry", "lower", "start_ns", "upper", "width")

    def __init__(self, start_ns: int, width: float) -> None:
        self.start_ns, self.width = start_ns, width
        self.bars = 0
        self.entry = self.upper = self.lower = 0.0


class Labeller:
    """Labels the bars of one symbol as they mature. Holds at most `horizon_bars` of them."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._open: deque[_Open] = deque()

    def take(
        self, start_ns: int, prices: tuple[float, float, float, float], sigma: float | None
    ) -> list[Outcome]:
        """The next bar (open, high, low, close) and the outcomes that it settles, oldest first.

        `sigma` is the deviation of one bar's return as known behind this bar; without it the bar gets no barrier label.
        Windows are handed over without a hole: one that is missing ends what is open (`forget`).
        """
        settled, still_open = [], deque[_Open]()
        for one in self._open:
            if one.bars == 0:
                self._enter(one, prices[0])
            one.bars += 1
            outcome = self._settled(one, prices)
            if outcome is None:
                still_open.append(one)
            else:
                settled.append(outcome)
        self._open = still_open
        if self.rule.kind == "forward" or sigma is not None:
            width = max(self.rule.cost, BARRIER_SIGMAS * (sigma or 0.0) * sqrt(self.rule.horizon_bars))
            self._open.append(_Open(start_ns, width))
        return settled

    def forget(self) -> None:
        """Give up what is open: its bars are not known to follow each other."""
        self._open.clear()

    def _enter(self, one: _Open, price: float) -> None:
        one.entry = price
        one.upper, one.lower = price * (1.0 + one.width), price * (1.0 - one.width)

    def _settled(self, one: _Open, prices: tuple[float, float, float, float]) -> Outcome | None:
        opened, high, low, close = prices
        change = close / one.entry - 1.0
        if self.rule.kind == "barrier":
            if low <= one.lower:
                return Outcome(one.start_ns, 0, min(one.lower, opened) / one.entry - 1.0, one.bars)
            if high >= one.upper:
                return Outcome(one.start_ns, 1, max(one.upper, opened) / one.entry - 1.0, one.bars)
        if one.bars < self.rule.horizon_bars:
            return None
        return Outcome(one.start_ns, int(change > self.rule.cost), change, one.bars)
