"""Which old bars several pieces of news reach, each once, and cut into pieces of bounded size. Pure.

What it does not do: read bars (`rebuilding`), or work out what they are worth (`rebuild.Marks`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sofia_streams.core.bars.ohlcv import window_start_ns
from sofia_streams.core.bars.windows import UNHEARD_NS, Name, Span, Stretch, joins_consolidated
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, Bar

_CUTS = 4
"""Into so many parts a long stretch is cut that would fill a piece: those of a moment come to stand in one piece."""


class Part(NamedTuple):
    """The bars of a venue, or the consolidated ones, that begin in [from_ns, until_ns)."""

    from_ns: int
    until_ns: int
    name: Name


class Piece:
    """Some parts, in order of time and none within another: which bars they hold, and where the first begins."""

    def __init__(self, parts: list[Part]) -> None:
        self.from_ns = parts[0].from_ns
        self._spans: dict[Name, list[Span]] = defaultdict(list)
        for from_ns, until_ns, name in parts:
            self._spans[name].append((from_ns, until_ns))

    def holds(self, bar: Bar) -> bool:
        """Whether a bar is of it."""
        spans = self._spans.get((bar.venue, bar.market, bar.symbol), [])
        place = bisect_right(spans, (bar.start_ns, UNHEARD_NS)) - 1
        return place >= 0 and bar.start_ns < spans[place][1]


def pieces(stretches: Iterable[Stretch], size_ns: int) -> Iterator[Piece]:
    """All bars of these stretches, each in one piece, in order of time.

    A piece holds `size_ns` of one venue's (or consolidated) bars, or that much of several together.
    """
    parts: list[Part] = []
    held_ns = 0
    for part in sorted(_parts(stretches, size_ns // _CUTS)):
        length_ns = part.until_ns - part.from_ns
        if held_ns + length_ns > size_ns:
            yield Piece(parts)
            parts, held_ns = [], 0
        parts.append(part)
        held_ns += length_ns
    if parts:
        yield Piece(parts)


def minutes_before(until_ns: int, stretches: Iterable[Stretch]) -> int:
    """How many minutes of these stretches begin before then: each venue's and the consolidated ones, each once."""
    found = 0
    for spans in _spans(stretches).values():
        parts = ((from_ns, min(end_ns, until_ns)) for from_ns, end_ns in spans)
        for first_ns, end_ns in _joined(_whole_minutes(*part) for part in parts if part[0] < part[1]):
            found += (end_ns - first_ns) // NS_PER_MINUTE
    return found


def _whole_minutes(from_ns: int, until_ns: int) -> Span:
    return window_start_ns(from_ns, NS_PER_MINUTE), -window_start_ns(-until_ns, NS_PER_MINUTE)


def _parts(stretches: Iterable[Stretch], size_ns: int) -> Iterator[Part]:
    for name, found in _spans(stretches).items():
        for first_ns, until_ns in _joined(found):
            for from_ns in range(first_ns, until_ns, size_ns):
                yield Part(from_ns, min(from_ns + size_ns, until_ns), name)


def _spans(stretches: Iterable[Stretch]) -> dict[Name, list[Span]]:
    """Of each venue, and of the consolidated, what these stretches are of its bars."""
    spans: dict[Name, list[Span]] = defaultdict(list)
    for one in stretches:
        spans[one.venue, one.market, one.symbol].append((one.from_ns, one.until_ns))
        if joins_consolidated(one.venue, one.market):
            spans[CONSOLIDATED, one.market, one.symbol].append((one.from_ns, one.joint_until_ns))
    return spans


def _joined(spans: Iterable[Span]) -> list[Span]:
    """The same moments as spans that do not touch; empty ones are left out."""
    found: list[Span] = []
    for from_ns, until_ns in sorted(spans):
        if found and from_ns <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], until_ns)
        elif from_ns < until_ns:
            found.append((from_ns, until_ns))
    return found
