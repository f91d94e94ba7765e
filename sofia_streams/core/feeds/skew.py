"""How far a venue's clock is ahead of ours, from what it sends. Pure; times in ns.

A print is received after it happened, so receipt minus exchange time is the way plus what our clock is ahead. The
smallest of a second has the least way in it. Where it is negative, the venue's clock is ahead at least so much (in real
recordings by 1.2 s); where it is positive, way and clock cannot be told apart, and it is an upper bound of how far the
venue's clock is behind.

A few prints may carry a time of the future. So what counts is the delay that AGREEING seconds of the last minute agree
on, each with its smallest: fewer than that move nothing, and a venue's clock that really leapt is followed after as
many seconds with prints.
"""

from __future__ import annotations

_SECOND_NS = 1_000_000_000
_KEPT_NS = 60 * _SECOND_NS
AGREEING = 5
"""Seconds whose smallest delays must be as small; of a venue that hardly trades, its last so many."""
_AT_ONCE_NS = 5 * _SECOND_NS
"""So far ahead the first prints may put the venue's clock, before as many seconds are known."""
_WAY_NS_MAX = 1_000_000_000


class ClockSkew:
    """The delay of one venue's fastest prints over the last minute, and how our own clock was set."""

    def __init__(self) -> None:
        self._smallest: dict[int, int] = {}  # by second of the receipt, in the order they came
        self._delay_ns: int | None = None
        self._set_back_ns = 0

    def saw(self, exchange_ns: int, received_ns: int) -> None:
        """A print that came as it happened (no history, nothing fetched later)."""
        second, delay_ns = received_ns // _SECOND_NS, received_ns - exchange_ns
        known = self._smallest.get(second)
        if known is None or delay_ns < known:
            self._smallest[second] = delay_ns
            while len(self._smallest) > AGREEING:
                oldest = next(iter(self._smallest))
                if abs(received_ns - oldest * _SECOND_NS) <= _KEPT_NS:
                    break
                del self._smallest[oldest]
            self._delay_ns = self._agreed_ns()

    def moved(self, by_ns: int) -> None:
        """The receiver's clock was set: what it measured is off by as much."""
        shift = by_ns // _SECOND_NS
        self._smallest = {second + shift: delay_ns + by_ns for second, delay_ns in self._smallest.items()}
        self._delay_ns = self._agreed_ns()
        self._set_back_ns = max(0, self._set_back_ns - by_ns)

    def _agreed_ns(self) -> int | None:
        found = sorted(self._smallest.values())[:AGREEING]
        if len(found) < AGREEING:
            return max(-_AT_ONCE_NS - self._set_back_ns, found[-1]) if found else None
        return found[-1]

    @property
    def delay_ns(self) -> int | None:
        """Receipt minus exchange time of the fastest prints, as far as they agree; None before the first one."""
        return self._delay_ns

    def exchange_now_ns(self, now_ns: int) -> int:
        """What the venue's clock says at our `now_ns`, as far as prints have shown: never later than it is."""
        return now_ns - (self._delay_ns or 0)

    def asked_ns(self, sent_ns: int) -> int:
        """What the venue's clock said when we sent something: ours, unless they differ by more than any way takes."""
        return sent_ns if abs(self._delay_ns or 0) <= _WAY_NS_MAX else self.exchange_now_ns(sent_ns)

    def unset_ns(self, received_ns: int) -> int:
        """The receipt by our clock as it was before it was set back: what plausible times are compared with.

        No print moves this, so prints that are ahead never make room for others that are further ahead.
        """
        return received_ns + self._set_back_ns

    def latency_ns(self, exchange_ns: int, received_ns: int) -> int:
        """How long a print took, never negative: a venue's clock that is ahead is corrected for."""
        return max(0, received_ns - exchange_ns - min(0, self._delay_ns or 0))
