"""Every bar with trades in its last revision, and the hash by which two runs are compared. Does no I/O.

Quiet windows are left out: they say that a feed was alive, not what was traded.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from typing import Any, NamedTuple

import msgspec

from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, NS_PER_SECOND, Bar, Market


class Difference(NamedTuple):
    """A bar that two runs do not have alike, without revision and quality; None where a run has none."""

    venue: str
    market: Market
    symbol: str
    size_ns: int
    start_ns: int
    one: Bar | None
    other: Bar | None


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
            digest.update(_line(self._last[key]))
        return digest.hexdigest()

    def hashes(self, span_ns: int) -> dict[int, str]:
        """As `sha256`, of the bars that start in each span, by the span's start, ascending."""
        digests: dict[int, Any] = defaultdict(hashlib.sha256)
        for key in sorted(self._last):
            digests[key[4] // span_ns * span_ns].update(_line(self._last[key]))
        return {start_ns: digests[start_ns].hexdigest() for start_ns in sorted(digests)}

    def length_ns(self) -> int:
        """From the start of the first bar to that of the last."""
        starts = [key[4] for key in self._last]
        return max(starts) - min(starts) if starts else 0

    def venues(self) -> list[str]:
        """The venues that have bars of their own, by name."""
        return sorted({key[1] for key in self._last} - {CONSOLIDATED})

    def first_difference(self, other: BarBook) -> Difference | None:
        """The earliest bar that is not the same in both, by time, then instrument, then size."""
        places = sorted(self._last.keys() | other._last.keys(), key=lambda key: (key[4], *key[1:4], key[0]))
        for key in places:
            one, another = (book._last.get(key) for book in (self, other))
            bars = [None if bar is None else bar.without_revision() for bar in (one, another)]
            if bars[0] != bars[1]:
                size_ns, venue, market, symbol, start_ns = key
                return Difference(venue, market, symbol, size_ns, start_ns, *bars)
        return None

    def __len__(self) -> int:
        return len(self._last)


def _line(bar: Bar) -> bytes:
    return msgspec.json.encode(bar.without_revision(), order="deterministic") + b"\n"
