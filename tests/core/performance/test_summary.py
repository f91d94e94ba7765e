"""The whole record: what is told, what is null and why, and that it is the same again and as JSON."""

import math

import msgspec
import pytest
from account_records import BEGIN_NS, account, days, fill, order
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.core.performance.summary import Statistics, Trials, tell, trials_of
from sofia_streams.model import NS_PER_DAY

UPS_AND_DOWNS = [10_000 + 40 * n + (150 if n % 3 else -90) for n in range(1, 41)]


def told(*equities, **options):
    return tell(days(*equities), [], [], draws=50, **options).statistics


def test_fewer_than_30_returns_have_no_ratio_and_it_says_why():
    found = told(*UPS_AND_DOWNS[:29])
    ratios = found.ratios
    assert (found.returns, ratios.sharpe, ratios.sortino, ratios.sharpe_deflated) == (29, None, None, None)
    assert found.missing["sharpe"] == found.missing["sortino"] == "expected at least 30 daily returns, found 29"
    assert found.missing["growth_year"] == "under 30 days: nothing is annualised"
    assert found.intervals == {}
    assert ratios.mean is not None


def test_30_returns_have():
    found = told(*UPS_AND_DOWNS[:30])
    assert found.ratios.sharpe is not None
    assert found.growth_year is not None
    assert set(found.intervals) == {"mean", "sharpe", "max_drawdown"}
    assert found.missing["sharpe_deflated"] == "one trial: nothing was chosen among several"
    assert "sharpe" not in found.missing


def test_an_account_that_never_moved():
    found = told(*[10_000] * 40)
    assert (found.total_return, found.growth_year, found.drawdown.depth) == (0.0, 0.0, 0.0)
    assert found.missing["sharpe"] == "all daily returns are equal: the deviation is 0"
    assert found.missing["calmar"] == "nothing ever fell"
    assert found.missing["sortino"] == "no daily return is below 0"
    assert "sharpe" not in found.intervals


def nulls(record):
    """Names of what is null in a record and in those within it."""
    for name, value in msgspec.to_builtins(record).items():
        if isinstance(value, dict) and name != "drawdown":
            yield from nulls(value)
        elif value is None:
            yield name


@pytest.mark.parametrize("equities", [UPS_AND_DOWNS, UPS_AND_DOWNS[:5], [10_000] * 40, [20_000, *[0] * 40], []])
@pytest.mark.parametrize("prices", [(), ("9",), ("9", "10"), ("10", "9")])
def test_every_null_has_its_reason_and_nothing_else_has_one(equities, prices):
    fills = [fill(n, side, "1", price) for n, (side, price) in enumerate(zip(("buy", "sell"), prices, strict=False))]
    found = tell(days(*equities), fills, [], draws=50).statistics
    assert set(nulls(found)) == set(found.missing) - {"intervals"}


def test_many_trials_deflate():
    alone = told(*UPS_AND_DOWNS)
    one, many = (told(*UPS_AND_DOWNS, trials=Trials(tried, 0.04)) for tried in (1, 100))
    assert one.ratios.sharpe_deflated == alone.ratios.sharpe_probability
    assert many.ratios.sharpe_deflated < one.ratios.sharpe_deflated
    assert (alone.trials, many.trials) == (1, 100)


def test_trials_of_their_sharpes():
    assert trials_of([0.1, None, 0.3, 0.2]) == Trials(4, pytest.approx(0.01))
    assert trials_of([0.1]) == Trials(1, 0.0)
    assert trials_of([None, None]) == Trials(2, 0.0)


def test_the_sampling_is_stated_and_is_that_of_the_calendar():
    crypto, equities = told(*UPS_AND_DOWNS), told(*UPS_AND_DOWNS, calendar="equities")
    assert crypto.sampling == "daily at 00:00 UTC, every day, flows removed; annualised by 365 days"
    assert equities.sampling == "daily at 00:00 UTC, Monday to Friday, flows removed; annualised by 252 days"
    assert (crypto.returns, equities.returns) == (40, 30)
    spread = crypto.ratios.volatility_year / math.sqrt(365)
    assert crypto.ratios.sharpe == pytest.approx(crypto.ratios.mean / spread * math.sqrt(365))


def test_a_fall_within_a_day_counts_in_the_drawdown_but_not_in_the_daily_one():
    accounts = [
        *days(10_000),
        account(2, BEGIN_NS + NS_PER_DAY + 5, 8_000),
        account(3, BEGIN_NS + 2 * NS_PER_DAY, 9_900),
    ]
    found = tell(accounts, [], []).statistics
    assert found.drawdown.depth == pytest.approx(-0.2)
    assert found.drawdown_daily == pytest.approx(-0.01)


def test_trips_costs_and_orders_are_of_the_same_fills():
    fills = [fill(1, "buy", "1", "100", "1"), fill(2, "sell", "1", "120", "1", at_s=5)]
    result = tell(days(10_018), fills, [order("o1", "filled", filled="1")])
    found = result.statistics
    assert (found.trips.net_quote, found.costs.fees_quote, found.orders.fill_rate) == (18, 2, 1.0)
    assert [one.net_quote for one in result.trips] == [18]
    assert found.costs.turnover == pytest.approx(220 / 10_000)


def test_nothing_said_is_refused():
    with pytest.raises(ValueError, match="at least one record of the account"):
        tell([], [], [])


@given(st.lists(st.integers(1, 40_000), min_size=1, max_size=45), st.integers(0, 3))
def test_it_is_the_same_again_and_survives_json(equities, seed):
    found = told(*equities, seed=seed)
    assert found == told(*equities, seed=seed)
    again = msgspec.json.decode(msgspec.json.encode(found), type=Statistics)
    assert again == found
    assert -1.0 <= found.drawdown.depth <= found.drawdown_daily + 1e-12
    assert found.drawdown_daily <= 0.0
    assert b"NaN" not in msgspec.json.encode(found)
