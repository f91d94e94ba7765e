"""The token bucket: never above its rate, never slower than it must, in the order of asking."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.core.feeds.budget import Bucket, Rate, grant

MINUTE_NS = 60 * 10**9
rates = st.builds(Rate, st.integers(1, 10_000), st.integers(1, 500))


@st.composite
def asked(draw):
    rate = draw(rates)
    weight = st.integers(1, rate.burst)
    pause_ns = st.one_of(st.just(0), st.integers(0, 10**9), st.integers(0, 10 * MINUTE_NS))
    return rate, draw(st.lists(st.tuples(pause_ns, weight), min_size=1, max_size=60))


def granted(rate, requests):
    """(when asked, when granted, weight) of each."""
    bucket, now_ns, found = Bucket(), 10**18, []
    for pause_ns, weight in requests:
        now_ns += pause_ns
        bucket, at_ns = grant(rate, bucket, weight, now_ns)
        found.append((now_ns, at_ns, weight))
    return found


@given(asked())
def test_no_window_has_more_than_the_burst_and_the_rate(given_):
    rate, requests = given_
    found = granted(rate, requests)
    for first, (_, from_ns, _) in enumerate(found):
        weight = 0
        for _, to_ns, one in found[first:]:
            weight += one
            assert weight * MINUTE_NS <= rate.burst * MINUTE_NS + rate.per_minute * (to_ns - from_ns)


@given(asked())
def test_grants_keep_the_order_and_are_never_in_the_past(given_):
    found = granted(*given_)
    assert [at_ns for _, at_ns, _ in found] == sorted(at_ns for _, at_ns, _ in found)
    assert all(at_ns >= now_ns for now_ns, at_ns, _ in found)


@given(rates)
def test_a_rested_bucket_gives_its_burst_at_once_and_then_the_rate(rate):
    found = granted(rate, [(0, 1)] * (rate.burst + 2))
    at_once = [at_ns for _, at_ns, _ in found if at_ns == 10**18]
    assert rate.burst - 1 <= len(at_once) <= rate.burst  # rounding never gives more
    (_, before_ns, _), (_, last_ns, _) = found[-2:]
    assert 0 <= (last_ns - before_ns) - MINUTE_NS / rate.per_minute < 2


@pytest.mark.parametrize("weight", [0, -1, 11])
def test_a_weight_that_is_never_free_is_refused(weight):
    with pytest.raises(ValueError, match="from 1 to 10"):
        grant(Rate(60, 10), Bucket(), weight, 0)
