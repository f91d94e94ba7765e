"""Every bar with trades in its last revision, and the hash by which two runs are compared. Does no I/O.

Quiet windows are left out: they say that a feed was alive, not what was traded.
"""

from __future__ import annotations

import hashlib
from collections import Counter

import msgspec

from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND, Bar, Market


class BarBook:
    """The last revision of every bar, and the hash over them. Bars come in by any order of windows."""

    def __init__(self) -> None:
        self._last: dict[tuple[int, str, Market, str, int], Bar] = {}

    def add(self, bar: Bar) -> None:
        """A bar, newer than every earlier one of its window."""
        if not bar.trade_count:
            return
        self._last[bar.size_ns, bar.venue, bar.market, bar.symbol, bar.start_ns] = bar

    def bars(self, size_ns: int) -> list[Bar]:
        """Every bar of `size_ns`, by venue, market, symbol and time."""
        return [self._last[key] for key in sorted(self._last) if key[0] == size_ns]

    def count(self, venue: str, market: str, symbol: str) -> dict[str, int]:
        """How many bars one instrument has, by size."""
        sizes = Counter(key[0] for key in self._last if key[1:4] == (venue, market, symbol))
        return {"bars_1s": sizes[NS_PER_SECOND], "bars_1m": sizes[NS_PER_MINUTE]}

    def sha256(self) -> str:
        """SHA-256 of all bars without revision and quality, as canonical JSON lines, by size, instrument and time."""
        digest = hashlib.sha256()
        for key in sorted(self._last):
            bar = self._last[key].without_revision()
            digest.update(msgspec.json.encode(bar, order="deterministic") + b"\n")
        return digest.hexdigest()
