"""Bars of minutes that are older than the kept rows, made again from all their trades in the log. Pure.

What it does not do: read the log (`rebuilding`), or decide which minutes need it (`candles.Step.rebuild`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from sofia_streams.core.ohlcv import Sums, bar_of, merge, sums_of, window_start_ns
from sofia_streams.core.quality import mark_of, worst
from sofia_streams.core.windows import Hole, Minute, joins_consolidated
from sofia_streams.model import (
    CONSOLIDATED,
    NS_PER_MINUTE,
    NS_PER_SECOND,
    Bar,
    Gap,
    Market,
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
    """What a bar is made of, and what that is worth (but for `revised`)."""

    sums: Sums
    mark: Quality


class MinuteTrades:
    """Collects the trades of some minutes, each once, and the gaps in them, as records of the log come by."""

    def __init__(self, minutes: Iterable[Minute]) -> None:
        self._minutes = frozenset(minutes)
        self._trades: dict[Place, dict[tuple[str, str], Trade]] = defaultdict(dict)
        self._holes: dict[tuple[str, Market, str], dict[str, Hole]] = defaultdict(dict)

    def add(self, batch: TradeBatch | Gap) -> None:
        """The trades of a batch that belong to the minutes; history is left out of bars."""
        venue, market, symbol = batch.venue, batch.market, batch.symbol
        if isinstance(batch, Gap):
            self._holes[venue, market, symbol].pop(batch.gap_id, None)
            if batch.state == "open":
                hole = Hole(batch.from_ns, batch.until_ns, batch.cause == "stale")
                self._holes[venue, market, symbol][batch.gap_id] = hole
            return
        for trade in batch.trades:
            if not trade.snapshot and self._views(venue, market, symbol, trade.exchange_ns):
                start_ns = window_start_ns(trade.exchange_ns, NS_PER_SECOND)
                second = self._trades[Place(venue, market, symbol, NS_PER_SECOND, start_ns)]
                second.setdefault((trade.id_kind, trade.trade_id), trade)

    def windows(self) -> dict[Place, Rebuilt]:
        """The seconds of the minutes, and the minutes."""
        found: dict[Place, Rebuilt] = {}
        for (venue, market, symbol, _, start_ns), trades in self._trades.items():
            second = sums_of(list(trades.values()), venue)
            known: list[Quality] = ["backfilled"] if any(trade.backfilled for trade in trades.values()) else []
            holes = self._holes[venue, market, symbol].values()
            for view in self._views(venue, market, symbol, start_ns):
                for size_ns in (NS_PER_SECOND, NS_PER_MINUTE):
                    place = Place(view, market, symbol, size_ns, window_start_ns(start_ns, size_ns))
                    mark = mark_of(holes, place.start_ns, place.start_ns + size_ns, known)
                    other = found.get(place)
                    if other is None:
                        found[place] = Rebuilt(second, mark)
                    else:
                        found[place] = Rebuilt(merge(other.sums, second), worst([other.mark, mark]))
        return found

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
