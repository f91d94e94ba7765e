"""The deepest and the longest fall, by hand and as properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.core.performance.drawdown import Drawdown, deepest, drawdowns, max_drawdown

INDEX = st.lists(st.floats(0.01, 1e6), min_size=1, max_size=60)


def test_depth_peak_bottom_and_recovery():
    # peak 120 at 1, bottom 90 at 3 (-25 %), back above 120 at 5; then -10 % from 130, open at the end
    found = deepest([*enumerate((100, 120, 108, 90, 115, 130, 117, 125))])
    assert found == Drawdown(-0.25, 1, 3, 5, 4, False)


def test_the_longest_fall_need_not_be_the_deepest_and_may_be_open():
    found = deepest([*enumerate((100, 50, 100, 99, 99, 99, 99))])
    assert found == Drawdown(-0.5, 0, 1, 2, 4, True)


def test_a_value_equal_to_the_peak_ends_a_fall_and_begins_the_next_there():
    assert deepest([*enumerate((100, 50, 100, 100, 95))]) == Drawdown(-0.5, 0, 1, 2, 2, False)


def test_without_a_fall_there_is_none():
    assert deepest([*enumerate((100, 100, 110))]) == Drawdown(0.0, 0, 0, 0, 0, False)


def test_a_total_loss_is_all_of_it():
    assert deepest([(0, 1.0), (1, 0.0), (2, 0.0)]).depth == -1.0
    assert max_drawdown([-1.0, 5.0]) == -1.0


@given(INDEX)
def test_depth_is_from_minus_one_to_0_and_the_lowest_of_all(index):
    found = deepest([*enumerate(index)])
    assert -1.0 <= found.depth <= 0.0
    assert found.depth == min(drawdowns(index))
    assert found.peak_ns <= found.bottom_ns
    assert found.longest_ns <= len(index) - 1
    if found.recovered_ns is None:
        assert max(index[found.bottom_ns :]) < index[found.peak_ns]
    else:
        assert index[found.recovered_ns] >= index[found.peak_ns]


@given(INDEX, st.floats(0.001, 1000))
def test_it_is_the_same_in_another_currency(index, rate):
    assert deepest([(n, x * rate) for n, x in enumerate(index)]).depth == pytest.approx(
        deepest([*enumerate(index)]).depth, abs=1e-9
    )


@given(st.lists(st.floats(-0.5, 0.5), max_size=50))
def test_that_of_returns_is_that_of_their_index(returns):
    index = [1.0]
    for one in returns:
        index.append(index[-1] * (1.0 + one))
    assert max_drawdown(returns) == pytest.approx(min(drawdowns(index)), abs=1e-12)
