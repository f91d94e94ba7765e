"""What is known of a time in which rows went to a fallback: when to change, which offsets it took, who fills them.

Pure: times come in as parameters. What it does not do: write rows (`failover`), fill holes (`filling`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import msgspec

from sofia_streams.model import Outage

TAKEN_UP = "taken up by another writer"
"""The `detail` of an outage, or the rest of one, of which another writer fills a part."""


class Patience:
    """How long a store has failed without a break, and whether that is enough to leave it."""

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._since_s: float | None = None

    def worked(self) -> None:
        """A write was acknowledged."""
        self._since_s = None

    def failed(self, began_s: float, now_s: float) -> bool:
        """A write that began then has failed now; whether the store has failed for long enough."""
        if self._since_s is None:
            self._since_s = began_s
        return now_s - self._since_s >= self._after_s


class OffsetSpan(NamedTuple):
    """Offsets by "topic/partition", both ends inside."""

    first: dict[str, int]
    last: dict[str, int]

    def joined(self, other: OffsetSpan) -> OffsetSpan:
        """The smallest span that holds both."""
        return span_of([(place, at) for span in (self, other) for ends in span for place, at in ends.items()])


NOTHING = OffsetSpan({}, {})


def span_of(offsets: Collection[tuple[str, int]]) -> OffsetSpan:
    """The span of single (place, offset)s."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for place, offset in offsets:
        first[place] = min(first.get(place, offset), offset)
        last[place] = max(last.get(place, offset), offset)
    return OffsetSpan(first, last)


class TakenUp(NamedTuple):
    """A part of somebody's outage that another fills: what to fill, and what the record of it says from now on."""

    hole: OffsetSpan
    left: Outage


def take_up(outage: Outage, assigned: Collection[str], committed: Mapping[str, int], now_ns: int) -> TakenUp | None:
    """What of an outage falls to whoever reads these places now; None for nothing.

    Its writer does not read them any more, so nothing after what was committed rests on the fallback; `committed` is
    the offset of the next record, absent where nothing was.
    """
    places = [place for place in outage.first if place in assigned and outage.state != "closed"]
    if not places:
        return None
    last = {place: min(committed.get(place, 0) - 1, outage.last.get(place, 2**63)) for place in places}
    hole = OffsetSpan(
        {place: outage.first[place] for place in places if last[place] >= outage.first[place]},
        {place: last[place] for place in places if last[place] >= outage.first[place]},
    )
    rest = {place: offset for place, offset in outage.first.items() if place not in places}
    left = msgspec.structs.replace(
        outage,
        state=outage.state if rest else "closed",
        first=rest,
        last={place: offset for place, offset in outage.last.items() if place in rest},
        at_ns=now_ns,
        detail=TAKEN_UP,
    )
    return TakenUp(hole, left)
