"""Rows to train on, from bars, through the functions that score live: features behind a bar, and what became of it.

A row is one bar that was ready. What it does not do: read stores, split by time (`folds`).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, isnan
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sofia_streams.core.features.book import Book
from sofia_streams.core.features.sets import FeatureSet, bar_sigma
from sofia_streams.core.scoring.labels import Labeller, Rule
from sofia_streams.errors import ConfigError
from sofia_streams.scored import Candle, Value

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Dataset:
    """Rows in the order of their bars' ends.

    inputs    shape (rows, features), float64; none is NaN
    labels    0 or 1; returns: from entry to exit, a fraction
    start_ns  of the bar; known_ns: end of the bar at which the label was known
    names     of the features, "set.name"
    left_out  bars without a row, by reason
    """

    inputs: Floats
    labels: Ints
    returns: Floats
    start_ns: Ints
    known_ns: Ints
    symbols: list[str]
    names: list[str]
    left_out: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, rows: Ints) -> Dataset:
        """Those rows."""
        return replace(
            self, inputs=self.inputs[rows], labels=self.labels[rows], returns=self.returns[rows],
            start_ns=self.start_ns[rows], known_ns=self.known_ns[rows], symbols=[self.symbols[row] for row in rows],
        )  # fmt: skip


def input_names(sets: Sequence[FeatureSet]) -> list[str]:
    """Of what models may use, "set.name", in order."""
    return [f"{one.name}.{one.features[place].name}" for one in sets for place in one.inputs]


class Written(NamedTuple):
    """The values of one feature set as they were known live; NaN: not known. Packed, since a day has a million."""

    schema: str
    values: array[float]


class Seen(NamedTuple):
    """A window of a symbol as features are computed from it; a bar that lacks trades gives no row.

    `written` is what was known live behind the bar, one a set, where that was kept: it is taken as it is, since the
    worker may have remembered more than these windows tell (history, bars that retention has dropped since).
    """

    symbol: str
    start_ns: int
    candle: Candle
    written: Sequence[Written] = ()


class _Rows:
    """Rows of one symbol as they come."""

    def __init__(self, sets: Sequence[FeatureSet], rule: Rule) -> None:
        self._sets, self._book, self._labeller = sets, Book(sets), Labeller(rule)
        self._size_ns = self._book.size_ns
        self._inputs = [(at, place) for at, one in enumerate(sets) for place in one.inputs]
        self._base_at = base_at(sets)
        self._waiting: dict[int, array[float]] = {}
        self._last_ns: int | None = None
        self.rows: list[tuple[int, int, int, float, array[float]]] = []
        self.left_out: dict[str, int] = {}

    def take(self, start_ns: int, candle: Candle, written: Sequence[Written] = ()) -> None:
        computed = self._book.take(start_ns, candle)
        if computed is None:
            self._leave_out("a window that was there before")
            return
        found = self._written(written) or computed
        if self._last_ns is not None and start_ns != self._last_ns + self._size_ns:
            self._labeller.forget()
            self._leave_out("no label: a hole behind it", len(self._waiting))
            self._waiting.clear()
        self._last_ns = start_ns
        prices = candle.open, candle.high, candle.low, candle.close
        sigma = bar_sigma(self._sets[self._base_at], found[self._base_at])
        for outcome in self._labeller.take(start_ns, prices, sigma):
            known = self._waiting.pop(outcome.start_ns, None)
            if known is not None:
                end_ns = start_ns + self._size_ns
                self.rows.append((outcome.start_ns, end_ns, outcome.label, outcome.forward_return, known))
        self._wait(start_ns, candle, found)

    def _written(self, written: Sequence[Written]) -> list[list[Value]] | None:
        """What was known live, where it was of these very features."""
        known = {one.schema: one.values for one in written}
        if not all(one.schema in known for one in self._sets):
            return None
        return [[None if isnan(value) else value for value in known[one.schema]] for one in self._sets]

    def _wait(self, start_ns: int, candle: Candle, found: list[list[Value]]) -> None:
        """Keep what a model would be given behind this bar; a bar on which it abstains gives no row."""
        row = [value for place in self._inputs if (value := _known(found, place)) is not None]
        if candle.is_quiet:
            self._leave_out("no trades")
        elif not candle.is_complete:
            self._leave_out("trades of it are missing")
        elif len(row) < len(self._inputs):
            self._leave_out("not ready")
        else:
            self._waiting[start_ns] = array("d", row)

    def end(self) -> None:
        self._leave_out("no label yet", len(self._waiting))

    def _leave_out(self, why: str, count: int = 1) -> None:
        if count:
            self.left_out[why] = self.left_out.get(why, 0) + count


def _known(found: list[list[Value]], place: tuple[int, int]) -> Value:
    """As it is written down: what is no finite number is not known."""
    value = found[place[0]][place[1]]
    return None if value is None or not isfinite(value) else value


def base_at(sets: Sequence[FeatureSet]) -> int:
    """Which of them is the base set. Raises ConfigError where none is."""
    for at, one in enumerate(sets):
        if one.name == "base":
            return at
    raise ConfigError("training: expected the set base among the features, found none. Barriers need its volatility.")


def build(seen: Iterable[Seen], sets: Sequence[FeatureSet], rule: Rule) -> Dataset:
    """Of windows of any number of symbols; those of one symbol ascending. Raises ConfigError where no row is left."""
    by_symbol: dict[str, _Rows] = {}
    for one in seen:
        rows = by_symbol.get(one.symbol)
        if rows is None:
            rows = by_symbol[one.symbol] = _Rows(sets, rule)
        rows.take(one.start_ns, one.candle, one.written)
    left_out: dict[str, int] = {}
    found = []
    for symbol, rows in by_symbol.items():
        rows.end()
        found += [(end_ns, start_ns, symbol, label, change, row) for start_ns, end_ns, label, change, row in rows.rows]
        for why, count in rows.left_out.items():
            left_out[why] = left_out.get(why, 0) + count
    if not found:
        raise ConfigError(
            f"training: expected bars that give at least one row, found none; left out: {left_out or 'no bar at all'}. "
            f"The features need {max(one.warm_up for one in sets)} bars in a row, a label {rule.horizon_bars} more."
        )
    found.sort(key=lambda one: (one[1], one[2]))
    ends, starts, symbols, labels, changes, rows_ = zip(*found, strict=True)
    return Dataset(
        np.array(rows_), np.array(labels), np.array(changes), np.array(starts), np.array(ends), [*symbols],
        input_names(sets), left_out,
    )  # fmt: skip
