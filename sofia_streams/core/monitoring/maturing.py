"""What became of what was said: features and predictions of one symbol joined bar by bar, then their labels as known.

Both topics have one record a bar, in order, so the join goes on where both have come; which of them came first, and how
often, makes no difference. What it does not do: judge (`watching`), read the log.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from sofia_streams.core.features.sets import FeatureSet, bar_sigma
from sofia_streams.core.scoring.labels import Labeller, Rule
from sofia_streams.scored import Features, Prediction

WAITING_MAX = 20_000
"""Bars that wait for their other record; with more the oldest are given up."""
RuleOf = Callable[[str], Rule | None]
"""What a model predicts, by its id; None where it is not known."""


class Pair(NamedTuple):
    """Both records of one bar; `is_new` unless both were read only to remember."""

    features: Features
    prediction: Prediction
    is_new: bool


class Joining:
    """One symbol's. A record of a window that came before counts as the same one again."""

    def __init__(self) -> None:
        self._features: deque[tuple[Features, bool]] = deque(maxlen=WAITING_MAX)
        self._predictions: deque[tuple[Prediction, bool]] = deque(maxlen=WAITING_MAX)
        self._features_ns = self._predictions_ns = -1

    def take(self, record: Features | Prediction, *, is_new: bool) -> list[Pair]:
        """One record of either topic; the pairs that it completes, ascending."""
        if isinstance(record, Features):
            if record.start_ns > self._features_ns:
                self._features_ns = record.start_ns
                self._features.append((record, is_new))
        elif record.start_ns > self._predictions_ns:
            self._predictions_ns = record.start_ns
            self._predictions.append((record, is_new))
        return self._pairs()

    def _pairs(self) -> list[Pair]:
        found = []
        while self._features and self._predictions:
            (features, one_is_new), (prediction, other_is_new) = self._features[0], self._predictions[0]
            if features.start_ns <= prediction.start_ns:
                self._features.popleft()
            if prediction.start_ns <= features.start_ns:
                self._predictions.popleft()
            if features.start_ns == prediction.start_ns:
                found.append(Pair(features, prediction, one_is_new or other_is_new))
        return found


class MaturedLabel(NamedTuple):
    """A bar whose label under one rule is known, and the probabilities that were said of it, by model."""

    start_ns: int
    rule: Rule
    label: int
    forward_return: float
    scores: Mapping[str, float]


class Maturing:
    """Bars of one symbol in order, with what models said of each. Holds at most a horizon of them for each rule."""

    def __init__(self, rule_of: RuleOf, base: FeatureSet) -> None:
        """`base` is the set base for bars of this size: barriers are made from its volatility."""
        self._rule_of, self._base = rule_of, base
        self._labellers: dict[Rule, Labeller] = {}
        self._waiting: dict[Rule, dict[int, dict[str, float]]] = {}
        self._last_ns: int | None = None

    def take(self, features: Features, scores: Mapping[str, float]) -> list[MaturedLabel]:
        """The next bar and the labels that it settles. A hole before it gives up what is open."""
        candle = features.candle
        if candle is None or (self._last_ns is not None and features.start_ns != self._last_ns + self._base.size_ns):
            for rule, labeller in self._labellers.items():
                labeller.forget()
                self._waiting[rule].clear()
        self._last_ns = features.start_ns
        if candle is None:
            return []
        self._follow(scores)
        prices = candle.open, candle.high, candle.low, candle.close
        written = features.sets.get("base")
        is_ours = written is not None and written.schema == self._base.schema  # else another version wrote the record
        sigma = bar_sigma(self._base, written.values) if written is not None and is_ours else None
        found = []
        for rule, labeller in self._labellers.items():
            for outcome in labeller.take(features.start_ns, prices, sigma):
                said = self._waiting[rule].pop(outcome.start_ns, None)
                if said is not None:
                    found.append(MaturedLabel(outcome.start_ns, rule, outcome.label, outcome.forward_return, said))
        for model_id, probability in scores.items():
            rule_of_it = self._rule_of(model_id)
            if rule_of_it is not None:
                self._waiting[rule_of_it].setdefault(features.start_ns, {})[model_id] = probability
        return found

    def _follow(self, scores: Mapping[str, float]) -> None:
        """Label by the rules of these models from now on, and by no rule that nothing waits for."""
        needed = [rule for model_id in scores if (rule := self._rule_of(model_id)) is not None]
        for rule in [one for one in self._labellers if one not in needed and not self._waiting[one]]:
            del self._labellers[rule], self._waiting[rule]
        for rule in needed:
            if rule not in self._labellers:
                self._labellers[rule], self._waiting[rule] = Labeller(rule), {}
