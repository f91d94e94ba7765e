"""What a report on a paper account or a backtest says. Plain data, written as JSON; computes and draws nothing.

Curves are lists of (at_ns, number), thinned (`making.thinned`); statistics are of everything.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from sofia_streams.core.performance.resampling import Interval
from sofia_streams.core.performance.summary import Statistics, Trials, trials_of
from sofia_streams.core.performance.trips import RoundTrip
from sofia_streams.model import Side


class Baseline(msgspec.Struct, frozen=True):
    """Something simpler over the same time: `points` are (at_ns, index), 1 at the start, thinned.

    sharpe  a year's, of daily returns as in `Statistics`; None under 30 returns or where nothing deviates
    spread  the central 95 % of the total return, where it was drawn several times
    """

    name: str
    points: list[tuple[int, float]]
    total_return: float
    sharpe: float | None
    max_drawdown: float
    note: str = ""
    spread: Interval | None = None


class SweepTrial(msgspec.Struct, frozen=True):
    """One setting of a sweep. `sharpe_day` is a day's, not annualised; None where there is none."""

    settings: dict[str, str]
    total_return: float
    sharpe_day: float | None
    max_drawdown: float
    round_trips: int


class Sweep(msgspec.Struct, frozen=True):
    """All that was tried, and the place of what the report is about among it."""

    trials: list[SweepTrial]
    chosen: int

    def summed(self) -> Trials:
        """How many, and how much their Sharpes differ."""
        return trials_of([one.sharpe_day for one in self.trials])


class Mark(msgspec.Struct, frozen=True):
    """A fill on the price chart. `realised_quote`: before fees, 0 where it only opens."""

    at_ns: int
    side: Side
    price: Decimal
    quantity: Decimal
    realised_quote: Decimal
    fee_quote: Decimal
    purpose: str = ""


class Chart(msgspec.Struct, frozen=True):
    """One symbol: (start_ns, close), thinned, and fills; `left_out` of them are not shown."""

    symbol: str
    points: list[tuple[int, float]]
    marks: list[Mark]
    left_out: int = 0


class Report(msgspec.Struct, frozen=True):
    """Everything that the page shows. Times in ns, money in `currency`, returns as fractions.

    equity    (at_ns, start equity times the index): the account without flows; drawdown: (at_ns, fraction from -1 to 0)
    trips     the newest round trips; `trips_left_out` before them
    """

    title: str
    currency: str
    from_ns: int
    until_ns: int
    warnings: list[str]
    is_synthetic: bool
    rules: dict[str, str]
    statistics: Statistics
    equity: list[tuple[int, float]]
    drawdown: list[tuple[int, float]]
    baselines: list[Baseline]
    sweep: Sweep | None
    charts: list[Chart]
    trips: list[RoundTrip]
    trips_left_out: int = 0
