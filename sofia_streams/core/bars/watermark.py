"""How far the feed of one instrument of one venue has come, and which trades are behind that. No clock.

For counting late trades as they come in. Candles decide by their own rows (`candles`), by the same rule.
"""

from __future__ import annotations

from sofia_streams.core.bars.ohlcv import window_start_ns
from sofia_streams.model import NS_PER_SECOND, PUNCTUATION_LAG_NS


def sure_ns(punctuated_ns: int, lateness_ns: int) -> int:
    """Up to where windows close by punctuation: as far behind the venue's clock as trades may be late.

    Punctuation is itself PUNCTUATION_LAG_NS behind that clock; only a lateness above that costs time.
    """
    return punctuated_ns - max(0, lateness_ns - PUNCTUATION_LAG_NS)


class Watermark:
    """Every second before `passed_ns` has passed; `newest_ns` is of the newest trade. Both in exchange time."""

    __slots__ = ("_lateness_ns", "newest_ns", "passed_ns")

    def __init__(self, lateness_ns: int) -> None:
        self._lateness_ns = lateness_ns
        self.newest_ns = self.passed_ns = 0

    def is_late(self, exchange_ns: int) -> bool:
        """Whether the second of such a trade has passed."""
        return exchange_ns < self.passed_ns

    def saw(self, exchange_ns: int) -> None:
        """A trade of this time: what is older than the newest one by the lateness has passed."""
        self.newest_ns = max(self.newest_ns, exchange_ns)
        self.reach(self.newest_ns - self._lateness_ns)

    def heard(self, punctuated_ns: int) -> None:
        """Punctuation up to this time."""
        self.reach(sure_ns(punctuated_ns, self._lateness_ns))

    def reach(self, until_ns: int) -> None:
        """Everything up to this time has come."""
        self.passed_ns = max(self.passed_ns, window_start_ns(until_ns, NS_PER_SECOND))
