"""One pass over bars: the live steps score every bar, and one or several accounts trade on what is said.

In each window first every symbol's bar opens, then every bar closes, then the signals of its end are taken, as the live
worker meets them. What it does not do: read bars, choose models (`models`), judge (`run`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from sofia_streams.core.oms.engine import Engine
from sofia_streams.core.oms.money import exact
from sofia_streams.core.oms.rules import Lot, Rules
from sofia_streams.core.signals.in_force import order_of
from sofia_streams.core.signals.predicting import signal_of
from sofia_streams.core.signals.steps import Refused, Steps
from sofia_streams.ops.backtest.bars import Item, Window
from sofia_streams.ops.backtest.written import Written
from sofia_streams.scored import Activation, Prediction, Signal

Lots = Mapping[tuple[str, str], Lot]
Tell = Callable[[int], None]
"""Told now and then how many bars are done."""
Said = Sequence[tuple[Item, Prediction]]
_CHUNK = 128
"""So many windows are scored, then traded: what a bar runs through stays in the processor's caches."""


class Trial:
    """An account in a backtest: its engine, what it said, and from which confidence on it goes with the model."""

    def __init__(self, rules: Rules, lots: Lots) -> None:
        self.rules, self.engine, self.written = rules, Engine(rules, lots), Written()
        self._confidence_min = float(rules.strategy.confidence_min)

    def windows(self, some: Sequence[tuple[Window, Said]]) -> None:
        """One after the other, with what is said of them; inside `money.exact()`."""
        for window, said in some:
            self.window(window, said)

    def window(self, window: Window, said: Said) -> None:
        """Everything of one window; inside `money.exact()`."""
        engine = self.engine
        if engine.books.working:
            for item in window.items:
                if item.bar is not None:
                    engine.bar_opens(item.bar)
        for item in window.items:
            if item.bar is not None:
                engine.bar_closes(item.bar)
        for signal in self.signals(window, said):
            engine.signal(signal, window.end_ns)
        self.written.add(engine.take_said())

    def signals(self, window: Window, said: Said) -> Iterable[Signal]:
        """What this account hears at the end of a window, by symbol: the model's word."""
        return [signal_of(one, item.close, confidence_min=self._confidence_min) for item, one in said]

    def finish(self, end_ns: int) -> None:
        """The last window ended then."""
        self.engine.finish(end_ns)
        self.written.add(self.engine.take_said())


class Pass(NamedTuple):
    """What one pass came to: bars; of those traded, how many by model, or by why they were not scored; refused models;
    end of the last window.
    """

    bars: int
    outcomes: Counter[str]
    refused: list[Refused]
    end_ns: int


def run(
    windows: Iterable[Window],
    steps: Steps | None,
    activations: Iterable[Activation],
    trials: Iterable[Trial],
    *,
    from_ns: int = 0,
    tell: Tell = lambda bars: None,
) -> Pass:
    """Score everything (not without `steps`); trade what ends behind `from_ns`.

    An activation counts for windows that end when it was said or later, and then as it does in the log.
    """
    scoring = None if steps is None else _Scoring(steps, sorted(activations, key=order_of, reverse=True))
    accounts, bars, outcomes, end_ns, left = [*trials], 0, Counter[str](), 0, iter(windows)
    with exact():
        while chunk := [*islice(left, _CHUNK)]:
            said = [[] if scoring is None else scoring.window(window) for window in chunk]
            traded = [(window, some) for window, some in zip(chunk, said, strict=True) if window.end_ns > from_ns]
            outcomes.update([one.abstention or one.model_id for _, some in traded for _, one in some])
            for trial in accounts:
                trial.windows(traded)
            bars, end_ns = bars + sum([len(window.items) for window in chunk]), chunk[-1].end_ns
            tell(bars)
        for trial in accounts:
            trial.finish(end_ns)
    return Pass(bars, outcomes, [] if scoring is None else scoring.refused, end_ns)


class _Scoring:
    """What the models in force say of window after window; `pending` are activations, the next one last."""

    def __init__(self, steps: Steps, pending: list[Activation]) -> None:
        self._steps, self._pending = steps, pending
        self.refused: list[Refused] = []

    def window(self, window: Window) -> Said:
        """Of every bar that is new."""
        while self._pending and self._pending[-1].said_ns <= window.end_ns:
            self._steps.apply(self._pending.pop(), 0, "")
        found = []
        for item in window.items:
            scored = self._steps.score(item.closed)
            if scored is not None:
                found.append((item, scored[1]))
                self.refused += scored[2]
        return found
