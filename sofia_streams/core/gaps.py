"""Which trade ids of an instrument are missing, where ids rise by one. Pure; the receiver's clock is a parameter.

A jump is suspected at once and said when the ids have not come within GRACE_NS: venues and redundant lines deliver out
of order by some milliseconds. Ids that begin again, or leap further than any outage explains, begin a new count.

What it does not do: fetch (`ingest.rest.backfill`), or find losses where ids do not count (`ingest.outages`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sofia_streams.core.ids import IdSet
from sofia_streams.model import Gap, Trade

GRACE_NS = 500_000_000
LEAP_MAX = 50_000_000
"""More ids than this at once are no gap but another numbering: the busiest pairs have a few million trades a day."""
SUSPECTED_MAX = 10_000


class Missing(NamedTuple):
    """Ids that did not come, both ends inside, and the exchange times of the trades around them."""

    first_id: int
    last_id: int
    from_ns: int
    until_ns: int

    def ids(self) -> int:
        """How many."""
        return self.last_id - self.first_id + 1


class Suspicion(NamedTuple):
    """Missing ids and when that was seen."""

    missing: Missing
    seen_ns: int


class IdLine:
    """The ids of one instrument and kind: the highest, and what is suspected to be missing below it."""

    def __init__(self) -> None:
        self.highest: int | None = None
        self.highest_ns = 0
        self._has_begun = False  # what a venue replays before the first live print is not missing
        self._suspected: list[Suspicion] = []
        self._suspected_until = 0

    def saw(self, trade: Trade, number: int, now_ns: int) -> None:
        """A print with this id came in; it may cover several (`Trade.count`). History is evidence, not an arrival."""
        first = number if trade.snapshot else number - trade.count + 1
        if self._has_begun and self.highest == first - 1 and not trade.snapshot and not trade.backfilled:
            self.highest = number  # as nearly always
            if trade.exchange_ns > self.highest_ns:
                self.highest_ns = trade.exchange_ns
            return
        if trade.backfilled:
            self._came(first, number)
        elif self.highest is None or self._begins_anew(number, trade.exchange_ns):
            self.highest, self.highest_ns = number, trade.exchange_ns
            self._has_begun = not trade.snapshot
        elif number > self.highest:
            until = number if trade.snapshot else first - 1
            if until > self.highest and (self._has_begun or not trade.snapshot):
                missing = Missing(self.highest + 1, until, self.highest_ns, trade.exchange_ns)
                self._suspect(Suspicion(missing, now_ns))
            self.highest, self.highest_ns = number, max(self.highest_ns, trade.exchange_ns)
        if not trade.snapshot and not trade.backfilled:
            self._has_begun = True
            self._came(first, number)

    def knows(self, number: int, at_ns: int) -> None:
        """Ids up to this one are known to have come."""
        self._has_begun = True
        if self.highest is None or self.highest < number:
            self.highest, self.highest_ns = number, at_ns

    def moved(self, by_ns: int) -> None:
        """The receiver's clock was set."""
        self._suspected = [one._replace(seen_ns=one.seen_ns + by_ns) for one in self._suspected]

    @property
    def is_suspicious(self) -> bool:
        """Whether any id is suspected to be missing."""
        return bool(self._suspected)

    def due(self, now_ns: int) -> Iterator[Missing]:
        """What is still missing after the grace, each once."""
        while self._suspected and now_ns - self._suspected[0].seen_ns >= GRACE_NS:
            yield self._suspected.pop(0).missing

    def _begins_anew(self, number: int, exchange_ns: int) -> bool:
        highest = self.highest or 0
        restarts = number * 2 < highest and exchange_ns > self.highest_ns
        return restarts or number > highest + LEAP_MAX

    def _suspect(self, suspicion: Suspicion) -> None:
        self._suspected_until = suspicion.missing.last_id
        newest = self._suspected[-1] if len(self._suspected) >= SUSPECTED_MAX else None
        if newest is None or newest.missing.last_id > self._suspected_until:
            self._suspected.append(suspicion)
            return
        # too many to tell apart: one range that holds them all
        widened = newest.missing._replace(last_id=suspicion.missing.last_id, until_ns=suspicion.missing.until_ns)
        self._suspected[-1] = newest._replace(missing=widened)

    def _came(self, first: int, last: int) -> None:
        if self._suspected and first <= self._suspected_until:
            came = IdSet([first, last])
            self._suspected = [
                Suspicion(left, one.seen_ns) for one in self._suspected for left in without(one.missing, came)
            ]


def newest(gaps: Iterable[Gap]) -> list[Gap]:
    """The last record of every gap, from all records in the order of the log."""
    return list({(gap.venue, gap.market, gap.symbol, gap.gap_id): gap for gap in gaps}.values())


def without(missing: Missing, came: IdSet) -> list[Missing]:
    """What is left of missing ids when some came."""
    left, next_id = [], missing.first_id
    for first, last in zip(came.ranges[::2], came.ranges[1::2], strict=True):
        if last < next_id or first > missing.last_id:
            continue
        if first > next_id:
            left.append(missing._replace(first_id=next_id, last_id=first - 1))
        next_id = max(next_id, last + 1)
    if next_id <= missing.last_id:
        left.append(missing._replace(first_id=next_id))
    return left
