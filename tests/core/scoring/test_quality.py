"""Measures over a window equal those of a model's card; a fault is found where there is one, by a stated test."""

from math import isclose
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from sofia_streams.core.scoring.drift import Deciles, psi
from sofia_streams.core.scoring.quality import Judged, fault, measured, upper_share
from sofia_streams.core.scoring.resampling import lower_bound
from sofia_streams.training.metrics import MEASURES

PROBABILITIES = st.one_of(st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.floats(0.0, 1.0))


def judged(pairs):
    return [Judged(number, probability, label) for number, (probability, label) in enumerate(pairs)]


@given(st.lists(st.tuples(PROBABILITIES, st.integers(0, 1)), min_size=1, max_size=120))
def test_measures_equal_those_of_a_card(pairs):
    """The two are written apart: one in plain Python for a window, one with numpy for a test slice."""
    found = measured(judged(pairs), overlap=1)
    probabilities, labels = (np.array(column) for column in zip(*pairs, strict=True))
    for name in ("accuracy", "brier", "ece", "log_loss"):
        assert isclose(getattr(found, name), MEASURES[name](probabilities, labels), abs_tol=1e-9), name
    assert isclose(found.base_rate, labels.mean(), abs_tol=1e-12)
    assert found.labels == len(pairs)


def test_the_brier_score_of_the_example_is_as_stated():
    pairs = zip([0.1, 0.3, 0.5, 0.7, 0.9], [0, 0, 1, 1, 1], strict=True)
    assert measured(judged(pairs), overlap=1).brier == pytest.approx(0.09)


def test_without_labels_nothing_is_measured():
    assert measured([], overlap=1) is None
    assert fault([], overlap=1) is None


def test_the_floor_is_about_what_a_perfect_model_shows():
    draw = Random(1)
    found = []
    for _ in range(60):
        said = [draw.uniform(0.2, 0.8) for _ in range(500)]
        found.append(measured(judged((one, int(draw.random() < one)) for one in said), overlap=1))
    mean = sum(one.ece for one in found) / len(found)
    assert mean == pytest.approx(sum(one.ece_floor for one in found) / len(found), rel=0.2)


def test_a_stability_index_is_as_in_its_definition():
    """Deciles of a tenth each, and shares of now: the example of the reference."""
    shares = [0.05, 0.07, 0.08, 0.1, 0.1, 0.1, 0.12, 0.12, 0.13, 0.13]
    values = [place + 0.5 for place, share in enumerate(shares) for _ in range(round(share * 1_000))]
    assert psi(Deciles([float(edge) for edge in range(1, 10)], [0.1] * 10), values) == pytest.approx(0.0729, abs=5e-5)


def saying(share_of, *, labels=500, seed=1):
    """A model that says 0.2 or 0.8; `share_of` gives how often the label then comes true."""
    draw = Random(seed)
    said = [draw.choice([0.2, 0.8]) for _ in range(labels)]
    return judged((one, int(draw.random() < share_of(one))) for one in said)


def test_a_model_that_is_right_about_itself_has_no_fault():
    assert not [seed for seed in range(20) if fault(saying(lambda said: said, seed=seed), overlap=1)]


def test_one_that_says_the_opposite_and_one_that_says_too_much_have():
    assert "always saying the base rate" in fault(saying(lambda said: 1.0 - said), overlap=1)
    assert fault(saying(lambda said: 0.5), overlap=1) is not None


def test_one_whose_probabilities_are_off_but_better_than_a_constant_has_a_calibration_error():
    found = fault(saying(lambda said: 0.6 if said > 0.5 else 0.02), overlap=1)
    assert found is not None
    assert found.startswith("calibration error")


def guessing(share, *, rate=0.5, sure=0.51, labels=500):
    """Right in exactly this share, with labels that come true in `rate`, by probabilities near one half."""
    found = []
    for at in range(labels):
        label = int((at * 7 % labels) / labels < rate)
        is_right = (at * 11 % labels) / labels < share
        found.append((sure if is_right == (label == 1) else 1.0 - sure, label))
    return judged(found)


def test_one_that_is_right_less_often_than_its_card_says_has_lost_accuracy():
    lost = guessing(0.49)
    assert measured(lost, overlap=1).accuracy == pytest.approx(0.49)
    assert fault(lost, overlap=1) is None, "its probabilities say little, and are hardly wrong"
    assert fault(lost, overlap=1, accuracy_min=0.55) == (
        "accuracy 0.490, by chance at most 0.534; on its card it is at least 0.550, and always saying the same would "
        "give 0.500"
    )
    assert fault(lost, overlap=1, accuracy_min=0.53) is None, "chance may do that"
    assert fault(lost, overlap=15, accuracy_min=0.55) is None, "labels that overlap are fewer"


def test_a_window_that_is_only_harder_is_no_loss_of_accuracy():
    """Where base rates move, less can be known, by anybody."""
    draw = Random(1)
    said = [draw.choice([0.3, 0.55]) for _ in range(500)]
    found = judged((one, int(draw.random() < one)) for one in said)
    measures = measured(found, overlap=1)
    assert measures.accuracy > max(measures.base_rate, 1.0 - measures.base_rate)
    assert upper_share(measures.accuracy, 500) < 0.85
    assert fault(found, overlap=1, accuracy_min=0.85) is None


@given(st.integers(1, 600), st.integers(0, 600))
def test_the_upper_end_of_a_share_is_that_of_wilson(count, right):
    right = min(right, count)
    expected = binomtest(right, count).proportion_ci(0.95, method="wilson").high
    assert upper_share(right / count, count) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("horizon", [1, 5, 15])
def test_chance_is_seldom_called_a_loss_of_accuracy(horizon):
    """Of 100 windows of a random walk, by a model that follows what the last bars did, and whose card says so."""
    draw, walk, count = Random(7), [0.0], 500 * 100
    for _ in range(count + horizon + 5):
        walk.append(walk[-1] + draw.gauss(0.0, 1.0))
    moments = range(5, count + 5)
    rows = [(0.51 if walk[at] > walk[at - 5] else 0.49, int(walk[at + horizon] > walk[at])) for at in moments]
    found = [measured(judged(rows[begin : begin + 500]), overlap=horizon) for begin in range(0, count, 500)]
    assert sum(upper_share(one.accuracy, 500 / horizon) < 0.5 for one in found) <= 5


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=200), st.integers(1, 50))
def test_a_lower_bound_is_the_same_each_time_and_within_the_values(values, block):
    found = lower_bound(values, block=block, tail=0.025, draws=100)
    assert found == lower_bound(values, block=block, tail=0.025, draws=100)
    assert min(values) - 1e-12 <= found <= sum(values) / len(values) + (max(values) - min(values))


def test_it_covers_a_true_mean_as_often_as_it_says():
    """97.5 % of samples of independent values; overlapping ones too, where blocks are long enough."""
    draw, missed = Random(7), [0, 0]
    for _ in range(200):
        noise = [draw.gauss(0, 1) for _ in range(410)]
        sums = [sum(noise[at : at + 10]) for at in range(400)]
        missed[0] += lower_bound(noise[:100], block=1, tail=0.025, draws=100) > 0
        missed[1] += lower_bound(sums, block=20, tail=0.025, draws=100) > 0
    assert missed[0] / 200 < 0.06
    assert missed[1] / 200 < 0.08


def test_single_rows_would_promise_too_much_where_labels_overlap():
    draw, missed = Random(7), 0
    for _ in range(60):
        noise = [draw.gauss(0, 1) for _ in range(410)]
        missed += lower_bound([sum(noise[at : at + 10]) for at in range(400)], block=1, tail=0.025, draws=100) > 0
    assert missed / 60 > 0.1


@pytest.mark.parametrize("horizon", [15, 50, 240])
def test_chance_is_seldom_called_a_fault_however_long_the_horizon(horizon):
    """Of 60 windows of a random walk, by a model that rightly says that nothing can be known."""
    draw = Random(7)
    walk = [0.0]
    for _ in range(500 * 60 + horizon):
        walk.append(walk[-1] + draw.gauss(0.0, 1.0))
    labels = [int(walk[at + horizon] > walk[at]) for at in range(500 * 60)]
    found = [
        fault(judged((0.4999 + at % 2 * 0.0002, label) for at, label in enumerate(labels[begin : begin + 500])),
              overlap=horizon)
        for begin in range(0, 500 * 60, 500)
    ]  # fmt: skip
    assert sum(one is not None for one in found) <= 6
