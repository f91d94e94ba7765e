"""A generated market, seeded: one mid price a symbol, every venue close to it, bursts, quiet spells, large trades.

Pure: the start time is a parameter; the same seed gives the same market. Nothing here is data of a real exchange.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import NamedTuple

import msgspec

from sofia_streams.model import NS_PER_MS, ParsedTicker, ParsedTrade, Side
from sofia_streams.simulator.instrument import SimulatedInstrument, price_of, time_of

_TICKER_EVERY_NS = 500_000_000
DEPTH_QUOTE = (1_000.0, 200_000.0)
"""Between what bounds the size at the best bid and ask is drawn, in the quote currency."""
_VOLATILITY = 0.000_02  # of the mid, a trade
_FAVOUR = 1.5
"""Above 1: the first symbols have more of the trades."""
_LARGE_ONE_IN, _LARGE_TIMES = 2_000, 200
_SPELL_S = 20.0
_SPELLS = (0.15, 1.0, 1.0, 1.0, 4.0)
"""Rates of a venue relative to its own, one drawn for each spell."""


class Event(NamedTuple):
    """What a venue says of one instrument, at `at_ns`."""

    at_ns: int
    venue: str
    said: ParsedTrade | ParsedTicker


class Plan(NamedTuple):
    """What to generate. `rate` is trades a second and venue; `even` leaves bursts and quiet spells out."""

    venues: Sequence[str]
    symbols: Sequence[str]
    rate: float
    seed: int = 1
    even: bool = False


class Market:
    """Generates events for ever. `start_ns` is the time of the first."""

    def __init__(self, plan: Plan, start_ns: int) -> None:
        self._plan, self._start_ns = plan, start_ns - start_ns % NS_PER_MS
        self._random = Random(plan.seed)  # noqa: S311
        self._mids = {symbol: price_of(symbol) for symbol in plan.symbols}
        self._offsets = {venue: self._random.uniform(-0.0001, 0.0001) for venue in plan.venues}
        count = len(plan.symbols)
        starts = [(number / count) ** (1 / _FAVOUR) for number in range(count + 1)]
        self.instruments = {
            (venue, symbol): SimulatedInstrument(
                venue, symbol, start_ns, rate=plan.rate * (starts[number + 1] - starts[number])
            )
            for venue in plan.venues
            for number, symbol in enumerate(plan.symbols)
        }

    def events(self) -> Iterator[Event]:
        """In time order."""
        waiting: list[tuple[float, int, str, str]] = []
        for number, venue in enumerate(self._plan.venues):
            waiting.append((self._random.expovariate(self._plan.rate), number, venue, ""))
        for number, (venue, symbol) in enumerate(self.instruments):
            waiting.append((self._random.uniform(0, 0.5), len(self._plan.venues) + number, venue, symbol))
        heapq.heapify(waiting)
        while True:
            at_s, number, venue, symbol = waiting[0]
            at_ns = self._start_ns + int(at_s * 1_000) * NS_PER_MS
            if symbol:
                said = self.instruments[venue, symbol].ticker(at_ns, self._random.uniform(*DEPTH_QUOTE))
                yield Event(at_ns, venue, said)
                heapq.heapreplace(waiting, (at_s + _TICKER_EVERY_NS / 1e9, number, venue, symbol))
            else:
                yield Event(at_ns, venue, self._trade(venue, at_ns))
                rate = self._plan.rate * self._spell(venue, at_s)
                heapq.heapreplace(waiting, (at_s + self._random.expovariate(rate), number, venue, ""))

    def _spell(self, venue: str, at_s: float) -> float:
        if self._plan.even:
            return 1.0
        return Random(f"{self._plan.seed}|{venue}|{int(at_s / _SPELL_S)}").choice(_SPELLS)  # noqa: S311

    def _trade(self, venue: str, at_ns: int) -> ParsedTrade:
        draw = self._random
        symbol = self._plan.symbols[int(len(self._plan.symbols) * draw.random() ** _FAVOUR)]
        self._mids[symbol] *= math.exp(draw.gauss(0.0, _VOLATILITY))
        side: Side = "buy" if draw.random() < 0.5 else "sell"
        half_spread = 0.00002 if side == "buy" else -0.00002
        instrument = self.instruments[venue, symbol]
        price = instrument.price(self._mids[symbol] * (1 + self._offsets[venue] + half_spread))
        notional = math.exp(draw.gauss(5.5, 1.6)) * (_LARGE_TIMES if draw.randrange(_LARGE_ONE_IN) == 0 else 1)
        lots = instrument.lots(notional / instrument.quote_worth / self._mids[symbol])
        return instrument.print(time_of(venue, at_ns), price, lots, side)


def skewed(events: Iterable[Event], skew_ns: Mapping[str, int]) -> Iterator[Event]:
    """The same at the same moments, from exchanges whose clocks are ahead by so much (behind when negative)."""
    for at_ns, venue, said in events:
        ahead_ns = skew_ns.get(venue, 0)
        if isinstance(said, ParsedTrade):
            trade = msgspec.structs.replace(said.trade, exchange_ns=time_of(venue, said.trade.exchange_ns + ahead_ns))
            yield Event(at_ns, venue, msgspec.structs.replace(said, trade=trade))
        else:
            exchange_ns = time_of(venue, (said.exchange_ns or at_ns) + ahead_ns)
            yield Event(at_ns, venue, msgspec.structs.replace(said, exchange_ns=exchange_ns))
