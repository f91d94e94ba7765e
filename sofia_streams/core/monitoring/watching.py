"""How good models have been lately, from `features` and `predictions`: measures, and what is wrong, bar by bar.

Windows are counted in bars back from the newest, and moments are bars' ends, so what is said follows from the log: a
reader that begins `recall_bars` back says the same as one that never stopped. What it does not do: read the log, send.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from sofia_streams.core.features.sets import FeatureSet
from sofia_streams.core.monitoring.maturing import Joining, MaturedLabel, Maturing, Pair
from sofia_streams.core.scoring.drift import Deciles, bin_of, psi_of_counts
from sofia_streams.core.scoring.labels import Rule
from sofia_streams.core.scoring.quality import Judged, fault, measured
from sofia_streams.core.signals.predicting import Model, predict
from sofia_streams.model import NS_PER_MINUTE, Alert
from sofia_streams.scored import Features, ModelQuality, Prediction

WINDOW_BARS, DRIFT_BARS, LOOK_BARS = 500, 1_000, 250
"""Labels are judged over so many bars, inputs over so many; whether a model got worse is looked at every so many."""
_FULL = 0.8 * WINDOW_BARS
_ROWS_MIN = 500
IMPORTANT = 0.05
"""Inputs with less than this share of the importance do not count as drift."""
_SOURCE = "trainer"


class WatchedModel(NamedTuple):
    """A model, what it predicts, and each of its inputs: its share of the importance, its deciles in training.

    `accuracy_min` is the lower end of the interval of its accuracy on its card, where it has one.
    """

    model: Model
    rule: Rule
    inputs: Sequence[tuple[str, float, Deciles]]
    accuracy_min: float | None = None

    @property
    def model_id(self) -> str:
        """Its id."""
        return self.model.document.model_id

    @property
    def important(self) -> list[tuple[str, int, Deciles]]:
        """Inputs whose drift counts: name, place among the model's inputs, deciles."""
        names = self.model.document.inputs
        return [(name, names.index(name), deciles) for name, share, deciles in self.inputs if share >= IMPORTANT]


WatchedModelOf = Callable[[str], WatchedModel | None]
"""A model by its id; None where it cannot be loaded."""


class Told(NamedTuple):
    """What one record led to; `is_new` unless it was all read only to remember."""

    symbol: str
    end_ns: int
    matured: Sequence[MaturedLabel]
    quality: Sequence[ModelQuality]
    alerts: Sequence[Alert]
    is_new: bool

    @property
    def said(self) -> list[Alert | ModelQuality]:
        """What belongs into the log."""
        return [*self.alerts, *self.quality]


def recall_bars(horizon_bars: int) -> int:
    """How many bars back whoever begins must read, for predictions so many bars ahead."""
    return DRIFT_BARS + WINDOW_BARS + 2 * horizon_bars + 2 * LOOK_BARS


class Watch:
    """One symbol."""

    def __init__(self, base: FeatureSet, known_of: WatchedModelOf) -> None:
        self._known_of, self._size_ns = known_of, base.size_ns
        self._joining = Joining()
        self._maturing = Maturing(self._rule_of, base)
        self._judged: dict[str, deque[Judged]] = {}
        self._bins: deque[tuple[int, list[int]]] = deque()
        self.counts: list[list[int]] = []
        """Of each important input of the champion: how many of the last `DRIFT_BARS` bars are in each bin."""
        self._champion: str | None = None
        self._faults: tuple[str | None, str | None] = None, None
        self._end_ns: int | None = None

    @property
    def fault(self) -> str | None:
        """What was wrong with the champion at both of the last two looks."""
        before, now = self._faults
        return now if before is not None else None

    def take(
        self, record: Features | Prediction, *, is_new: bool, challenger: WatchedModel | None = None
    ) -> list[Told]:
        """One record of either topic. A challenger scores every bar beside the champion; then its quality is said.

        Raises BadModel where the challenger makes no probability of a bar.
        """
        return [self._pair(pair, challenger) for pair in self._joining.take(record, is_new=is_new)]

    def _rule_of(self, model_id: str) -> Rule | None:
        known = self._known_of(model_id)
        return None if known is None else known.rule

    def _pair(self, pair: Pair, challenger: WatchedModel | None) -> Told:
        features, prediction = pair.features, pair.prediction
        scores: dict[str, float] = {}
        for one in (prediction, None if challenger is None else predict(features, challenger.model, prediction.place)):
            if one is not None and one.calibrated_score is not None:
                scores[one.model_id] = one.calibrated_score
        matured = self._maturing.take(features, scores)
        for known in matured:
            for model_id, probability in known.scores.items():
                self._judged.setdefault(model_id, deque()).append(Judged(known.start_ns, probability, known.label))
        if prediction.model_id:
            self._note(features, prediction)
        self._slide(features.start_ns)
        before_ns, self._end_ns = self._end_ns, features.end_ns
        quality, alerts = list[ModelQuality](), list[Alert]()
        if before_ns is not None and before_ns // NS_PER_MINUTE < features.end_ns // NS_PER_MINUTE:
            quality = self._quality(features, challenger) if pair.is_new else []
        if before_ns is not None and before_ns // self._look_ns < features.end_ns // self._look_ns:
            alerts = self._look(features)
        return Told(features.symbol, features.end_ns, matured, quality, alerts, pair.is_new)

    @property
    def _look_ns(self) -> int:
        return LOOK_BARS * self._size_ns

    def _note(self, features: Features, prediction: Prediction) -> None:
        """Who is in force, and what it was given."""
        known = self._known_of(prediction.model_id)
        important = [] if known is None else known.important
        if prediction.model_id != self._champion:
            self._champion, self._faults = prediction.model_id, (None, None)
            self._bins.clear()
            self.counts = [[0] * len(deciles.shares) for _, _, deciles in important]
        row = None if known is None else known.model.inputs(features)
        if row is not None and len(self.counts) == len(important):
            bins = [bin_of(deciles, row[place]) for _, place, deciles in important]
            self._bins.append((features.start_ns, bins))
            self._count(bins, 1)

    def _count(self, bins: Sequence[int], step: int) -> None:
        for counts, place in zip(self.counts, bins, strict=True):
            counts[place] += step

    def _slide(self, start_ns: int) -> None:
        """Forget what is behind the windows. Labels are a horizon late, so their window ends with the newest label."""
        while self._bins and self._bins[0][0] <= start_ns - DRIFT_BARS * self._size_ns:
            self._count(self._bins.popleft()[1], -1)
        for model_id, judged in [*self._judged.items()]:
            rule = self._rule_of(model_id)
            late_bars = 0 if rule is None else rule.horizon_bars
            while judged and judged[0].start_ns <= start_ns - (WINDOW_BARS + late_bars) * self._size_ns:
                judged.popleft()
            if not judged:
                del self._judged[model_id]

    def _quality(self, features: Features, challenger: WatchedModel | None) -> list[ModelQuality]:
        """Of the challenger where there is one, else of the champion."""
        known = challenger or self._known_of(self._champion or "")
        judged = None if known is None else self._judged.get(known.model_id)
        measures = None if known is None or judged is None else measured(judged, overlap=known.rule.horizon_bars)
        if known is None or judged is None or measures is None:
            return []
        role: Literal["champion", "challenger"] = "champion" if known.model_id == self._champion else "challenger"
        drift = drift_of(known, self.counts)[0] if role == "champion" else None
        return [
            ModelQuality(
                features.symbol, known.model_id, role, max(one.start_ns for one in judged), measures.labels,
                measures.accuracy, measures.brier, measures.ece, measures.base_rate, measures.log_loss, drift,
                known.model.document.is_synthetic,
            )
        ]  # fmt: skip

    def _look(self, features: Features) -> list[Alert]:
        """Whether the champion got worse, or is well again; said where that has changed."""
        judged, known = self._judged.get(self._champion or ""), self._known_of(self._champion or "")
        before = self.fault
        found = None
        if judged is not None and known is not None and len(judged) >= _FULL:
            found = fault(
                sorted(judged), overlap=known.rule.horizon_bars, accuracy_min=known.accuracy_min
            )  # fmt: skip
        self._faults = self._faults[1], found
        if (before is None) == (self.fault is None) or known is None:
            return []
        name = f"{known.model_id}{' (synthetic)' if known.model.document.is_synthetic else ''} on {features.symbol}"
        matter = f"{_SOURCE}: quality of {known.model_id} on {features.symbol}"
        if self.fault is not None:
            text = f"model {name} got worse over its last {len(judged or ())} labels: {self.fault}"
            severity: Literal["info", "warning"] = "info" if known.model.document.is_synthetic else "warning"
            return [Alert(matter, severity, _SOURCE, text, features.end_ns)]
        return [Alert(matter, "info", _SOURCE, f"model {name} is no longer worse than it should be", features.end_ns)]


class Watches:
    """All symbols that come, by "market|symbol"; `challenger` gives the model that is scored beside, if any."""

    def __init__(
        self, base: FeatureSet, known_of: WatchedModelOf, challenger: Callable[[], WatchedModel | None] = lambda: None
    ) -> None:
        self._base, self._known_of, self._challenger = base, known_of, challenger
        self.by_symbol: dict[str, Watch] = {}

    def take(self, record: Features | Prediction, *, is_new: bool) -> list[Told]:
        """As `Watch.take`."""
        key = f"{record.market}|{record.symbol}"
        if key not in self.by_symbol:
            self.by_symbol[key] = Watch(self._base, self._known_of)
        return self.by_symbol[key].take(record, is_new=is_new, challenger=self._challenger())

    def faults(self) -> list[str]:
        """What is wrong with the model in force, by symbol, in words."""
        return [f"{key}: {watch.fault}" for key, watch in sorted(self.by_symbol.items()) if watch.fault is not None]


def drift_of(known: WatchedModel, counts: Sequence[Sequence[int]]) -> tuple[float | None, str]:
    """The largest PSI of a model's important inputs, and of which; None with under 500 bars. `counts` as in `Watch`."""
    found: tuple[float | None, str] = None, ""
    for (name, _, deciles), found_counts in zip(known.important, counts, strict=False):
        value = psi_of_counts(deciles, found_counts) if sum(found_counts) >= _ROWS_MIN else None
        if value is not None and (found[0] is None or value > found[0]):
            found = value, name
    return found
