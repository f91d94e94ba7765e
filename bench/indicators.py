"""The eight indicators of one bar at a time: ours, river's stats composed, TA-Lib's stream objects, alternating.

Each contestant is given the same bars, and what all of them give is compared first: one that differs has no figure.
Times are of the processor, so that other work on the machine counts as little as it can.
Then the whole feature sets behind a bar, as a worker and the training set compute them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np

from bench.figures import ratio
from bench.peers.indicators import Contestant, Eight, River, TaLib
from sofia_streams.core.features.book import Book, feature_values
from sofia_streams.core.features.sets import FeatureSet, base_set, sets_of
from sofia_streams.errors import SofiaError
from sofia_streams.model import NS_PER_MINUTE
from sofia_streams.scored import Candle

WARM_BARS = 1_000
"""Behind so many, what an average was seeded with is forgotten to the last digit."""
TOLERANCE = 1e-6
_PRICES = frozenset(("sma_20", "bb_upper", "bb_lower", "ema_20", "macd", "macd_signal", "macd_hist"))
Make = Callable[[Sequence[Candle]], Contestant]
_PEERS: dict[str, Make] = {"river": River, "talib": TaLib}
_NAMES = {"sofia": "Sofia", "river": River.name, "talib": TaLib.name}
NOTE = (
    "ours gives more than the eight in that time: band position and width, distances in basis points, volatility over "
    "60 bars; its sums are exact, and its state is plain data that goes into a table. TA-Lib's state cannot be stored."
)


class Ours:
    """The indicators of the set `base` that give the eight, as they are in the product."""

    def __init__(self, history: Sequence[Candle]) -> None:
        wanted = {*Eight._fields}
        chosen = [part for part in base_set(NS_PER_MINUTE).parts if wanted & {one.name for one in part.features}]
        names = [feature.name for part in chosen for feature in part.features]
        self.places = [names.index(name) for name in Eight._fields]
        self._updates = [part.indicator().update for part in chosen]
        for candle in history:
            self.update(candle)

    def update(self, candle: Candle) -> Any:
        """All that they give; `places` has where the eight stand."""
        found: list[float | None] = []
        for update in self._updates:
            found += update(candle)
        return found


def walk(count: int, seed: int = 1) -> list[Candle]:
    """Generated minutes, the same for the same seed: a price of about 60,000 in ticks of 0.1, three venues."""
    rng = np.random.default_rng(seed)
    closes = np.round(60_000 * np.exp(np.cumsum(rng.normal(0, 4e-4, count + 1))), 1)
    wicks = np.round(np.abs(rng.normal(0, 12, (count, 2))), 1)
    volumes, taken, apart = rng.gamma(2.0, 4.0, count), rng.uniform(0.2, 0.8, count), rng.normal(0, 2e-5, (count, 3))
    found = []
    for at in range(count):
        opened, close, volume = float(closes[at]), float(closes[at + 1]), float(volumes[at])
        high, low = max(opened, close) + float(wicks[at, 0]), min(opened, close) - float(wicks[at, 1])
        venues = {name: close * (1 + float(one)) for name, one in zip("abc", apart[at], strict=True)}
        found.append(
            Candle(opened, high, low, close, volume, volume * close, volume * float(taken[at]), 40, True, venues)
        )
    return found


def run(say: Callable[[str], None], *, rounds: int, bars: int) -> dict[str, Any]:
    """Processor µs a bar. Raises SofiaError where a contestant's values differ from ours."""
    candles = walk(WARM_BARS + bars)
    skipped, contestants = {}, dict[str, Make](sofia=Ours)
    for name, make in _PEERS.items():
        try:
            make(candles[:WARM_BARS])
        except ImportError as error:
            skipped[name] = f"{error}. It is a development dependency: pip install 'sofia-streams[dev]'."
            say(f"skipped: {name}: {skipped[name]}")
            continue
        contestants[name] = make
    differences = {name: check(name, make, candles) for name, make in contestants.items() if name != "sofia"}
    rounds_us: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name, make in contestants.items():
            rounds_us[name].append(_timed(make, candles))
        say(f"round {number + 1}: " + ", ".join(f"{name} {found[-1]:.2f}" for name, found in rounds_us.items()) + " µs")
    spreads = {name: spread_us(found) for name, found in rounds_us.items()}
    ours = spreads["sofia"]["median"]
    return {
        "bars": bars,
        "us_a_bar": spreads,
        "ratio": {name: ratio(found["median"], ours) for name, found in spreads.items() if name != "sofia"},
        "difference_max": differences,
        "contestants": {name: _NAMES[name] for name in contestants},
        "skipped": skipped,
        "sets_us_a_bar": {name: spread_us(found) for name, found in _sets(candles, rounds).items()},
        "note": NOTE,
    }


def spread_us(values: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest of the rounds, in microseconds to two digits."""
    return {
        "median": round(median(values), 2), "min": round(min(values), 2), "max": round(max(values), 2),
        "rounds": len(values),
    }  # fmt: skip


def check(name: str, make: Make, candles: Sequence[Candle]) -> float:
    """The largest difference from ours: of prices as a share of the close, of the rest as it is. Raises SofiaError."""
    mine, theirs = Ours(candles[:WARM_BARS]), make(candles[:WARM_BARS])
    worst = 0.0
    for candle in candles[WARM_BARS:]:
        found, other = mine.update(candle), theirs.update(candle)
        for field, place, value in zip(Eight._fields, mine.places, other, strict=True):
            apart = abs(found[place] - value) / (candle.close if field in _PRICES else 1.0)
            if not apart <= TOLERANCE:
                raise SofiaError(
                    f"{name}: expected {field} {found[place]!r}, as ours, found {value!r}; its time counts nothing"
                )
            worst = max(worst, apart)
    return worst


def _timed(make: Make, candles: Sequence[Candle]) -> float:
    update, rest = make(candles[:WARM_BARS]).update, candles[WARM_BARS:]
    began_s = time.process_time()
    for candle in rest:
        update(candle)
    return (time.process_time() - began_s) / len(rest) * 1e6


def _sets(candles: Sequence[Candle], rounds: int) -> dict[str, list[float]]:
    """Books of each set and of both, with their values written down."""
    base, flow = sets_of(NS_PER_MINUTE)
    chosen = {"base": [base], "flow": [flow], "base and flow": [base, flow]}
    found: dict[str, list[float]] = {name: [] for name in chosen}
    for _ in range(rounds):
        for name, sets in chosen.items():
            found[name].append(_book(sets, candles))
    return found


def _book(sets: Sequence[FeatureSet], candles: Sequence[Candle]) -> float:
    book = Book(sets)
    for at, candle in enumerate(candles[:WARM_BARS]):
        book.take(at * NS_PER_MINUTE, candle)
    began_s = time.process_time()
    for at, candle in enumerate(candles[WARM_BARS:], WARM_BARS):
        values = book.take(at * NS_PER_MINUTE, candle)
        feature_values(sets, values or [])
    return (time.process_time() - began_s) / (len(candles) - WARM_BARS) * 1e6
