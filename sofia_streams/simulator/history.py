"""Candles of a simulated instrument from before its market opened: made up, seeded, ending at the opening price. Pure.

A random walk backwards in minutes, each minute walked through in seconds, so that candles of both sizes agree. Every
venue of a symbol has the same path, in its own ticks; quantities are small, and each venue's own. What it does not do:
trades of that time (there are none to fetch), or the part of the opening minute before the opening, as a minute.
"""

from __future__ import annotations

import math
from array import array
from collections import OrderedDict
from random import Random

from sofia_streams.simulator.candle import MINUTE_MS, SECOND_MS, Candle, Sums
from sofia_streams.simulator.instrument import SimulatedInstrument

DAYS_MAX = 400
_SIGMA_MINUTE, _SIGMA_SECOND = 0.000_5, 0.000_06
"""Deviation of the logarithm of the price over a minute, and of a second's own noise within it."""
_SECONDS = 60
_KEPT_MINUTES = 1_024
_LOTS_WORTH = 10.0
"""About so much a second and venue, in the quote currency: little beside what the market prints."""


class Path:
    """The price of a symbol before `opened_ms`, where it is `price`."""

    def __init__(self, symbol: str, price: float, opened_ms: int, seed: int) -> None:
        self._name, self._price = f"{seed}|{symbol}", price
        self.opened_ms = opened_ms - opened_ms % SECOND_MS
        self.minute_ms = opened_ms - opened_ms % MINUTE_MS
        """Start of the minute in which the market opened."""
        self._levels = array("d", [self._opening_level()])
        self._kept: OrderedDict[int, list[float]] = OrderedDict()

    def _opening_level(self) -> float:
        """The logarithm of the price at the start of the opening minute, relative to the opening price."""
        seconds = (self.opened_ms - self.minute_ms) // SECOND_MS
        return Random(f"{self._name}|opening").gauss(0.0, _SIGMA_SECOND * math.sqrt(seconds))  # noqa: S311

    def _level(self, back: int) -> float:
        """The same `back` minutes before that."""
        while len(self._levels) <= back:
            name = f"{self._name}|{self.minute_ms - len(self._levels) * MINUTE_MS}"
            step = Random(name).gauss(0.0, _SIGMA_MINUTE)  # noqa: S311
            self._levels.append(self._levels[-1] + step)
        return self._levels[back]

    def seconds(self, start_ms: int) -> list[float]:
        """Prices at the start of each second of the minute that starts then, and at the end of the last."""
        if start_ms in self._kept:
            return self._kept[start_ms]
        back = (self.minute_ms - start_ms) // MINUTE_MS
        count = _SECONDS if back else (self.opened_ms - self.minute_ms) // SECOND_MS
        first, last = self._level(back), self._level(back - 1) if back else 0.0
        draw = Random(f"{self._name}|{start_ms}|seconds")  # noqa: S311
        walked = [0.0]
        for _ in range(count):
            walked.append(walked[-1] + draw.gauss(0.0, _SIGMA_SECOND))
        bent = (last - first - walked[-1]) / max(1, count)
        found = [self._price * math.exp(first + level + bent * at) for at, level in enumerate(walked)]
        self._kept[start_ms] = found
        if len(self._kept) > _KEPT_MINUTES:
            self._kept.popitem(last=False)
        return found


class PastCandles:
    """Those of one instrument, which all end before `path.opened_ms`; of minutes, before the minute of that."""

    def __init__(self, instrument: SimulatedInstrument, path: Path) -> None:
        self._instrument, self._path = instrument, path
        self._oldest_ms = path.minute_ms - DAYS_MAX * 24 * 60 * MINUTE_MS

    def between(self, size_ms: int, from_ms: int, to_ms: int, count: int, *, newest: bool) -> list[Candle]:
        """At most `count` of those that start between, both ends inside, ascending; the newest or the oldest ones."""
        end_ms = self._path.minute_ms if size_ms == MINUTE_MS else self._path.opened_ms
        first_ms = -(-max(from_ms, self._oldest_ms) // size_ms) * size_ms
        last_ms = min(to_ms, end_ms - size_ms) // size_ms * size_ms
        if newest:
            first_ms = max(first_ms, last_ms - (count - 1) * size_ms)
        else:
            last_ms = min(last_ms, first_ms + (count - 1) * size_ms)
        return [self._candle(size_ms, start_ms) for start_ms in range(first_ms, last_ms + 1, size_ms)]

    def _candle(self, size_ms: int, start_ms: int) -> Candle:
        one, minute_ms = self._instrument, start_ms - start_ms % MINUTE_MS
        prices = self._path.seconds(minute_ms)
        first = (start_ms - minute_ms) // SECOND_MS
        seconds = range(first, first + size_ms // SECOND_MS)
        ticks = [one.ticks(price) for price in prices[first : first + len(seconds) + 1]]
        found = Sums(ticks[0], max(ticks), min(ticks), ticks[-1])
        typical = one.lots(_LOTS_WORTH / one.quote_worth / prices[0])
        draw = Random(f"{one.venue}|{one.symbol}|{minute_ms}")  # noqa: S311
        shares = [(draw.random(), draw.random()) for _ in range(_SECONDS)]
        for at, price in zip(seconds, ticks, strict=False):
            size, bought = shares[at]
            lots = max(2, round(2 * typical * size))
            taken = max(1, min(lots - 1, round(lots * bought)))
            found.lots += lots
            found.bought += taken
            found.cost += price * lots
            found.bought_cost += price * taken
            found.count += 2
        return found.candle(start_ms, one.price_digits, one.lot_digits)
