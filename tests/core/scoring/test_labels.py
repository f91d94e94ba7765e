"""What became of a bar, known when it can be and not before; costs, barriers and holes as they are stated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.core.scoring.labels import Labeller, Outcome, Rule


def flat(price):
    return price, price, price, price


def outcomes(rule, bars, sigma=0.01):
    labeller = Labeller(rule)
    return [(at, one) for at, bar in enumerate(bars) for one in labeller.take(at, bar, sigma)]


def test_the_entry_is_the_open_of_the_next_bar_and_the_exit_the_close_of_the_last():
    bars = [flat(100), (101, 105, 99, 104), (104, 104, 90, 100), flat(103)]
    assert outcomes(Rule("forward", 2), bars)[0] == (2, Outcome(0, 0, 100 / 101 - 1, 2))
    assert outcomes(Rule("forward", 1), bars)[0] == (1, Outcome(0, 1, 104 / 101 - 1, 1))


@pytest.mark.parametrize(("cost", "label"), [(0.0, 1), (0.009, 1), (0.011, 0)])
def test_a_rise_below_the_cost_is_none(cost, label):
    bars = [flat(100), (100, 101, 100, 101)]
    assert outcomes(Rule("forward", 1, cost), bars)[0][1].label == label


BARRIERS = {
    "the upper one first": ([(100, 102.5, 99.5, 102)], (1, 0.02, 1)),
    "the lower one first": ([(100, 101, 97, 98)], (0, -0.02, 1)),
    "both in one bar": ([(100, 103, 97, 102)], (0, -0.02, 1)),
    "an opening beyond the upper one": ([(100, 101, 99, 100), (104, 105, 103, 104)], (1, 0.04, 2)),
    "an opening below the lower one": ([(100, 101, 99, 100), (95, 99, 94, 99)], (0, -0.05, 2)),
    "neither, and up": ([(100, 101, 99, 100)] * 3 + [(100, 101, 99, 101)], (1, 0.01, 4)),
    "neither, and flat": ([(100, 101, 99, 100)] * 4, (0, 0.0, 4)),
}


@pytest.mark.parametrize("what", BARRIERS)
def test_the_first_barrier_that_is_touched_decides(what):
    bars, (label, change, count) = BARRIERS[what]
    (_, found), *_ = outcomes(Rule("barrier", 4), [flat(100), *bars], sigma=0.01)  # the width is 0.01 * sqrt(4)
    assert (found.label, found.bars) == (label, count)
    assert found.forward_return == pytest.approx(change)


def test_a_barrier_is_never_nearer_than_the_cost():
    (_, found), *_ = outcomes(Rule("barrier", 1, 0.03), [flat(100), (100, 102.9, 97.1, 100)], sigma=0.001)
    assert found == Outcome(0, 0, 0.0, 1)


def test_without_a_volatility_there_is_no_barrier():
    assert outcomes(Rule("barrier", 1), [flat(100)] * 5, sigma=None) == []


def test_what_is_open_over_a_hole_gets_no_label():
    labeller = Labeller(Rule("forward", 3))
    labeller.take(0, flat(100), None)
    labeller.forget()
    assert [labeller.take(at, flat(100), None) for at in range(5, 8)] == [[]] * 3
    assert [one.start_ns for one in labeller.take(8, flat(100), None)] == [5]


prices = st.lists(st.tuples(*[st.floats(50, 150)] * 4).map(lambda p: (p[0], max(p), min(p), p[3])), max_size=60)


@given(prices, st.sampled_from(["forward", "barrier"]), st.integers(1, 12))
def test_every_bar_gets_one_label_within_the_horizon_and_none_looks_further(bars, kind, horizon):
    rule = Rule(kind, horizon, 0.001)
    found = outcomes(rule, bars)
    assert sorted(one.start_ns for _, one in found) == sorted({one.start_ns for _, one in found})
    assert {*range(len(bars) - horizon)} <= {one.start_ns for _, one in found}
    assert all(at == one.start_ns + one.bars <= one.start_ns + horizon for at, one in found)
    for cut in range(0, len(bars), 7):
        assert outcomes(rule, bars[:cut]) == [pair for pair in found if pair[0] < cut]
