"""How far a venue's clock is ahead of ours, from what it sends. Pure; times in ns.

A print is received after it happened, so receipt minus exchange time is the way plus what our clock is ahead. The
smallest of the last minute has the least way in it. Where it is negative, the venue's clock is ahead at least so much
(in real recordings by 1.2 s); where it is positive, way and clock cannot be told apart, and it is an upper bound of how
far the venue's clock is behind.
"""

from __future__ import annotations

_BUCKET_NS = 10_000_000_000
_BUCKETS = 6
_WAY_NS_MAX = 1_000_000_000


class ClockSkew:
    """The smallest delay of one venue over the last minute."""

    def __init__(self) -> None:
        self._smallest: dict[int, int] = {}

    def saw(self, exchange_ns: int, received_ns: int) -> None:
        """A print that came as it happened (no history, nothing fetched later)."""
        bucket, delay_ns = received_ns // _BUCKET_NS, received_ns - exchange_ns
        known = self._smallest.get(bucket)
        if known is None or delay_ns < known:
            self._smallest[bucket] = delay_ns
            if len(self._smallest) > _BUCKETS:
                del self._smallest[next(iter(self._smallest))]

    def moved(self, by_ns: int) -> None:
        """The receiver's clock was set: what it measured is off by as much."""
        smallest, self._smallest = self._smallest, {}
        for bucket, delay_ns in smallest.items():
            self.saw(bucket * _BUCKET_NS - delay_ns, bucket * _BUCKET_NS + by_ns)

    @property
    def delay_ns(self) -> int | None:
        """Receipt minus exchange time at its smallest; None before the first print."""
        return min(self._smallest.values()) if self._smallest else None

    def exchange_now_ns(self, now_ns: int) -> int:
        """What the venue's clock says at our `now_ns`, as far as prints have shown: never later than it is."""
        return now_ns - (self.delay_ns or 0)

    def asked_ns(self, sent_ns: int) -> int:
        """What the venue's clock said when we sent something: ours, unless they differ by more than any way takes."""
        return sent_ns if abs(self.delay_ns or 0) <= _WAY_NS_MAX else self.exchange_now_ns(sent_ns)

    def latest_ns(self, now_ns: int) -> int:
        """The latest that the venue's clock may say at our `now_ns`: later than that where it is known to be ahead."""
        return now_ns - min(0, self.delay_ns or 0)

    def latency_ns(self, exchange_ns: int, received_ns: int) -> int:
        """How long a print took, never negative: a venue's clock that is ahead is corrected for."""
        return max(0, received_ns - exchange_ns - min(0, self.delay_ns or 0))
