"""A token bucket: when the next request of some weight may be sent. Exact in whole nanoseconds.

No clock, no waiting: the caller says what time it is and waits by itself.
"""

from __future__ import annotations

from typing import NamedTuple

_NS_PER_MINUTE = 60 * 10**9


class Rate(NamedTuple):
    """Weight a minute, and how much of it may go at once after a rest.

    Within any `t` minutes at most `burst + per_minute * t` is granted.
    """

    per_minute: int
    burst: int


class Bucket(NamedTuple):
    """How far the rate is used up: the moment when everything granted so far is paid for."""

    paid_ns: int = 0


def grant(rate: Rate, bucket: Bucket, weight: int, now_ns: int) -> tuple[Bucket, int]:
    """The bucket afterwards, and the time from which this weight may be sent: now, or later.

    Grants stand in the order in which they were asked for. Raises ValueError for a weight that is never free at once.
    """
    if not 0 < weight <= rate.burst:
        raise ValueError(f"expected a weight from 1 to {rate.burst}, found {weight}")
    burst_ns = rate.burst * _NS_PER_MINUTE // rate.per_minute
    cost_ns = -(-weight * _NS_PER_MINUTE // rate.per_minute)  # rounded up, the burst down: never above the rate
    at_ns = max(now_ns, bucket.paid_ns + cost_ns - burst_ns)
    return Bucket(max(bucket.paid_ns, at_ns) + cost_ns), at_ns
