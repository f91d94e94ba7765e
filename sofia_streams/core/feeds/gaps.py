"""Which trade ids of an instrument are missing, where ids rise by one. Pure; the receiver's clock is a parameter.

A jump is suspected at once and said when the ids have not come within GRACE_NS: venues and redundant lines deliver out
of order by some milliseconds. Ids that begin again, or leap further than any outage explains, begin a new count once
AGREEING prints in a row go on from one another: a single odd id changes nothing.

Of the records of a gap the last in the log stands, but for one that was overtaken on its way there (`is_outdated`).

What it does not do: fetch (`ingest.rest.backfill`), or find losses where ids do not count (`ingest.outages`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sofia_streams.core.feeds.ids import IdSet
from sofia_streams.model import Gap, Trade

GRACE_NS = 500_000_000
LEAP_MAX = 50_000_000
"""More ids than this at once are no gap but another numbering: the busiest pairs have a few million trades a day."""
JUMP_MAX = 1_000
"""A longer jump is believed once further prints go on from it: a single odd id must not hide what is really missing."""
AGREEING = 3
_NEWER_NS = 1_000_000_000
"""A lower id so much younger than all before it is no late print: ids have begun again, however little below."""
_NEAR = 10_000
"""How far apart the ids of prints that go on from one another may be."""
SUSPECTED_MAX = 10_000
DECLARED_MAX = 5_000
_DECLARED_AFTER_NS = 60_000_000_000
"""A print so much younger than the trades behind all gaps has an id of another numbering."""


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


class _Print(NamedTuple):
    trade: Trade
    first: int
    number: int
    now_ns: int


class IdLine:
    """The ids of one instrument and kind: the highest, and what is suspected to be missing below it."""

    def __init__(self) -> None:
        self.highest: int | None = None
        self.highest_ns = 0
        self._has_begun = False  # what a venue replays before the first live print is not missing
        self._odd: list[_Print] = []  # prints that do not go on from `highest`, but from one another
        self._suspected: list[Suspicion] = []
        self._suspected_until = 0

    def saw(self, trade: Trade, number: int, now_ns: int) -> bool:
        """A print with this id came in; it may cover several (`Trade.count`). History is evidence, not an arrival.

        Returns whether the id is odd: it does not go on from the others, and is not followed unless more like it come.
        """
        first = number if trade.snapshot else number - trade.count + 1
        if self._has_begun and self.highest == first - 1 and not trade.snapshot and not trade.backfilled:
            self.highest = number  # as nearly always
            if trade.exchange_ns > self.highest_ns:
                self.highest_ns = trade.exchange_ns
            if self._odd:
                self._odd = []
            return False
        if trade.backfilled:
            self._came(first, number)
            return False
        found = _Print(trade, first, number, now_ns)
        if not self._is_odd(found):
            self._follow(found)
            return False
        if trade.snapshot:
            return False
        self._wait(found)
        return True

    def knows(self, number: int, at_ns: int) -> None:
        """Ids up to this one, of a trade of this time, are known to have come: said by who had seen them all."""
        self._has_begun = True
        known = self.highest
        if known is None or known < number or (number * 2 < known and at_ns > self.highest_ns):
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

    def _is_odd(self, found: _Print) -> bool:
        if self.highest is None:
            return False
        newer_ns = found.trade.exchange_ns - self.highest_ns
        begins_again = found.number < self.highest and newer_ns > (0 if found.number * 2 < self.highest else _NEWER_NS)
        return begins_again or found.first > self.highest + JUMP_MAX

    def _wait(self, found: _Print) -> None:
        """Keep an odd print; where enough of them go on from one another, they are the ids from now on."""
        if found.number in [one.number for one in self._odd]:
            return
        if self._odd and abs(found.number - self._odd[-1].number) > _NEAR:
            self._odd = []
        self._odd.append(found)
        if len(self._odd) < AGREEING:
            return
        odd, self._odd = self._odd, []
        if odd[0].number < (self.highest or 0) or odd[0].first > (self.highest or 0) + LEAP_MAX:
            self.highest = None  # another numbering
        for one in odd:
            self._follow(one)

    def _follow(self, found: _Print) -> None:
        trade, first, number, now_ns = found
        if self.highest is None:
            self.highest, self.highest_ns = number, trade.exchange_ns
            self._has_begun = not trade.snapshot
        elif number > self.highest:
            until = number if trade.snapshot else first - 1
            if until > self.highest and (self._has_begun or not trade.snapshot):
                missing = Missing(self.highest + 1, until, self.highest_ns, trade.exchange_ns)
                self._suspect(Suspicion(missing, now_ns))
            self.highest, self.highest_ns = number, max(self.highest_ns, trade.exchange_ns)
            self._odd = []
        if not trade.snapshot:
            self._has_begun = True
            self._came(first, number)

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


class Declared:
    """Ids of one instrument of which the log has said that they are missing; the highest, a bounded number of ranges.

    They are fetched one by one, so a print that covers several of them must not count beside (`overlaps`).
    """

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._until_ns = 0

    def add(self, first: int, last: int, until_ns: int) -> None:
        """A gap; `until_ns` is the time of the trade behind it."""
        self._until_ns = max(self._until_ns, until_ns)
        place = bisect_right(self._firsts, first) - 1
        if place >= 0 and self._lasts[place] >= last:
            return  # said before
        if self._lasts and first <= self._lasts[-1]:
            flat = [number for one in zip(self._firsts, self._lasts, strict=True) for number in one]
            ranges = IdSet(flat).union_range(first, last).ranges
            self._firsts, self._lasts = ranges[::2], ranges[1::2]
        else:
            self._firsts.append(first)
            self._lasts.append(last)
        if len(self._firsts) > 2 * DECLARED_MAX:
            del self._firsts[:DECLARED_MAX], self._lasts[:DECLARED_MAX]

    def overlaps(self, trade: Trade) -> bool:
        """Whether a print covers any of them. Ids that begin again later are other ids."""
        place = bisect_right(self._firsts, trade.order) - 1
        is_old = trade.exchange_ns <= self._until_ns + _DECLARED_AFTER_NS
        return is_old and place >= 0 and self._lasts[place] > trade.order - trade.count


def newest(gaps: Iterable[Gap]) -> list[Gap]:
    """The record of every gap that stands, from all records in the order of the log."""
    standing: dict[tuple[str, ...], Gap] = {}
    for gap in gaps:
        key = gap_key(gap)
        if key not in standing or not is_outdated(gap, standing[key]):
            standing[key] = gap
    return list(standing.values())


def gap_key(gap: Gap) -> tuple[str, ...]:
    """What its records have in common."""
    return gap.venue, gap.market, gap.symbol, gap.gap_id


def is_outdated(gap: Gap, known: Gap) -> bool:
    """Whether a record was overtaken by one of the same gap that stands before it in the log, and changes nothing.

    Several processes speak of a gap, each by what it has read: one may say that it is open, or lasts, just after
    another said that it is closed, or over. A hole that opens there again has an `opened_ns` of its own, which may be
    earlier than the first one's: clocks are set, and each finder goes by its own.
    """
    if gap.opened_ns != known.opened_ns or gap.state == "closed":
        return False
    return known.state == "closed" or (gap.until_ns is None and known.until_ns is not None)


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
