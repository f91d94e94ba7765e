"""Slices by time: ordered, purged, embargoed, and refused where they would mean nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_streams.errors import ConfigError
from sofia_streams.training.dataset import Dataset
from sofia_streams.training.fitting.folds import HALF_MIN, ROWS_MIN, halves, split, walk_forward


def rows_of(steps, lengths, labels=None):
    """Rows that start `steps` apart, whose labels are known `lengths` later."""
    starts = np.cumsum(steps)
    count = len(starts)
    return Dataset(
        np.zeros((count, 1)), np.arange(count) % 2 if labels is None else labels, np.zeros(count), starts,
        starts + np.resize(lengths, count), ["A"] * count, ["base.r"], {},
    )  # fmt: skip


def check_apart(data, parts, embargo_ns):
    """No interval from a row's start to its label's end comes nearer to a later slice than the embargo."""
    slices = [*parts]
    for number, earlier in enumerate(slices):
        for later in slices[number + 1 :]:
            assert data.known_ns[earlier].max() + embargo_ns <= data.start_ns[later].min()




@st.composite
def some_rows(draw):
    """Uneven steps, some of them 0 (several symbols), some long (holes); labels of uneven length."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    steps = random.integers(0, draw(st.integers(2, 6)), 3_000) * random.choice([1, 1, 1, 20], 3_000)
    return steps, random.integers(1, draw(st.integers(2, 80)), 3_000)



@settings(max_examples=40, deadline=None)
@given(some_rows(), st.integers(0, 60))
def test_no_label_of_a_slice_reaches_into_a_later_one(found, embargo_ns):
    data = rows_of(*found)
    try:
        parts = split(data, embargo_ns=embargo_ns)
    except ConfigError:
        return
    check_apart(data, parts, embargo_ns)


@settings(max_examples=20, deadline=None)
@given(some_rows(), st.integers(0, 30), st.integers(1, 3))
def test_no_label_of_a_step_reaches_into_its_test_slice(found, embargo_ns, folds):
    data = rows_of(*found)
    try:
        steps = [*walk_forward(data, folds=folds, embargo_ns=embargo_ns)]
    except ConfigError:
        return
    assert len(steps) == folds
    tested = np.concatenate([parts.test for parts in steps])
    assert len(np.unique(tested)) == len(tested)
    for parts in steps:
        check_apart(data, parts, embargo_ns)


def test_enough_rows_are_split_and_walked():
    """The properties above are not about refusals alone."""
    data = rows_of([1] * 3_000, [15])
    assert min(map(len, split(data, embargo_ns=60))) > ROWS_MIN
    steps = [*walk_forward(data, folds=3, embargo_ns=60)]
    assert [int(data.start_ns[parts.test].min()) for parts in steps] == [1500, 2000, 2500]


def test_too_few_rows_are_refused():
    with pytest.raises(ConfigError, match="expected at least 100 rows"):
        split(rows_of([1] * 300, [5]), embargo_ns=0)


def test_one_outcome_alone_is_refused():
    with pytest.raises(ConfigError, match="of 1 outcome"):
        split(rows_of([1] * 3_000, [5], np.ones(3_000, int)), embargo_ns=0)


@settings(max_examples=40, deadline=None)
@given(some_rows())
def test_no_label_of_a_half_reaches_into_the_other(found):
    """Of several symbols too, whose rows of one bar stand side by side."""
    data = rows_of(*found)
    first, second = halves(data)
    assert data.known_ns[first].max() <= data.start_ns[second].min()
    assert len(second) == 1_500


@pytest.mark.parametrize("bars", [150, 200, 1_440])
def test_halves_whose_labels_all_overlap_are_refused(bars):
    with pytest.raises(ConfigError, match=f"at least {HALF_MIN} rows to calibrate with"):
        halves(rows_of(np.ones(300, int), [bars]))
