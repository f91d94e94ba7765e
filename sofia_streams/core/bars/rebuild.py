"""Bars of minutes that are older than the kept rows, made again from all their trades in the log. Pure.

What they are worth is worked out by the rules of `candles`; quiet windows that have a bar get that again as well.

What it does not do: read the log (`rebuilding`), or decide which minutes need it (`candles.Step.rebuild`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from sofia_streams.core.bars.ohlcv import Sums, bar_of, merge_all, sums_of, window_start_ns
from sofia_streams.core.bars.quality import began_in, known_until_ns, lacking, mark_of, marks_at_begin
from sofia_streams.core.bars.windows import Heard, Hole, Minute, Name, is_live, joins_consolidated
from sofia_streams.model import (
    CONSOLIDATED,
    NS_PER_MINUTE,
    NS_PER_SECOND,
    Bar,
    Gap,
    Market,
    Punctuation,
    Quality,
    Trade,
    TradeBatch,
)


class Place(NamedTuple):
    """Which bar."""

    venue: str
    market: Market
    symbol: str
    size_ns: int
    start_ns: int


def place_of(bar: Bar) -> Place:
    """The identity of a bar, its revision left out."""
    return Place(bar.venue, bar.market, bar.symbol, bar.size_ns, bar.start_ns)


class Published:
    """The bars that the log has: the last of each place, and how high its revisions went.

    The last one can be a lower revision. A worker that was killed before it stored a row publishes that row's bar once
    more, behind what was made of it from the log. Such a bar needs another one, above all of them, even if it is right.
    """

    def __init__(self, bars: Iterable[Bar] = ()) -> None:
        self.last: dict[Place, Bar] = {}
        self._higher: dict[Place, int] = {}
        for bar in bars:
            self.add(bar)

    def add(self, bar: Bar) -> None:
        """The next bar of the log."""
        place = place_of(bar)
        highest = self.next_revision(place) - 1
        if highest > bar.revision:
            self._higher[place] = highest
        else:
            self._higher.pop(place, None)
        self.last[place] = bar

    def next_revision(self, place: Place) -> int:
        """One more than any bar of a place has; 0 where there is none."""
        known = self.last.get(place)
        return 0 if known is None else self._higher.get(place, known.revision) + 1

    def is_lower(self, place: Place) -> bool:
        """Whether the last bar of a place stands behind one of a higher revision."""
        return place in self._higher


class Rebuilt(NamedTuple):
    """What a bar is made of (None: no trade), and what that is worth (but for `revised`)."""

    sums: Sums | None
    mark: Quality


class Marks:
    """Collects what bars are worth as records of the log come by: open gaps, what was fetched later, who was heard.

    `heard` is what was known of the feeds at the step that asked (`candles.Step`).
    """

    def __init__(self, heard: Mapping[Name, Heard] | None = None) -> None:
        self._heard = dict(heard or {})
        self._holes: dict[Name, dict[str, Hole]] = defaultdict(dict)
        self._fetched: set[Place] = set()
        self._joined: dict[tuple[str, str], set[Name]] = defaultdict(set)
        for name, known in self._heard.items():
            self._note(name)
            self._holes[name] |= known.gaps  # their records may stand before what is read

    def add(self, record: TradeBatch | Punctuation | Gap) -> None:
        """The next record."""
        name: Name = (record.venue, record.market, record.symbol)
        self._note(name)
        if isinstance(record, Gap):
            known = self._holes[name].pop(record.gap_id, None)
            if record.state == "open":
                self._holes[name][record.gap_id] = Hole(record.from_ns, record.until_ns, record.cause == "stale")
            elif known is not None and (heard := self._heard.get(name)) is not None:
                self._heard[name] = heard._replace(reached_ns=known_until_ns(heard.reached_ns, record))
        elif is_live(record) and (heard := self._heard.get(name)) is not None:
            self._heard[name] = heard._replace(reached_ns=max(heard.reached_ns, _newest_ns(record)))
        if isinstance(record, TradeBatch):
            for trade in record.trades:
                if trade.backfilled:
                    for size_ns in (NS_PER_SECOND, NS_PER_MINUTE):
                        self._fetched.add(Place(*name, size_ns, window_start_ns(trade.exchange_ns, size_ns)))

    def of(self, place: Place) -> Quality:
        """What a window is worth, by everything that came by."""
        is_fetched = any(Place(*name, *place[3:]) in self._fetched for name in self._names(place))
        return self.mark(place, self.known(place, is_fetched=is_fetched))

    def known(self, place: Place, *, is_fetched: bool) -> list[Quality]:
        """What is known of a venue's own window beside its gaps."""
        known: list[Quality] = ["backfilled"] if is_fetched else []
        heard = self._heard.get(place[:3])
        if heard is not None and place.start_ns <= heard.since_ns:
            end_ns = place.start_ns + place.size_ns
            known += marks_at_begin(heard.since_ns, end_ns, is_fetched=is_fetched)
        return known

    def mark(self, place: Place, known: Iterable[Quality]) -> Quality:
        """What a window is worth by the open gaps of its venue and its beginning; of the consolidated, of all."""
        start_ns, end_ns = place.start_ns, place.start_ns + place.size_ns
        holes: list[Hole] = []
        for name in self._names(place):
            gaps = self._holes[name].values() if name in self._holes else ()
            heard = self._heard.get(name)
            if heard is None or place.venue != CONSOLIDATED:
                holes += gaps if heard is None else [*gaps, began_in(heard.since_ns)]
            else:
                holes += lacking(gaps, heard, start_ns, end_ns)
        return mark_of(holes, start_ns, end_ns, known)

    def _names(self, place: Place) -> list[Name]:
        """The venue of a bar; of a consolidated one, those whose bars it joins."""
        return [place[:3]] if place.venue != CONSOLIDATED else sorted(self._joined[place[1:3]])

    def _note(self, name: Name) -> None:
        if joins_consolidated(*name[:2]):
            self._joined[name[1:]].add(name)


def _newest_ns(record: TradeBatch | Punctuation) -> int:
    if isinstance(record, Punctuation):
        return record.exchange_ns
    return max(trade.exchange_ns for trade in record.trades if not trade.snapshot)


class MinuteTrades:
    """Collects the trades of some minutes, each once, and what they are worth, as records of the log come by."""

    def __init__(self, minutes: Iterable[Minute], heard: Mapping[Name, Heard] | None = None) -> None:
        self._minutes = frozenset(minutes)
        self._marks = Marks(heard)
        self._trades: dict[Place, dict[tuple[str, str], Trade]] = defaultdict(dict)

    def add(self, record: TradeBatch | Punctuation | Gap) -> None:
        """What a record says of the minutes; history is left out of bars."""
        self._marks.add(record)
        if isinstance(record, TradeBatch):
            venue, market, symbol = record.venue, record.market, record.symbol
            for trade in record.trades:
                if not trade.snapshot and self._views(venue, market, symbol, trade.exchange_ns):
                    start_ns = window_start_ns(trade.exchange_ns, NS_PER_SECOND)
                    second = self._trades[Place(venue, market, symbol, NS_PER_SECOND, start_ns)]
                    second.setdefault((trade.id_kind, trade.trade_id), trade)

    def windows(self, published: Mapping[Place, Bar]) -> dict[Place, Rebuilt]:
        """The seconds of the minutes, and the minutes: those with trades, and those without that have a bar."""
        parts: dict[Place, list[Rebuilt]] = defaultdict(list)
        for (venue, market, symbol, _, start_ns), part in self._seconds(published).items():
            for view in self._views(venue, market, symbol, start_ns):
                for size_ns in (NS_PER_SECOND, NS_PER_MINUTE):
                    place = Place(view, market, symbol, size_ns, window_start_ns(start_ns, size_ns))
                    parts[place].append(part)
        found: dict[Place, Rebuilt] = {}
        for place, known in parts.items():
            sums = merge_all(part.sums for part in known if part.sums is not None)
            if sums is not None or place in published:
                found[place] = Rebuilt(sums, self._marks.mark(place, [part.mark for part in known]))
        return found

    def _seconds(self, published: Mapping[Place, Bar]) -> dict[Place, Rebuilt]:
        """The venues' own seconds."""
        found: dict[Place, Rebuilt] = {}
        for place, trades in self._trades.items():
            is_fetched = any(trade.backfilled for trade in trades.values())
            found[place] = Rebuilt(
                sums_of(list(trades.values()), place.venue), self._second(place, is_fetched=is_fetched)
            )
        for place, bar in published.items():
            if place.size_ns == NS_PER_SECOND and place.venue != CONSOLIDATED and not bar.trade_count:
                found.setdefault(place, Rebuilt(None, self._second(place, is_fetched=False)))
        return found

    def _second(self, place: Place, *, is_fetched: bool) -> Quality:
        return self._marks.mark(place, self._marks.known(place, is_fetched=is_fetched))

    def _views(self, venue: str, market: Market, symbol: str, at_ns: int) -> list[str]:
        """Whose candles of this moment are wanted: the venue's, the consolidated, both or none."""
        minute_ns = window_start_ns(at_ns, NS_PER_MINUTE)
        views = [venue, CONSOLIDATED] if joins_consolidated(venue, market) else [venue]
        return [view for view in views if Minute(view, market, symbol, minute_ns) in self._minutes]


def changed_bars(windows: Mapping[Place, Rebuilt], published: Published) -> Iterator[Bar]:
    """The bars that differ from the last `published`, or must go above it, as their next revision, in order of time."""
    for place in sorted(windows, key=lambda place: (place.start_ns, place)):
        known = published.last.get(place)
        sums, mark = windows[place]
        bar = bar_of(sums, **place._asdict(), revision=published.next_revision(place), mark=mark)
        is_same = known is not None and bar.without_revision() == known.without_revision() and mark == _mark(known)
        if not is_same or published.is_lower(place):
            yield bar


def remarked_bars(marks: Marks, published: Published) -> Iterator[Bar]:
    """The bars that are worth something else than as last `published`, or must go above it, as their next revision."""
    for place in sorted(published.last, key=lambda place: (place.start_ns, place)):
        bar, mark = published.last[place], marks.of(place)
        if mark != _mark(bar) or published.is_lower(place):
            quality: Quality = "revised" if mark == "complete" else mark
            yield msgspec.structs.replace(bar, revision=published.next_revision(place), quality=quality)


def _mark(bar: Bar) -> Quality:
    return "complete" if bar.quality == "revised" else bar.quality
