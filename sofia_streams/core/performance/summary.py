"""Everything that is said of an account over a stretch of time, as one record. Pure: the same inputs, the same figures.

A figure that cannot be told is None, and `missing` says why; it is never 0 or infinite in its place. What it does not
do: keep running figures (it is computed when asked for), or judge them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from sofia_streams.core.performance import equity, execution, ratios, resampling, trips
from sofia_streams.core.performance.drawdown import Drawdown, deepest, max_drawdown
from sofia_streams.core.performance.equity import PERIODS_PER_YEAR, Calendar, Exposure, Month, Value
from sofia_streams.core.performance.execution import CostFigures, OrderFigures
from sofia_streams.core.performance.resampling import DRAWS, Interval
from sofia_streams.core.performance.trips import RoundTrip, TripFigures
from sofia_streams.paper import Account, Fill, Order

RETURNS_MIN = 30
"""Fewer say nothing of a Sharpe."""


class Trials(NamedTuple):
    """How many strategies or settings were tried before this one was chosen, and how much their Sharpes differ.

    `variance`: of the trials' Sharpes, a period's (a day), not annualised.
    """

    tried: int
    variance: float


def trials_of(sharpes: Sequence[float | None]) -> Trials:
    """Of each trial's Sharpe, a period's (a day), not annualised; one without counts as a trial, not in the variance.

    The variance is that of a sample; 0 of fewer than two.
    """
    known = [one for one in sharpes if one is not None]
    return Trials(len(sharpes), ratios.deviation(known) ** 2)


class Ratios(msgspec.Struct, frozen=True):
    """Of returns on an even grid (`ratios`); None where `Statistics.missing` says why.

    volatility_year     deviation (ddof 1) * sqrt(periods a year), a fraction
    sharpe              mean / deviation * sqrt(periods a year)
    sharpe_error        its standard error for independent normal returns (Lo 2002)
    sharpe_corrected    annualised with the autocorrelation of the returns (Lo 2002)
    sharpe_probability  that the true Sharpe is above 0 (probabilistic Sharpe, Bailey and Lopez de Prado 2012)
    sharpe_deflated     that it is above the best of so many worthless trials (Bailey and Lopez de Prado 2014)
    sortino             mean * sqrt(periods a year) / lower deviation over all periods
    skewness, kurtosis  population moments; 0 and 3 of a normal distribution
    """

    mean: float | None = None
    volatility_year: float | None = None
    sharpe: float | None = None
    sharpe_error: float | None = None
    sharpe_corrected: float | None = None
    sharpe_probability: float | None = None
    sharpe_deflated: float | None = None
    sortino: float | None = None
    skewness: float | None = None
    kurtosis: float | None = None


class Statistics(msgspec.Struct, frozen=True):
    """Figures of one account from `from_ns` to `until_ns`; money in its currency, the rest fractions and counts.

    sampling      how returns are taken and annualised, in words
    returns       how many of them there are; `ratios` are of these
    total_return  of the whole stretch, flows removed
    growth_year   CAGR: (1 + total_return)^(365.25 days / time) - 1; None under 30 days
    calmar        growth_year / |drawdown.depth|
    drawdown      over every record (each fill and minute), `drawdown_daily` the depth over daily values
    intervals     95 % by stationary bootstrap of "mean" (a period), "sharpe", "max_drawdown" (over the daily returns)
    missing       figure -> why it is None
    """

    from_ns: int
    until_ns: int
    calendar: Calendar
    periods_per_year: int
    sampling: str
    returns: int
    start_quote: float
    end_quote: float
    total_return: float
    growth_year: float | None
    calmar: float | None
    ratios: Ratios
    drawdown: Drawdown
    drawdown_daily: float
    intervals: dict[str, Interval]
    trips: TripFigures
    costs: CostFigures
    orders: OrderFigures
    exposure: Exposure
    months: list[Month]
    trials: int
    missing: dict[str, str]


class Told(NamedTuple):
    """Statistics, and what they are of: the value at each record, daily values, closed round trips."""

    statistics: Statistics
    values: list[Value]
    daily: list[Value]
    trips: list[RoundTrip]


def tell(
    accounts: Sequence[Account],
    fills: Sequence[Fill],
    orders: Sequence[Order],
    *,
    calendar: Calendar = "crypto",
    trials: Trials | None = None,
    seed: int = 1,
    draws: int = DRAWS,
) -> Told:
    """Of what was said of the account, its fills and orders over the same stretch; accounts and fills by time.

    Fills should begin where the account was flat. Raises ValueError without an account record.
    """
    if not accounts:
        raise ValueError("expected at least one record of the account, found none: choose a stretch in which it traded")
    values = equity.curve(accounts)
    days = equity.daily(values, calendar)
    closed, still_open = trips.round_trips(fills)
    traded = (
        trips.figures(closed, still_open),
        execution.costs(fills, equity.mean_equity(accounts)),
        execution.outcomes(orders),
        equity.exposure(accounts),
    )
    found = _of_values(values, equity.returns(days), calendar, trials, (seed, draws), traded)
    return Told(found, values, days, closed)


_Traded = tuple[TripFigures, CostFigures, OrderFigures, Exposure]


def _of_values(
    values: Sequence[Value],
    returns: Sequence[float],
    calendar: Calendar,
    trials: Trials | None,
    drawing: tuple[int, int],
    traded: _Traded,
) -> Statistics:
    first, last, periods = values[0], values[-1], PERIODS_PER_YEAR[calendar]
    missing = _missing_of_trading(traded)
    fall = deepest([(one.at_ns, one.growth) for one in values])
    rate = ratios.growth_rate(last.growth, first.at_ns, last.at_ns)
    return Statistics(
        from_ns=first.at_ns,
        until_ns=last.at_ns,
        calendar=calendar,
        periods_per_year=periods,
        sampling=_sampling(calendar),
        returns=len(returns),
        start_quote=first.equity,
        end_quote=last.equity,
        total_return=last.growth - 1.0,
        growth_year=rate,
        calmar=_calmar(rate, fall, missing),
        ratios=_ratios(returns, periods, trials, missing),
        drawdown=fall,
        drawdown_daily=max_drawdown(returns),
        intervals=_intervals(returns, periods, *drawing, missing),
        trips=traded[0],
        costs=traded[1],
        orders=traded[2],
        exposure=traded[3],
        months=equity.months(values),
        trials=trials.tried if trials else 1,
        missing=missing,
    )


def _missing_of_trading(traded: _Traded) -> dict[str, str]:
    done, costs, orders = traded[0], traded[1], traded[2]
    why: dict[str, str] = {
        "profit_factor": "no round trip was lost" if done.count else "no closed round trip",
        "payoff": "no round trip was won, or none lost" if done.count else "no closed round trip",
        "turnover": "no equity",
        "slippage_bps": "no fill whose middle at the decision is known",
        **dict.fromkeys(
            ("win_rate", "expectancy_quote", "mean_hours", "best_quote", "worst_quote"), "no closed round trip"
        ),
        **dict.fromkeys(("fees_bps", "maker_share"), "no fill"),
        **dict.fromkeys(("fill_rate", "quantity_rate"), "no accepted order is done"),
    }
    values = {name: value for one in (done, costs, orders) for name, value in msgspec.structs.asdict(one).items()}
    return {name: said for name, said in why.items() if values[name] is None}


def _sampling(calendar: Calendar) -> str:
    days = "every day" if calendar == "crypto" else "Monday to Friday"
    return f"daily at 00:00 UTC, {days}, flows removed; annualised by {PERIODS_PER_YEAR[calendar]} days"


def _ratios(returns: Sequence[float], periods: int, trials: Trials | None, missing: dict[str, str]) -> Ratios:
    """Each ratio that these returns can tell; `missing` gets the others."""
    if len(returns) < RETURNS_MIN:
        few = f"expected at least {RETURNS_MIN} daily returns, found {len(returns)}"
        missing.update(dict.fromkeys((*_OF_SHARPE, *_OF_RETURNS), few))
        missing.update({} if returns else {"mean": few})
        return Ratios(mean=ratios.mean(returns) if returns else None)
    found = Ratios(
        mean=ratios.mean(returns),
        volatility_year=ratios.volatility(returns, periods),
        sharpe=ratios.sharpe(returns, periods),
        sharpe_error=ratios.sharpe_error(returns, periods),
        sharpe_corrected=ratios.sharpe_corrected(returns, periods),
        sharpe_probability=ratios.probabilistic_sharpe(returns),
        sharpe_deflated=ratios.deflated_sharpe(returns, trials.tried, trials.variance) if trials else None,
        sortino=ratios.sortino(returns, periods),
        skewness=ratios.skewness(returns),
        kurtosis=ratios.kurtosis(returns),
    )
    why = {"sortino": "no daily return is below 0"}
    if not trials:
        why["sharpe_deflated"] = "one trial: nothing was chosen among several"
    if found.sharpe is None:
        why |= dict.fromkeys(_OF_SHARPE, "all daily returns are equal: the deviation is 0")
    other = "the moments of the returns leave no variance"
    missing.update({name: why.get(name, other) for name in (*_OF_SHARPE, "sortino") if getattr(found, name) is None})
    return found


_OF_RETURNS = ("volatility_year", "sortino", "skewness", "kurtosis")
_OF_SHARPE = ("sharpe", "sharpe_error", "sharpe_corrected", "sharpe_probability", "sharpe_deflated")


def _calmar(rate: float | None, fall: Drawdown, missing: dict[str, str]) -> float | None:
    if rate is None:
        missing.update(dict.fromkeys(("growth_year", "calmar"), "under 30 days: nothing is annualised"))
        return None
    if not fall.depth:
        missing["calmar"] = "nothing ever fell"
        return None
    return rate / abs(fall.depth)


def _intervals(
    returns: Sequence[float], periods: int, seed: int, draws: int, missing: dict[str, str]
) -> dict[str, Interval]:
    if len(returns) < RETURNS_MIN:
        missing["intervals"] = f"expected at least {RETURNS_MIN} daily returns, found {len(returns)}"
        return {}
    of: dict[str, resampling.Figure] = {
        "mean": ratios.mean,
        "sharpe": lambda some: ratios.sharpe(some, periods),
        "max_drawdown": max_drawdown,
    }
    return resampling.intervals(of, returns, seed=seed, draws=draws)
