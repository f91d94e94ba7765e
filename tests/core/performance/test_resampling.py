"""The bootstrap: the same on every machine, blocks of the right mean length, intervals that cover."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.core.performance import ratios, resampling


def test_numbers_are_those_of_the_hash_on_any_machine():
    # BLAKE2b-512 of "1/2/0", first and second 8 bytes, upper 53 bits by 2^53
    source = resampling.uniforms(1, 2)
    found = [next(source) for _ in range(20_000)]
    assert found[:2] == [0.6280493209613534, 0.01661010798108664]
    assert all(0.0 <= one < 1.0 for one in found)
    assert sum(found) / len(found) == pytest.approx(0.5, abs=0.01)
    assert resampling.rows(6, 1, 0, 2.0) == resampling.rows(6, 1, 0, 2.0)
    assert resampling.rows(50, 1, 0, 2.0) != resampling.rows(50, 2, 0, 2.0)


def test_blocks_are_geometric_with_the_mean_that_was_asked_for():
    count, length = 100_000, 5.0
    drawn = resampling.rows(count, 7, 0, length)
    breaks = sum((before + 1) % count != after for before, after in pairwise(drawn))
    assert count / (breaks + 1) == pytest.approx(length, rel=0.02)


def test_blocks_of_length_one_are_single_rows():
    drawn = resampling.rows(2_000, 7, 0, 1.0)
    assert sum((before + 1) % 2_000 == after for before, after in pairwise(drawn)) < 10


@given(st.integers(1, 200), st.integers(0, 9), st.integers(0, 9), st.floats(1.0, 50.0))
def test_a_draw_has_as_many_rows_all_of_them_real(count, seed, draw, length):
    drawn = resampling.rows(count, seed, draw, length)
    assert len(drawn) == count
    assert all(0 <= row < count for row in drawn)


def test_intervals_of_the_mean_cover_the_truth_about_as_often_as_they_say():
    draw, covered = random.Random(11), 0
    for seed in range(100):
        returns = [draw.gauss(0.001, 0.02) for _ in range(120)]
        found = resampling.intervals({"mean": ratios.mean}, returns, seed=seed, draws=200)["mean"]
        covered += found.low <= 0.001 <= found.high
    assert 85 <= covered <= 100


def test_returns_that_hang_together_have_wider_intervals_than_the_same_ones_shuffled():
    draw, last, returns = random.Random(5), 0.0, []
    for _ in range(400):
        last = 0.8 * last + draw.gauss(0.0, 0.01)
        returns.append(last)
    shuffled = draw.sample(returns, len(returns))
    of = {"mean": ratios.mean}
    held, loose = (resampling.intervals(of, some, seed=1, draws=300)["mean"] for some in (returns, shuffled))
    assert held.high - held.low > 1.3 * (loose.high - loose.low)


def test_a_figure_that_most_draws_lack_has_no_interval():
    of = {"never": lambda some: None, "mean": ratios.mean}
    assert set(resampling.intervals(of, [0.1, 0.2, 0.3], seed=1, draws=20)) == {"mean"}
    assert resampling.intervals(of, [0.1], seed=1, draws=20) == {}


def test_quantiles_are_linear_between_values():
    assert [resampling.quantile([4.0, 1.0, 3.0, 2.0], share) for share in (0.0, 0.5, 0.9, 1.0)] == pytest.approx(
        [1.0, 2.5, 3.7, 4.0]
    )
