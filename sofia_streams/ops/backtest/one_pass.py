"""One pass over bars: the live steps score every bar, and one or several accounts trade on what is said.

In each window first every symbol's bar opens, then every bar closes, then the signals of its end are taken, as the live
worker meets them. What it does not do: read bars, choose models (`models`), judge (`run`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
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
_TELL_EVERY = 5_000


class Trial:
    """An account in a backtest: its engine, what it said, and from which confidence on it goes with the model."""

    def __init__(self, rules: Rules, lots: Lots) -> None:
        self.rules, self.engine, self.written = rules, Engine(rules, lots), Written()
        self._confidence_min = float(rules.strategy.confidence_min)

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
    pending, accounts = sorted(activations, key=order_of, reverse=True), [*trials]
    bars, outcomes, refused, end_ns = 0, Counter[str](), list[Refused](), 0
    with exact():
        for window in windows:
            end_ns = window.end_ns
            while steps is not None and pending and pending[-1].said_ns <= end_ns:
                steps.apply(pending.pop(), 0, "")
            said = [] if steps is None else _scored(window, steps, refused)
            before, bars = bars, bars + len(window.items)
            if end_ns > from_ns:
                outcomes.update([one.abstention or one.model_id for _, one in said])
                for trial in accounts:
                    trial.window(window, said)
            if bars // _TELL_EVERY != before // _TELL_EVERY:
                tell(bars)
        for trial in accounts:
            trial.finish(end_ns)
    return Pass(bars, outcomes, refused, end_ns)


def _scored(window: Window, steps: Steps, refused: list[Refused]) -> Said:
    found = []
    for item in window.items:
        scored = steps.score(item.closed)
        if scored is not None:
            found.append((item, scored[1]))
            refused += scored[2]
    return found
