"""The same returns in empyrical-reloaded, and moments in SciPy: equal to 1e-10.

Compared: sharpe_ratio, annual_volatility (both ddof 1, as ours), sortino_ratio (lower deviation over all periods, as
ours), max_drawdown (with the start, as ours), cum_returns_final, aggregate_returns by month, annual_return and
calmar_ratio, SciPy's skew and kurtosis (population moments). Where definitions differ: its annual_return counts
periods, ours time by years of 365.25 days, so it is asked with 365.25 periods; it gives NaN or infinity where ours is
None; it has no deflated Sharpe (test_ratios.py has the published example).
"""

import csv
import gzip
import random
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import empyrical
import numpy as np
import pandas as pd
import pytest
from account_records import BEGIN_NS, account
from scipy import stats

from sofia_streams.core.performance import equity, ratios
from sofia_streams.core.performance.drawdown import max_drawdown
from sofia_streams.core.performance.summary import tell
from sofia_streams.model import NS_PER_DAY, NS_PER_HOUR, NS_PER_SECOND

pytestmark = pytest.mark.slow

HOURS = Path(__file__).parents[4] / "shared" / "data" / "ohlcv" / "coinbase-btcusd-1h.csv.gz"
"""Klines of an exchange, of no licence of ours: not part of the repository."""


def some_returns(seed, count=200):
    """Fat-tailed, with a trend and autocorrelation."""
    draw, last, found = random.Random(seed), 0.0, []
    for _ in range(count):
        last = 0.2 * last + draw.gauss(0.0008, 0.02) * draw.choice((0.5, 1.0, 2.0))
        found.append(last)
    return found


def dated(returns):
    return pd.Series(returns, index=pd.date_range("2024-01-01", periods=len(returns)))


@pytest.fixture(params=range(5))
def returns(request):
    return some_returns(request.param)


@pytest.mark.parametrize("periods", [365, 252])
def test_ratios_of_the_same_returns(returns, periods):
    theirs = dated(returns)
    for ours, other in (
        (ratios.sharpe(returns, periods), empyrical.sharpe_ratio(theirs, annualization=periods)),
        (ratios.sortino(returns, periods), empyrical.sortino_ratio(theirs, annualization=periods)),
        (ratios.volatility(returns, periods), empyrical.annual_volatility(theirs, annualization=periods)),
        (max_drawdown(returns), empyrical.max_drawdown(theirs)),
        (ratios.skewness(returns), stats.skew(np.array(returns))),
        (ratios.kurtosis(returns), stats.kurtosis(np.array(returns), fisher=False)),
    ):
        assert ours == pytest.approx(other, rel=1e-10)


def test_an_account_that_made_these_returns(returns):
    accounts, value = [account(0, BEGIN_NS, 10_000)], 10_000.0
    for day, one in enumerate(returns, 1):
        value *= 1.0 + one
        accounts.append(account(day, BEGIN_NS + day * NS_PER_DAY, repr(value)))
    found, theirs = tell(accounts, [], [], draws=10).statistics, dated(returns)
    assert found.returns == len(returns)
    assert found.total_return == pytest.approx(empyrical.cum_returns_final(theirs), rel=1e-10)
    assert found.ratios.sharpe == pytest.approx(empyrical.sharpe_ratio(theirs, annualization=365), rel=1e-10)
    assert found.ratios.sortino == pytest.approx(empyrical.sortino_ratio(theirs, annualization=365), rel=1e-10)
    assert found.drawdown.depth == pytest.approx(empyrical.max_drawdown(theirs), rel=1e-10)
    assert found.growth_year == pytest.approx(empyrical.annual_return(theirs, annualization=365.25), rel=1e-9)
    assert found.calmar == pytest.approx(empyrical.calmar_ratio(theirs, annualization=365.25), rel=1e-9)
    monthly = empyrical.aggregate_returns(theirs, "monthly")
    assert [one.value for one in found.months] == pytest.approx(list(monthly), rel=1e-9)
    assert [(one.year, one.month) for one in found.months] == list(monthly.index)


def test_daily_returns_of_minutes_are_those_of_the_last_minute_of_each_day():
    draw, value, rows = random.Random(3), 10_000.0, []
    for minute in range(1, 4 * 24 * 60 + 1):
        value *= 1.0 + draw.gauss(0.0, 0.001)
        rows.append((minute, value))
    accounts = [account(n - 1, BEGIN_NS + n * 60_000_000_000, repr(v)) for n, v in rows]
    minutes = pd.Series([v for _, v in rows], index=pd.to_datetime([BEGIN_NS + n * 60_000_000_000 for n, _ in rows]))
    last = minutes.resample("D", closed="right").last()
    theirs = pd.concat([pd.Series([10_000.0]), last]).pct_change().dropna()
    assert equity.returns(equity.daily(equity.curve(accounts))) == pytest.approx(list(theirs), rel=1e-9)


def closes():
    """(end of the hour, close) of real hours, ascending; skips where they are not there."""
    if not HOURS.exists():
        pytest.skip(f"needs real klines in {HOURS.name} beside the checkout")
    with gzip.open(HOURS, "rt") as file:
        for row in csv.DictReader(islice(file, 1, None)):
            start = datetime.strptime(row["date"], "%Y-%m-%d %I-%p").replace(tzinfo=UTC)
            yield int(start.timestamp()) * NS_PER_SECOND + NS_PER_HOUR, row["close"]


def test_holding_through_real_hours():
    hours = sorted(closes())
    start = hours[0][1]
    accounts = [account(n, at_ns, close, start=start) for n, (at_ns, close) in enumerate(hours)]
    found = tell(accounts, [], [], draws=10).statistics
    worth = pd.Series([float(close) for _, close in hours], index=pd.to_datetime([at_ns for at_ns, _ in hours]))
    ends = worth.resample("D", closed="right", label="right").last().ffill()
    whole = [float(start), *ends[ends.index <= worth.index[-1] + pd.Timedelta("1min")]]
    theirs = pd.Series(whole).pct_change().dropna()
    assert found.returns == len(theirs) > 500
    assert found.ratios.sharpe == pytest.approx(empyrical.sharpe_ratio(theirs, annualization=365), rel=1e-10)
    assert found.ratios.sortino == pytest.approx(empyrical.sortino_ratio(theirs, annualization=365), rel=1e-10)
    assert found.drawdown_daily == pytest.approx(empyrical.max_drawdown(theirs), rel=1e-10)
    assert found.drawdown.depth == pytest.approx(empyrical.max_drawdown(worth.pct_change().dropna()), rel=1e-10)
