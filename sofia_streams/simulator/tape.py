"""One recorded tape of trades as a coherent market: every venue prints it in its own way, now, and for ever.

What is recorded: the moments, sides, sizes and the price path of one symbol (a `Reel`). What is made up, from the seed:
how far each venue is off (a few basis points, drifting), which prints it leaves out or splits, its delays; and every
symbol without a reel, which follows the longest reel at its own price level. A straight line is taken out of the path,
so that its end meets its start. Pure: the start time is a parameter; the same seed and start give the same events.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from random import Random
from typing import NamedTuple

from sofia_streams.capture import CapturedFrame
from sofia_streams.errors import BadCapture, BadFrame, UnknownSymbol
from sofia_streams.model import ParsedTrade, Side
from sofia_streams.simulator.instrument import SimulatedInstrument, price_of, time_of
from sofia_streams.simulator.market import DEPTH_QUOTE, Event, Plan
from sofia_streams.venues.registry import VENUES

_OLD_NS = 15_000_000_000
"""A trade so much older than its frame is history that the venue repeated."""
_TICKER_EVERY_NS = 500_000_000
_OFFSET_BPS, _PERIODS_S = 2.5, (61.0, 480.0)
_OWN_BPS, _OWN_PERIODS_S = 12.0, (97.0, 1_300.0)
_FOLLOWS_NS, _JITTER_NS, _LATENCY_NS = 20_000_000, 15_000_000, 8_000_000
_PARTS_MAX = 100
_WEIGHT_POWER = 0.75
"""The n-th symbol has n ** -0.75 of the trades of the first."""


class Print(NamedTuple):
    """One trade of a reel; the price is relative to the reel's first."""

    at_ns: int
    level: float
    quantity: float
    side: Side


class Reel(NamedTuple):
    """A recorded tape that loops: times from its start, a price path that ends where it begins."""

    price: float
    length_ns: int
    prints: Sequence[Print]

    def rate(self) -> float:
        """Trades a second."""
        return len(self.prints) / (self.length_ns / 1e9)


def read_reels(frames: Iterable[CapturedFrame]) -> dict[str, Reel]:
    """One reel a pair; where several venues or markets have it, the one with most trades.

    History and repeated trades are left out. Raises BadCapture where there is no reel, and what reading raises.
    """
    trades: dict[tuple[str, str, str], dict[str, ParsedTrade]] = {}
    for frame in frames:
        for found in _prints(frame):
            name = (frame.venue, frame.market, found.venue_symbol)
            trades.setdefault(name, {}).setdefault(found.trade.trade_id, found)
    reels: dict[str, Reel] = {}
    for (venue, market, listing), found_by_id in sorted(trades.items()):
        try:
            symbol, _ = VENUES[venue].from_listing(listing, market)  # type: ignore[arg-type]  # a captured market
        except UnknownSymbol:
            continue
        pair = symbol.partition(":")[0]
        reel = _reel(list(found_by_id.values()))
        if reel is not None and (pair not in reels or len(reel.prints) > len(reels[pair].prints)):
            reels[pair] = reel
    if not reels:
        raise BadCapture("tape: expected trades at two moments of some symbol, found none. Give other captures.")
    return reels


def _prints(frame: CapturedFrame) -> list[ParsedTrade]:
    if frame.direction == "out":
        return []
    try:
        records = VENUES[frame.venue].parse(frame.data(), received_ns=frame.received_ns)
    except BadFrame:
        return []
    return [
        found
        for found in records
        if isinstance(found, ParsedTrade)
        and not found.trade.snapshot
        and found.trade.exchange_ns >= frame.received_ns - _OLD_NS
    ]


def _reel(found: list[ParsedTrade]) -> Reel | None:
    trades = sorted((one.trade for one in found), key=attrgetter("exchange_ns", "order"))
    first, last = trades[0], trades[-1]
    span_ns = last.exchange_ns - first.exchange_ns
    if span_ns <= 0:
        return None
    length_ns = span_ns + max(1_000_000, span_ns // (len(trades) - 1))
    drift = math.log(float(last.price / first.price)) / span_ns
    prints = []
    for trade in trades:
        at_ns = trade.exchange_ns - first.exchange_ns
        level = float(trade.price / first.price) * math.exp(-drift * at_ns)
        prints.append(Print(at_ns, level, float(trade.quantity), trade.taker_side))
    return Reel(float(first.price), length_ns, prints)


class _Waves:
    """Slow seeded waves around zero, in basis points; a pure function of time."""

    def __init__(self, name: str, bps: float, periods_s: Sequence[float]) -> None:
        draw = Random(name)  # noqa: S311
        self._waves = [(bps * draw.uniform(0.3, 1.0), draw.uniform(0, math.tau), math.tau / one) for one in periods_s]
        self._centre = bps * draw.uniform(-0.5, 0.5)

    def factor(self, elapsed_ns: int) -> float:
        """What to multiply a price by."""
        bps = sum(high * math.sin(phase + elapsed_ns / 1e9 * speed) for high, phase, speed in self._waves)
        return 1.0 + (self._centre + bps) / 10_000.0


class TapeMarket:
    """Events for ever from `start_ns` on, the first prints at once. `plan.even` means nothing here."""

    def __init__(self, plan: Plan, reels: Mapping[str, Reel], start_ns: int) -> None:
        self._plan, self._start_ns = plan, start_ns
        longest = max(reels.values(), key=lambda reel: len(reel.prints))
        self._reels = {symbol: reels.get(symbol, longest) for symbol in plan.symbols}
        self._is_recorded = {symbol: symbol in reels for symbol in plan.symbols}
        weights = {symbol: number**-_WEIGHT_POWER for number, symbol in enumerate(plan.symbols, 1)}
        self._rates = {symbol: plan.rate * weight / sum(weights.values()) for symbol, weight in weights.items()}
        self.instruments = {
            (venue, symbol): SimulatedInstrument(
                venue, symbol, start_ns, self._opens_at(symbol), rate=self._rates[symbol]
            )
            for venue in plan.venues
            for symbol in plan.symbols
        }

    def events(self) -> Iterator[Event]:
        """In time order."""
        return heapq.merge(*map(self._said, self.instruments.values()), key=attrgetter("at_ns"))

    def _opens_at(self, symbol: str) -> float:
        return self._reels[symbol].price if self._is_recorded[symbol] else price_of(symbol)

    def _said(self, instrument: SimulatedInstrument) -> Iterator[Event]:
        """Trades of one instrument, and a ticker twice a second between them."""
        draw = Random(f"{self._plan.seed}|{instrument.venue}|{instrument.symbol}|tickers")  # noqa: S311
        ticker_ns = self._start_ns + _TICKER_EVERY_NS
        for at_ns, prints in self._printed(instrument):
            while ticker_ns < at_ns:
                depth_quote, spread = draw.uniform(*DEPTH_QUOTE), draw.randrange(1, 4)
                said = instrument.ticker(time_of(instrument.venue, ticker_ns), depth_quote, spread)
                yield Event(ticker_ns, instrument.venue, said)
                ticker_ns += _TICKER_EVERY_NS
            for exchange_ns, price, lots, side in prints:
                yield Event(at_ns, instrument.venue, instrument.print(exchange_ns, price, lots, side))

    def _printed(self, instrument: SimulatedInstrument) -> Iterator[tuple[int, list[tuple[int, Decimal, int, Side]]]]:
        """What becomes of each recorded print on this venue: none, one, or several that share its quantity."""
        venue, symbol = instrument.venue, instrument.symbol
        name = f"{self._plan.seed}|{venue}|{symbol}"
        draw = Random(name)  # noqa: S311
        reel, opens_at = self._reels[symbol], self._opens_at(symbol)
        offset = _Waves(f"{self._plan.seed}|{venue}", _OFFSET_BPS, _PERIODS_S)
        own = _Waves(f"{self._plan.seed}|{symbol}", 0.0 if self._is_recorded[symbol] else _OWN_BPS, _OWN_PERIODS_S)
        wanted, size = self._rates[symbol] / reel.rate(), draw.uniform(0.4, 1.2) * reel.price / opens_at
        follows_ns = draw.uniform(0, _FOLLOWS_NS)
        exchange_ns = at_ns = self._start_ns
        for elapsed_ns, found in _endless(reel):
            parts = int(wanted) + (draw.random() < wanted % 1.0)
            if not parts:
                continue
            matched_ns = self._start_ns + elapsed_ns + int(follows_ns + draw.uniform(0, _JITTER_NS))
            exchange_ns = max(exchange_ns, time_of(venue, matched_ns))
            at_ns = max(at_ns, exchange_ns + int(draw.expovariate(1 / _LATENCY_NS)))
            price = instrument.price(opens_at * found.level * offset.factor(elapsed_ns) * own.factor(elapsed_ns))
            lots = _split(instrument.lots(found.quantity * size), min(parts, _PARTS_MAX), draw)
            yield at_ns, [(exchange_ns, price, one, found.side) for one in lots]


def _endless(reel: Reel) -> Iterator[tuple[int, Print]]:
    """The prints at the time since the start, loop after loop."""
    run_ns = 0
    while True:
        for found in reel.prints:
            yield run_ns + found.at_ns, found
        run_ns += reel.length_ns


def _split(lots: int, parts: int, draw: Random) -> list[int]:
    """So many whole lots in at most `parts`, none of them empty."""
    parts = min(parts, lots)
    cuts = sorted(draw.sample(range(1, lots), parts - 1)) if parts > 1 else []
    return [after - before for before, after in zip([0, *cuts], [*cuts, lots], strict=True)]
