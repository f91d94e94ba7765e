"""What a card's first line says: better only where the test slice can tell."""

import numpy as np
import pytest

from sofia_streams.training.fitting import judging
from sofia_streams.training.metrics import Interval

BETTER = {name: Interval(0.01, 0.005, 0.02) for name in judging.BASELINES}


@pytest.mark.parametrize(("rows", "is_better"), [(1, False), (30, False), (299, False), (300, True), (5_000, True)])
def test_a_test_slice_of_few_blocks_never_tells(rows, is_better):
    """From one block every draw is the same, and the interval has no width."""
    assert judging.is_better(BETTER, 30, rows) is is_better
    text = judging.verdict(BETTER, 30, rows)
    assert text.startswith("Better than the baselines." if is_better else "NO BETTER THAN THE BASELINE: ")
    assert ("too few to tell by, 300 are needed" in text) is not is_better


def test_an_interval_that_reaches_0_is_no_better():
    found = BETTER | {"last sign": Interval(0.01, 0.0, 0.02)}
    assert not judging.is_better(found, 1, 1_000)
    assert "not every interval lies above 0" in judging.verdict(found, 1, 1_000)


@pytest.mark.parametrize("blocks", [10, 40])
def test_models_without_skill_seldom_pass(blocks):
    """The sign of the next 15 steps of a random walk, said by chance: at most one in twenty may seem better."""
    horizon, passed = 15, 0
    block, rows = 2 * horizon, 2 * horizon * blocks
    for seed in range(200):
        random = np.random.default_rng(seed)
        walk = np.cumsum(random.standard_normal(rows + horizon))
        labels = (walk[horizon:] > walk[:rows]).astype(int)
        chance = np.convolve(random.standard_normal(rows + horizon), np.ones(horizon) / horizon**0.5, "valid")[:rows]
        scores = {judging.MODEL: np.clip(0.5 + 0.05 * chance, 0.05, 0.95)} | dict.fromkeys(
            judging.BASELINES, np.full(rows, 0.5)
        )
        passed += judging.is_better(judging.gains(scores, labels, np.arange(rows), block), block, rows)
    assert passed <= 10
