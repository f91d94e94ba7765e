"""Ratios by hand, against closed forms, and as properties. Against another library: test_ratios_oracle.py."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sofia_streams.core.performance import ratios
from sofia_streams.model import NS_PER_DAY

RETURNS = st.lists(st.floats(-0.2, 0.2, allow_subnormal=False), min_size=3, max_size=60)


def test_sharpe_by_hand():
    # mean 0.02; squares around it 0.0001 + 0.0001 + 0 = 0.0002, by n - 1 = 2: 0.0001, deviation 0.01
    returns = [0.01, 0.03, 0.02]
    assert ratios.deviation(returns) == pytest.approx(0.01)
    assert ratios.sharpe(returns) == pytest.approx(2.0)
    assert ratios.sharpe(returns, 365) == pytest.approx(2.0 * math.sqrt(365))
    assert ratios.volatility(returns, 252) == pytest.approx(0.01 * math.sqrt(252))
    # sqrt((1 + 2^2 / 2) / 3) = 1
    assert ratios.sharpe_error(returns, 1) == pytest.approx(1.0)


def test_sortino_counts_all_periods_below():
    # mean 0.01; lower squares 0.02^2 of 4 periods: sqrt(0.0004 / 4) = 0.01, so 1 a period
    assert ratios.sortino([0.03, -0.02, 0.03, 0.0], 100) == pytest.approx(10.0)


@pytest.mark.parametrize("returns", [[0.01] * 40, [0.1] * 3, [0.0] * 30, [0.1 + 0.2, 0.3]])
def test_equal_returns_have_no_sharpe_even_where_rounding_differs(returns):
    assert ratios.sharpe(returns) is None
    assert ratios.sharpe_error(returns, 365) is None
    assert ratios.sharpe_corrected(returns, 365) is None
    assert ratios.probabilistic_sharpe(returns) is None
    assert (ratios.skewness(returns), ratios.kurtosis(returns)) == (0.0, 3.0)


def test_without_a_loss_there_is_no_sortino():
    assert ratios.sortino([0.01, 0.0, 0.02], 365) is None


@pytest.mark.parametrize("rho", [0.2, -0.3, 0.6])
def test_the_correction_is_the_closed_form_of_a_first_order_process(rho):
    # Lo 2002, eq. 21: sqrt(q) / sqrt(1 + 2 rho / (1 - rho) * (1 - (1 - rho^q) / (q * (1 - rho))))
    q = 12
    expected = math.sqrt(q / (1 + 2 * rho / (1 - rho) * (1 - (1 - rho**q) / (q * (1 - rho)))))
    assert ratios.scale([rho**k for k in range(1, 40)], q) == pytest.approx(expected, rel=1e-12)


def test_the_correction_has_nothing_to_say_where_no_variance_is_left():
    assert ratios.scale([], 365) == pytest.approx(math.sqrt(365))
    assert ratios.scale([-0.9], 12) is None


def test_autocorrelation_by_hand():
    # around the mean 0: 1, -1, 1, -1; lag 1: -3 / 4; lag 2: 2 / 4
    assert ratios.autocorrelation([0.01, -0.01, 0.01, -0.01], 1) == pytest.approx(-0.75)
    assert ratios.autocorrelation([0.01, -0.01, 0.01, -0.01], 2) == pytest.approx(0.5)
    assert ratios.autocorrelation([0.01] * 5, 1) == 0.0
    assert [ratios.lags(count) for count in (1, 30, 100, 365)] == [0, 3, 4, 5]


def test_the_published_example_of_the_deflated_sharpe():
    # Bailey and Lopez de Prado 2014, "A numerical example": 5 years of 250 days, Sharpe 2.5 a year, skewness -3,
    # kurtosis 10, 100 trials whose Sharpes a year have variance 1/2: threshold 0.1132 a day, probability 0.9004
    threshold = ratios.expected_best_sharpe(100, 0.5 / 250)
    assert threshold == pytest.approx(0.1132, abs=5e-5)
    assert ratios.probability_above(2.5 / math.sqrt(250), threshold, 1250, -3.0, 10.0) == pytest.approx(
        0.9004, abs=5e-5
    )


def test_one_trial_deflates_nothing_and_none_is_refused():
    returns = [0.01, -0.005, 0.02, 0.003]
    assert ratios.deflated_sharpe(returns, 1, 0.3) == ratios.probabilistic_sharpe(returns)
    for trials, variance in ((0, 0.1), (2, -0.1)):
        with pytest.raises(ValueError, match="at least 1 trial"):
            ratios.expected_best_sharpe(trials, variance)


def test_growth_a_year_and_none_under_30_days():
    year_ns = 365 * NS_PER_DAY + NS_PER_DAY // 4
    assert ratios.growth_rate(1.21, 0, 2 * year_ns) == pytest.approx(0.1)
    assert ratios.growth_rate(1.21, 0, 30 * NS_PER_DAY) == pytest.approx(1.21 ** (365.25 / 30) - 1)
    assert ratios.growth_rate(1.21, 0, 30 * NS_PER_DAY - 1) is None
    assert ratios.growth_rate(0.0, 0, year_ns) == -1.0


@given(RETURNS, st.floats(0.01, 50))
def test_sharpe_sortino_and_moments_do_not_depend_on_the_stake(returns, stake):
    assume(ratios.deviation(returns) > 1e-6)
    scaled = [one * stake for one in returns]
    for figure in (ratios.sharpe, ratios.probabilistic_sharpe, ratios.skewness, ratios.kurtosis):
        assert figure(scaled) == pytest.approx(figure(returns), rel=1e-6, abs=1e-9)
    plain = ratios.sortino(returns, 365)
    assert ratios.sortino(scaled, 365) == (plain if plain is None else pytest.approx(plain, rel=1e-6))


@given(RETURNS)
def test_sharpe_of_the_other_side_is_its_negative(returns):
    found = ratios.sharpe(returns)
    assert ratios.sharpe([-one for one in returns]) == (None if found is None else -found)


@given(RETURNS, st.integers(1, 500), st.integers(1, 500), st.floats(0, 1))
def test_more_trials_never_make_it_likelier(returns, few, more, variance):
    assume(ratios.deviation(returns) > 1e-6)
    low, high = (ratios.deflated_sharpe(returns, count, variance) for count in sorted((few, few + more), reverse=True))
    assert (low is None and high is None) or 0.0 <= low <= high <= 1.0


@given(RETURNS, st.integers(1, 5))
def test_autocorrelation_lies_within_one(returns, lag):
    assert -1.0 - 1e-9 <= ratios.autocorrelation(returns, lag) <= 1.0 + 1e-9
