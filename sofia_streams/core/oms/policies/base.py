"""What a policy is given and what it says. Decides nothing itself, but for how large a position is (`size_share`)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from sofia_streams.core.oms.money import ZERO
from sofia_streams.core.oms.rules import Strategy
from sofia_streams.scored import Signal

_EIGHT = Decimal("1e-8")


class View(NamedTuple):
    """What a policy may know: its symbol's position as a share of equity (below 0: short), how many bars it is held,
    the daily volatility (fraction), and whether one may be short.
    """

    held_share: Decimal
    held_bars: int
    volatility: float
    short_enabled: bool


Policy = Callable[[Signal, View, Strategy], Decimal | None]
"""The share of equity that the position shall be, -1 to 1; None: as it is. Must follow from its arguments alone."""


def size_share(signal: Signal, view: View, strategy: Strategy) -> Decimal:
    """How large a full position is, as a share of equity, never above `strategy.size_share`.

    fixed       that share
    volatility  volatility_share / daily volatility: each position adds as much to the account's daily volatility
    kelly       kelly_fraction * (2 p - 1) for even odds at the calibrated probability p (Kelly 1956)
    """
    if strategy.sizing == "volatility":
        found = Decimal(repr(float(strategy.volatility_share) / view.volatility)) if view.volatility > 0 else ZERO
    elif strategy.sizing == "kelly":
        sure = signal.confidence or 0.0
        found = strategy.kelly_fraction * Decimal(repr(2.0 * sure - 1.0))
    else:
        return strategy.size_share
    return max(ZERO, min(strategy.size_share, found)).quantize(_EIGHT)
