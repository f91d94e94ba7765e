"""Measures against scikit-learn, and against what is known by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from sofia_streams.training import metrics

pairs = st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2, max_size=80)


@settings(max_examples=100, deadline=None)
@given(pairs)
def test_measures_are_those_of_scikit_learn(found):
    probabilities = np.array([one / 20 for one, _ in found])
    labels = np.array([int(one) for _, one in found])
    if len({*labels}) == 2:
        assert metrics.area_under_curve(probabilities, labels) == pytest.approx(roc_auc_score(labels, probabilities))
    assert metrics.brier(probabilities, labels) == pytest.approx(brier_score_loss(labels, probabilities, pos_label=1))
    clipped = np.clip(probabilities, 1e-6, 1 - 1e-6)
    assert metrics.log_loss(probabilities, labels) == pytest.approx(log_loss(labels, clipped, labels=[0, 1]))


@settings(max_examples=100, deadline=None)
@given(pairs)
def test_bins_hold_every_row_once_and_split_no_equal_probabilities(found):
    probabilities = np.array([one / 20 for one, _ in found])
    labels = np.array([int(one) for _, one in found])
    bins = metrics.reliability(probabilities, labels)
    assert sum(one.rows for one in bins) == len(labels)
    assert sum(one.rows * one.frequency for one in bins) == pytest.approx(labels.sum())
    assert [one.probability for one in bins] == sorted(one.probability for one in bins)
    for value in {*probabilities}:
        assert sum(1 for one in bins if one.probability == pytest.approx(value, abs=1e-12)) <= 1


def test_the_error_of_calibration_by_hand():
    """Two groups of 50: 0.2 said and 0.4 came, 0.9 said and 0.8 came."""
    probabilities = np.repeat([0.2, 0.9], 50)
    labels = np.concatenate([np.arange(50) < 20, np.arange(50) < 40]).astype(int)
    assert metrics.calibration_error(probabilities, labels) == pytest.approx(0.15)


def test_intervals_of_rows_that_stand_together_are_wider():
    """A hundred labels, each thirty times: single rows would pretend to know more."""
    random = np.random.default_rng(1)
    labels = np.repeat(random.integers(0, 2, 100), 30)
    said = np.full(3_000, 0.6)

    def width(block):
        found = metrics.intervals({"accuracy": metrics.accuracy}, said, labels, block=block)["accuracy"]
        assert found.low <= found.value <= found.high
        return found.high - found.low

    assert width(60) > 3 * width(1)


def test_a_gain_is_paired():
    """Both are equally far off in every draw: the interval has no width."""
    labels = np.random.default_rng(2).integers(0, 2, 500)
    ours, theirs = np.where(labels == 1, 0.9, 0.1), np.where(labels == 1, 0.7, 0.3)
    found = metrics.gain(metrics.log_loss, ours, theirs, labels, block=10)
    assert found.low == pytest.approx(found.high) == pytest.approx(np.log(0.9 / 0.7))


def test_following_pays_the_fee_for_each_trade():
    found = metrics.followed(
        np.array([0.7, 0.4, 0.8]), np.array([0.01, 0.5, -0.02]), fee=0.001, threshold=0.5, block=1
    )
    assert found.trades == 2
    assert found.net.value == pytest.approx(-0.012)
    assert found.per_trade.value == pytest.approx(-0.006)


def test_following_nothing_pays_nothing():
    found = metrics.followed(np.full(9, 0.4), np.ones(9), fee=0.001, threshold=0.5, block=3)
    assert (found.trades, *found.net, *found.per_trade) == (0, 0, 0, 0, 0, 0, 0)
