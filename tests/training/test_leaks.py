"""Skill where there is something to find, none where there is not, and a leak is found by the same test."""

from dataclasses import replace

import numpy as np
import pytest
from trained_models import EMBARGO_NS, rows, skill

from sofia_streams.training.fitting.folds import split

pytestmark = pytest.mark.slow


def shuffled(data, seed=0):
    """Labels that have nothing to do with their rows."""
    return replace(data, labels=np.random.default_rng(seed).permutation(data.labels))


def has_no_skill(auc):
    return auc.low <= 0.5 <= auc.high


def test_the_planted_effect_is_found():
    auc = skill(rows(12_000))
    print(f"AUC on the planted effect: {auc}")
    assert auc.low > 0.5


def test_without_a_planted_effect_nothing_is_found():
    auc = skill(rows(12_000, 0.0))
    print(f"AUC without the effect: {auc}")
    assert has_no_skill(auc)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shuffled_labels_give_no_skill(seed):
    auc = skill(shuffled(rows(), seed))
    print(f"AUC of shuffled labels: {auc}")
    assert has_no_skill(auc)


def test_a_label_among_the_inputs_fails_the_same_test():
    data = shuffled(rows())
    leaked = data.inputs.copy()
    leaked[:, 3] += 0.5 * leaked[:, 3].std() * data.labels
    assert not has_no_skill(skill(replace(data, inputs=leaked)))


def test_a_test_slice_that_was_trained_on_fails_the_same_test():
    data = shuffled(rows())
    parts = split(data, embargo_ns=EMBARGO_NS)
    assert not has_no_skill(skill(data, parts._replace(fit=np.arange(len(data)))))
