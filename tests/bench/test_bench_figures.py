"""Figures say what the rounds were."""

import pytest

from bench.figures import Held, by_minute, growth, ratio, ratios, spread


def test_a_spread_has_median_smallest_and_largest():
    assert spread([30.4, 10.0, 20.2]) == {"median": 20, "min": 10, "max": 30, "rounds": 3}
    assert spread([10.0, 20.0])["median"] == 15


def test_no_round_has_no_figure():
    with pytest.raises(ValueError, match="at least one round"):
        spread([])


def test_ratios_are_ours_over_theirs():
    assert ratio(100_000, 3_700) == 27.0
    assert ratios(100.0, {"slow": 40.0, "fast": 400.0}) == {"slow": 2.5, "fast": 0.25}


@pytest.mark.parametrize("pair", [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (float("nan"), 1.0)])
def test_a_rate_that_is_not_above_zero_has_no_ratio(pair):
    with pytest.raises(ValueError, match="above zero"):
        ratio(*pair)


def test_growth_is_the_slope_behind_the_first_third():
    samples = [Held(600.0 * number, 50.0 * number if number < 4 else 200.0 + number, 30) for number in range(12)]
    assert growth(samples) == {
        "memory_mb_settled": 204.0,
        "memory_mb_last": 211.0,
        "memory_mb_per_hour": 6.0,
        "files_per_hour": 0.0,
    }
    assert growth(samples[:3])["memory_mb_per_hour"] is None
    assert growth([])["memory_mb_last"] is None


def test_the_curve_has_one_figure_a_minute():
    samples = [Held(20.0 * number, 50.0 + number, 30) for number in range(7)]
    assert by_minute(samples) == [50.0, 53.0, 56.0]
    assert by_minute([]) == []
