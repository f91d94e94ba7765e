"""Quantiles from cumulative buckets."""

import pytest

from sofia_streams.ops.latency import quantiles

INF = float("inf")


@pytest.mark.parametrize(
    ("buckets", "p50", "p99"),
    [
        ({10.0: 100.0, 20.0: 100.0, INF: 100.0}, 5.0, 9.9),
        ({10.0: 0.0, 20.0: 100.0, INF: 100.0}, 15.0, 19.9),
        ({10.0: 50.0, 20.0: 100.0, INF: 100.0}, 10.0, 19.8),
        ({10.0: 0.0, 20.0: 0.0, INF: 4.0}, 20.0, 20.0),
        ({10.0: 0.0, INF: 0.0}, 0.0, 0.0),
    ],
)
def test_a_quantile_is_interpolated_inside_its_bucket(buckets, p50, p99):
    found = quantiles(buckets)
    assert (found["p50"], found["p99"]) == (p50, p99)
    assert found["records"] == buckets[INF]
