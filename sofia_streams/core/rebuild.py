"""Bars of minutes that are older than the kept rows, made again from all their trades in the log. Pure.

What they are worth is worked out by the rules of `candles`; quiet windows that have a bar get that again as well.

What it does not do: read the log (`rebuilding`), or decide which minutes need it (`candles.Step.rebuild`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from sofia_streams.core.ohlcv import Sums, bar_of, merge_all, sums_of, window_start_ns
from sofia_streams.core.quality import began_in, lacking, mark_of, marks_at_begin
from sofia_streams.core.windows import Heard, Hole, Minute, Name, is_live, joins_consolidated
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


class Rebuilt(NamedTuple):
    """What a bar is made of (None: no trade), and what that is worth (but for `revised`)."""

    sums: Sums | None
    mark: Quality


class MinuteTrades:
    """Collects the trades of some minutes, each once, and the gaps in them, as records of the log come by.

    `heard` is what was known of the feeds when the minutes were named (`candles.Step`).
    """

    def __init__(self, minutes: Iterable[Minute], heard: Mapping[Name, Heard] | None = None) -> None:
        self._minutes = frozenset(minutes)
        self._heard = dict(heard or {})
        self._trades: dict[Place, dict[tuple[str, str], Trade]] = defaultdict(dict)
        self._holes: dict[Name, dict[str, Hole]] = defaultdict(dict)

    def add(self, record: TradeBatch | Punctuation | Gap) -> None:
        """What a record says of the minutes; history is left out of bars."""
        venue, market, symbol = record.venue, record.market, record.symbol
        if isinstance(record, Gap):
            self._holes[venue, market, symbol].pop(record.gap_id, None)
            if record.state == "open":
                hole = Hole(record.from_ns, record.until_ns, record.cause == "stale")
                self._holes[venue, market, symbol][record.gap_id] = hole
        elif is_live(record):
            self._hear((venue, market, symbol), record)
        if isinstance(record, TradeBatch):
            for trade in record.trades:
                if not trade.snapshot and self._views(venue, market, symbol, trade.exchange_ns):
                    start_ns = window_start_ns(trade.exchange_ns, NS_PER_SECOND)
                    second = self._trades[Place(venue, market, symbol, NS_PER_SECOND, start_ns)]
                    second.setdefault((trade.id_kind, trade.trade_id), trade)

    def _hear(self, name: Name, record: TradeBatch | Punctuation) -> None:
        heard = self._heard.get(name)
        if heard is not None:
            moments = (
                [record.exchange_ns]
                if isinstance(record, Punctuation)
                else [trade.exchange_ns for trade in record.trades if not trade.snapshot]
            )
            self._heard[name] = heard._replace(reached_ns=max(heard.reached_ns, *moments))

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
                found[place] = Rebuilt(sums, self._mark(place, [part.mark for part in known]))
        return found

    def _seconds(self, published: Mapping[Place, Bar]) -> dict[Place, Rebuilt]:
        """The venues' own seconds."""
        found: dict[Place, Rebuilt] = {}
        for place, trades in self._trades.items():
            is_fetched = any(trade.backfilled for trade in trades.values())
            found[place] = Rebuilt(sums_of(list(trades.values()), place.venue), self._second(place, is_fetched))
        for place, bar in published.items():
            if place.size_ns == NS_PER_SECOND and place.venue != CONSOLIDATED and not bar.trade_count:
                found.setdefault(place, Rebuilt(None, self._second(place, is_fetched=False)))
        return found

    def _second(self, place: Place, is_fetched: bool) -> Quality:
        known: list[Quality] = ["backfilled"] if is_fetched else []
        heard = self._heard.get(place[:3])
        if heard is not None and place.start_ns <= heard.since_ns:
            known += marks_at_begin(heard.since_ns, place.start_ns, is_fetched=is_fetched)
        return self._mark(place, known)

    def _mark(self, place: Place, known: Iterable[Quality]) -> Quality:
        """What a window is worth by the open gaps of its venue and its beginning; of the consolidated, of all."""
        start_ns, end_ns = place.start_ns, place.start_ns + place.size_ns
        name = place[:3]
        holes = [*self._holes[name].values()] if name in self._holes else []
        if name in self._heard:
            holes.append(began_in(self._heard[name].since_ns))
        for name in sorted({*self._heard, *self._holes}) if place.venue == CONSOLIDATED else ():
            if name[1:] == place[1:3] and joins_consolidated(*name[:2]):
                gaps = self._holes[name].values() if name in self._holes else ()
                heard = self._heard.get(name)
                holes += gaps if heard is None else lacking(gaps, heard, start_ns, end_ns)
        return mark_of(holes, start_ns, end_ns, known)

    def _views(self, venue: str, market: Market, symbol: str, at_ns: int) -> list[str]:
        """Whose candles of this moment are wanted: the venue's, the consolidated, both or none."""
        minute_ns = window_start_ns(at_ns, NS_PER_MINUTE)
        views = [venue, CONSOLIDATED] if joins_consolidated(venue, market) else [venue]
        return [view for view in views if Minute(view, market, symbol, minute_ns) in self._minutes]


def changed_bars(windows: Mapping[Place, Rebuilt], published: Mapping[Place, Bar]) -> Iterator[Bar]:
    """The bars that differ from those `published`, as their next revision, in order of time."""
    for place in sorted(windows, key=lambda place: (place.start_ns, place)):
        known = published.get(place)
        revision = 0 if known is None else known.revision + 1
        sums, mark = windows[place]
        bar = bar_of(sums, **place._asdict(), revision=revision, mark=mark)
        if known is None or bar.without_revision() != known.without_revision() or mark != _mark(known):
            yield bar


def _mark(bar: Bar) -> Quality:
    return "complete" if bar.quality == "revised" else bar.quality
