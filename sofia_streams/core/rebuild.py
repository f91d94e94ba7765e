"""Bars of minutes that are older than the kept rows, made again from all their trades in the log. Pure.

What they are worth is worked out by the rules of `candles`; quiet windows that have a bar get that again as well.

What it does not do: read the log (`rebuilding`), or decide which minutes need it (`candles.Step.rebuild`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from sofia_streams.core.ohlcv import Sums, bar_of, merge_all, sums_of, window_start_ns
from sofia_streams.core.quality import mark_of
from sofia_streams.core.windows import Hole, Minute, is_live, joins_consolidated
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
    """Collects the trades of some minutes, each once, and the gaps in them, as records of the log come by."""

    def __init__(self, minutes: Iterable[Minute]) -> None:
        self._minutes = frozenset(minutes)
        self._trades: dict[Place, dict[tuple[str, str], Trade]] = defaultdict(dict)
        self._holes: dict[tuple[str, Market, str], dict[str, Hole]] = defaultdict(dict)
        self._ended: set[tuple[str, Market, str]] = set()

    def add(self, record: TradeBatch | Punctuation | Gap) -> None:
        """What a record says of the minutes; history is left out of bars."""
        venue, market, symbol = record.venue, record.market, record.symbol
        if isinstance(record, Gap):
            self._holes[venue, market, symbol].pop(record.gap_id, None)
            if record.state == "open":
                hole = Hole(record.from_ns, record.until_ns, record.cause == "stale")
                self._holes[venue, market, symbol][record.gap_id] = hole
        elif isinstance(record, Punctuation) and not record.alive:
            self._ended.add((venue, market, symbol))
        elif is_live(record):
            self._ended.discard((venue, market, symbol))
        if isinstance(record, TradeBatch):
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
                found[place] = Rebuilt(sums, self._mark(place, [part.mark for part in known]))
        return found

    def _seconds(self, published: Mapping[Place, Bar]) -> dict[Place, Rebuilt]:
        """The venues' own seconds."""
        found: dict[Place, Rebuilt] = {}
        for place, trades in self._trades.items():
            known: list[Quality] = ["backfilled"] if any(trade.backfilled for trade in trades.values()) else []
            found[place] = Rebuilt(sums_of(list(trades.values()), place.venue), self._mark(place, known))
        for place, bar in published.items():
            if place.size_ns == NS_PER_SECOND and place.venue != CONSOLIDATED and not bar.trade_count:
                found.setdefault(place, Rebuilt(None, self._mark(place, [])))
        return found

    def _mark(self, place: Place, known: Iterable[Quality]) -> Quality:
        """What a window is worth by the open gaps of its venue; of the consolidated, by those of all venues alive."""
        names = [(place.venue, place.market, place.symbol)]
        if place.venue == CONSOLIDATED:
            alive = (name for name in self._holes if name not in self._ended and name[1:] == names[0][1:])
            names = [name for name in alive if joins_consolidated(*name[:2])]
        holes = [hole for name in names if name in self._holes for hole in self._holes[name].values()]
        return mark_of(holes, place.start_ns, place.start_ns + place.size_ns, known)

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
