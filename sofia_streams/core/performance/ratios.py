"""Sharpe, Sortino and their kin, of returns on an even grid. Fractions in, plain float64 out; None is "not defined".

Rates of return without risk and minimal acceptable returns are 0. `periods` is how many returns a year has.
What it does not do: refuse small samples (`summary` does), or know where the returns are from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from sofia_streams.model import NS_PER_DAY, NS_PER_SECOND

EULER_MASCHERONI = 0.5772156649015329
_YEAR_S = 365.25 * 86_400
_NORMAL = NormalDist()
_NOISE = 1e-12
"""Deviations below this share of the largest return are rounding of equal returns."""


def mean(returns: Sequence[float]) -> float:
    """Arithmetic mean, a fraction a period; must not be empty."""
    return math.fsum(returns) / len(returns)


def deviation(returns: Sequence[float]) -> float:
    """Sample standard deviation (ddof 1), a fraction a period; 0 of fewer than two, and of equal returns."""
    if len(returns) < 2:
        return 0.0
    middle = mean(returns)
    found = math.sqrt(math.fsum((one - middle) ** 2 for one in returns) / (len(returns) - 1))
    return found if found > _NOISE * max(map(abs, returns)) else 0.0


def volatility(returns: Sequence[float], periods: int) -> float:
    """deviation * sqrt(periods): a fraction a year."""
    return deviation(returns) * math.sqrt(periods)


def sharpe(returns: Sequence[float], periods: int = 1) -> float | None:
    """mean / deviation * sqrt(periods) (Sharpe 1994); None where nothing deviates. `periods` 1: not annualised."""
    spread = deviation(returns)
    return mean(returns) / spread * math.sqrt(periods) if spread else None


def sortino(returns: Sequence[float], periods: int) -> float | None:
    """mean * sqrt(periods) / sqrt(mean(min(r, 0)^2)), the lower mean over all periods (Sortino, Price 1994).

    None where no return is below 0.
    """
    lower = math.sqrt(math.fsum(min(one, 0.0) ** 2 for one in returns) / len(returns)) if returns else 0.0
    return mean(returns) * math.sqrt(periods) / lower if lower else None


def skewness(returns: Sequence[float]) -> float:
    """Third standardised moment, of the population; 0 where nothing deviates."""
    return _moment(returns, 3)


def kurtosis(returns: Sequence[float]) -> float:
    """Fourth standardised moment, of the population: 3 of a normal distribution, and where nothing deviates."""
    return _moment(returns, 4) if deviation(returns) else 3.0


def _moment(returns: Sequence[float], order: int) -> float:
    if not deviation(returns):
        return 0.0
    middle, count = mean(returns), len(returns)
    second = math.fsum((one - middle) ** 2 for one in returns) / count
    return math.fsum((one - middle) ** order for one in returns) / count / math.pow(second, order / 2)


def autocorrelation(returns: Sequence[float], lag: int) -> float:
    """Of returns `lag` periods apart, -1 to 1; 0 where nothing deviates. Both sums around one mean (Box, Jenkins)."""
    middle = mean(returns)
    around = [one - middle for one in returns]
    whole = math.fsum(one * one for one in around) if deviation(returns) else 0.0
    return math.fsum(a * b for a, b in zip(around, around[lag:], strict=False)) / whole if whole else 0.0


def lags(count: int) -> int:
    """How many autocorrelations `count` returns can tell: 4 * (count / 100)^(2/9), down (Newey, West 1994)."""
    return min(max(count - 1, 0), math.floor(4.0 * math.pow(count / 100.0, 2.0 / 9.0)))


def scale(correlations: Sequence[float], periods: int) -> float | None:
    """From a period's Sharpe to a year's: q / sqrt(q + 2 * sum over k < q of (q - k) * rho_k), q = periods (Lo 2002).

    `correlations`: rho_1, rho_2, ..., 0 behind the last. sqrt(q) without them; None where they leave no variance.
    """
    terms = ((periods - k) * rho for k, rho in enumerate(correlations, 1) if k < periods)
    variance = periods + 2.0 * math.fsum(terms)
    return periods / math.sqrt(variance) if variance > 0.0 else None


def sharpe_corrected(returns: Sequence[float], periods: int) -> float | None:
    """A period's Sharpe times `scale` (Lo 2002, eq. 20); autocorrelations above `lags(n)` are taken as 0.

    None where nothing deviates, or the autocorrelations leave no variance.
    """
    plain = sharpe(returns)
    factor = scale([autocorrelation(returns, lag) for lag in range(1, lags(len(returns)) + 1)], periods)
    return None if plain is None or factor is None else plain * factor


def sharpe_error(returns: Sequence[float], periods: int) -> float | None:
    """Standard error of `sharpe(returns, periods)` for independent normal returns (Lo 2002, eq. 9).

    sqrt((1 + SR^2 / 2) / n) of a period's SR, times sqrt(periods). None where there is no Sharpe.
    """
    plain = sharpe(returns)
    return None if plain is None else math.sqrt((1.0 + plain * plain / 2.0) / len(returns) * periods)


def probability_above(found: float, threshold: float, count: int, skew: float, tails: float) -> float | None:
    """That the true Sharpe is above `threshold`, where `count` returns gave `found`; both a period's.

    Phi((SR - threshold) * sqrt(n - 1) / sqrt(1 - skew * SR + (tails - 1) / 4 * SR^2)), `tails` the kurtosis (Bailey and
    Lopez de Prado 2012). None where the moments leave no variance.
    """
    variance = 1.0 - skew * found + (tails - 1.0) / 4.0 * found * found
    return _NORMAL.cdf((found - threshold) * math.sqrt((count - 1) / variance)) if variance > 0.0 else None


def probabilistic_sharpe(returns: Sequence[float], threshold: float = 0.0) -> float | None:
    """`probability_above` of these returns, 0 to 1; None where there is no Sharpe."""
    found = sharpe(returns)
    if found is None:
        return None
    return probability_above(found, threshold, len(returns), skewness(returns), kurtosis(returns))


def expected_best_sharpe(trials: int, variance: float) -> float:
    """The Sharpe that the best of `trials` worthless ones has on average (Bailey, Lopez de Prado 2014, eq. 1).

    sqrt(variance) * ((1 - g) * Phi^-1(1 - 1/N) + g * Phi^-1(1 - 1/(N * e))), g the constant of Euler and Mascheroni.
    `variance` is that of the trials' Sharpes, a period's; 0 of one trial. Raises ValueError below one trial or 0.
    """
    if trials < 1 or variance < 0.0:
        raise ValueError(f"expected at least 1 trial and a variance from 0, found {trials} and {variance}")
    if trials == 1:
        return 0.0
    plain, rare = _NORMAL.inv_cdf(1.0 - 1.0 / trials), _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(variance) * ((1.0 - EULER_MASCHERONI) * plain + EULER_MASCHERONI * rare)


def deflated_sharpe(returns: Sequence[float], trials: int, variance: float) -> float | None:
    """Probability that the Sharpe of the best trial is above what luck gives the best of so many.

    `probabilistic_sharpe` at `expected_best_sharpe` (Bailey, Lopez de Prado 2014, eq. 2), 0 to 1.
    """
    return probabilistic_sharpe(returns, expected_best_sharpe(trials, variance))


def growth_rate(index: float, from_ns: int, until_ns: int) -> float | None:
    """CAGR: index^(365.25 days / time) - 1, a fraction a year; None under 30 days. `index` is 1 + the whole return."""
    if until_ns - from_ns < 30 * NS_PER_DAY:
        return None
    return math.pow(index, _YEAR_S * NS_PER_SECOND / (until_ns - from_ns)) - 1.0
