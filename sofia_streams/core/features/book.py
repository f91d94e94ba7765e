"""The features of one symbol, bar by bar: what stands between closed bars and indicators. Pure but for its own memory.

Every window counts once, in order. A window that no bar tells of repeats the close before it, with unknown quantities;
behind more than `FILLED_MAX` of them in a row nothing is known any more and everything begins anew. A quiet window
repeats the close too, with quantities of 0; while more than `FILLED_MAX` are quiet in a row every feature is None.

Until enough was seen, the candles themselves are kept as well: history that comes late (`learn`) goes before them.
What it does not do: join venues, decide which revision of a bar counts (the caller hands each window over once).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite

import msgspec

from sofia_streams.core.features.sets import FeatureSet
from sofia_streams.model import Bar
from sofia_streams.scored import Candle, FeatureValues, Kline, Value

FILLED_MAX = 5
Seen = tuple[int, Candle]
"""A window's start in ns, and its candle."""


class Memory(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a book knows, as plain data: it stands in a table, and a book made from it goes on as if never stopped.

    `schemas` are those of its sets: memory of others is of no use. `seen` counts bars since it began, filled ones too;
    `recent` has them while they are too few.
    """

    schemas: list[str]
    last_ns: int | None = None
    close: float | None = None
    seen: int = 0
    filled: int = 0
    indicators: list[list[float]] = []
    recent: list[Seen] = []


class Book:
    """The sets of one symbol; `size_ns` is that of its bars."""

    def __init__(self, sets: Sequence[FeatureSet]) -> None:
        self.sets = sets
        self.size_ns = sets[0].size_ns
        self._warm_up = max(one.warm_up for one in sets)
        self._schemas = [one.schema for one in sets]
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._indicators = [[part.indicator() for part in one.parts] for one in self.sets]
        self._updates = [[indicator.update for indicator in indicators] for indicators in self._indicators]
        self.last_ns: int | None = None
        self.close: Value = None
        self.seen = self._filled = 0
        self._recent: list[Seen] = []

    @property
    def is_warm(self) -> bool:
        """Whether as many bars were seen as any feature needs."""
        return self.seen >= self._warm_up

    def take(self, start_ns: int, candle: Candle) -> list[list[Value]] | None:
        """The values of each set behind this candle, in its order; None for a window that was taken before."""
        if self.last_ns is not None:
            missing = (start_ns - self.last_ns) // self.size_ns - 1
            if missing < 0:
                return None
            if missing:
                self._fill(missing)
        self.last_ns = start_ns
        self._filled = self._filled + 1 if candle.is_quiet else 0
        found = self._update(candle)
        if self.seen < self._warm_up:
            self._recent.append((start_ns, candle))
        elif self._recent:
            self._recent = []
        if self._filled > FILLED_MAX:
            return self.nothing()
        return found

    def _fill(self, missing: int) -> None:
        """So many windows that no bar told of."""
        if missing + self._filled > FILLED_MAX and missing:
            self._begin_anew()
        elif self.close is not None:
            filling = flat(self.close, is_complete=False, quantity=None)
            for _ in range(missing):
                self._update(filling)
            self._filled += missing

    def pass_over(self, start_ns: int) -> None:
        """A quiet window before the first price: it tells nothing, and does not come again."""
        self.last_ns = start_ns

    def nothing(self) -> list[list[Value]]:
        """Values of which none is known."""
        return [[None] * len(one.features) for one in self.sets]

    def _update(self, candle: Candle) -> list[list[Value]]:
        self.seen += 1
        self.close = candle.close
        found = []
        for updates in self._updates:
            values: list[Value] = []
            for update in updates:
                values += update(candle)
            found.append(values)
        return found

    def learn(self, history: Iterable[Seen]) -> bool:
        """Take up what came before, ascending: whether it did. A book that has seen enough has no use for it.

        Of a window that is known from both, our own candle counts, but for one that lacks trades. A second time the
        same history changes nothing.
        """
        if self.is_warm:
            return False
        last_ns = self.last_ns
        known = {start_ns: candle for start_ns, candle in history if last_ns is None or start_ns <= last_ns}
        known |= {at_ns: candle for at_ns, candle in self._recent if candle.is_complete or at_ns not in known}
        self._begin_anew()
        for start_ns in sorted(known):
            self.take(start_ns, known[start_ns])
        if last_ns is not None and self.last_ns != last_ns:  # what was passed over since does not come again
            self._fill(0 if self.last_ns is None else (last_ns - self.last_ns) // self.size_ns)
            self.last_ns = last_ns
        return True

    def memory(self) -> Memory:
        """What it knows."""
        numbers = [indicator.memory() for indicators in self._indicators for indicator in indicators]
        return Memory(self._schemas, self.last_ns, self.close, self.seen, self._filled, numbers, [*self._recent])

    def resume(self, memory: Memory) -> None:
        """Go on from there; from the beginning where it is of other sets. Raises ValueError for damaged memory."""
        self._begin_anew()
        if memory.schemas != self._schemas:
            return
        self.last_ns, self.close = memory.last_ns, memory.close
        self.seen, self._filled, self._recent = memory.seen, memory.filled, [*memory.recent]
        indicators = [indicator for indicators in self._indicators for indicator in indicators]
        for indicator, numbers in zip(indicators, memory.indicators, strict=True):
            indicator.resume(numbers)


def feature_values(sets: Sequence[FeatureSet], found: Sequence[list[Value]]) -> dict[str, FeatureValues]:
    """What a book gave, by the sets' names, as it is written down; what is no finite number is not known."""
    written: dict[str, FeatureValues] = {}
    for one, values in zip(sets, found, strict=True):
        is_ready = None not in values and isfinite(sum(values))  # type: ignore[arg-type]  # none is None
        if not is_ready:
            if not isfinite(sum(filter(None, values))):
                values = [value if value is not None and isfinite(value) else None for value in values]
            is_ready = None not in [values[place] for place in one.inputs]
        written[one.name] = FeatureValues(one.schema, values, is_ready)
    return written


def candle_of(bar: Bar, venues: Mapping[str, float], close: Value) -> Candle | None:
    """A bar in float64, with the closes of its venues' bars; None for a quiet one before the first price.

    `close` is that of the window before: a quiet one repeats it.
    """
    is_complete = bar.quality not in ("gap", "stale")
    if bar.open is None or bar.high is None or bar.low is None or bar.close is None:
        return None if close is None else flat(close, is_complete=is_complete, quantity=0.0)
    return Candle(
        float(bar.open), float(bar.high), float(bar.low), float(bar.close), float(bar.volume),
        float(bar.quote_volume), float(bar.buy_volume), bar.trade_count, is_complete, dict(venues),
    )  # fmt: skip


def candle_of_kline(kline: Kline) -> Candle:
    """A candle of history in float64."""
    quote, bought = (None if one is None else float(one) for one in (kline.quote_volume, kline.buy_volume))
    return Candle(
        float(kline.open), float(kline.high), float(kline.low), float(kline.close), float(kline.volume), quote, bought,
        kline.trade_count,
    )  # fmt: skip


def flat(close: float, *, is_complete: bool, quantity: Value) -> Candle:
    """A candle of one price: of a quiet window (quantity 0), or of one that nothing is known of (None)."""
    count = None if quantity is None else 0
    is_quiet = quantity is not None
    return Candle(close, close, close, close, quantity or 0.0, quantity, quantity, count, is_complete, {}, is_quiet)
