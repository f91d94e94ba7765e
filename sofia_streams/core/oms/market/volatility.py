"""How much a symbol moves, from the closes of its signals. Plain state, no decisions."""

from __future__ import annotations

import math
from decimal import Decimal

import msgspec

from sofia_streams.core.oms.rules import Costs
from sofia_streams.model import NS_PER_DAY, NS_PER_MINUTE

_CLOSES_MIN, _MEMORY = 30, 0.97


class Volatility(msgspec.Struct, array_like=True):
    """How much a symbol's closes move: an exponentially weighted mean of squared log returns, as RiskMetrics (1996)
    has it (decay 0.97); the plain mean while that weighs the newest more, 33 returns.
    """

    close: float = 0.0
    variance: float = 0.0
    count: int = 0
    size_ns: int = NS_PER_MINUTE
    starts_ns: dict[int, int] = {}
    """Start of the newest bar that was taken, by size."""

    def is_new(self, start_ns: int, size_ns: int) -> bool:
        """Whether a bar is behind all that were taken, and then it is. A signals worker that was killed says its last
        bars again, which are the same ones.
        """
        if start_ns <= self.starts_ns.get(size_ns, -1):
            return False
        self.starts_ns[size_ns] = start_ns
        return True

    def add(self, close: Decimal | None, size_ns: int) -> None:
        """The next bar's close; None for a quiet bar, and one that is not above 0 says nothing either."""
        self.size_ns = size_ns
        if close is None or close <= 0:
            return
        now = float(close)
        if self.close > 0.0:
            move = math.log(now / self.close)
            self.count += 1
            weight = max(1.0 / self.count, 1.0 - _MEMORY)
            self.variance += (move * move - self.variance) * weight
        self.close = now

    def daily(self, costs: Costs) -> float:
        """Daily volatility, a fraction; the configured one until 30 returns are known."""
        if self.count < _CLOSES_MIN:
            return float(costs.volatility_day)
        return math.sqrt(self.variance * NS_PER_DAY / self.size_ns)
