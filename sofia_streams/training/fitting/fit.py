"""Trains what a model is made of, and writes it down as plain data: boosted trees, logistic regression, calibration.

Each part is made from a slice of its own, each behind the one before: members from `fit`, their weights from `weigh`,
isotonic knots from `calibrate`; `test` is seen by none. One thread, a fixed seed: the same rows give the same model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import lightgbm
import msgspec
import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sofia_streams.core.scoring.document import FORMAT, Calibration, CheckRow, Document, LinearPart, ModelType
from sofia_streams.core.scoring.labels import Rule
from sofia_streams.model import NS_PER_SECOND
from sofia_streams.training.dataset import Dataset, Floats, Ints
from sofia_streams.training.fitting.folds import Split, halves
from sofia_streams.training.metrics import log_loss, reliability

_ROUNDS = 100
_TREES: dict[str, Any] = {
    "objective": "binary", "num_leaves": 15, "learning_rate": 0.05, "lambda_l2": 1.0,
    "num_threads": 1, "deterministic": True, "force_row_wise": True, "seed": 1, "verbosity": -1,
}  # fmt: skip
_REGULARISATION = 0.1
_LEAF_SHARE = 100
"""A leaf has at least one in so many rows."""
_STEPS = 21
_CHECKS = 64
_BIN_LABELS, _BINS_MAX, _BINS_MIN = 50, 40, 4
"""Isotonic regression is fitted to bins of equal mass, each of at least so many labels that do not overlap: to single
rows it makes steps of what is chance, and says 0 or 1 at both ends.
"""


class Terms(NamedTuple):
    """What a model is about, beside its data: from the command line and the settings."""

    rule: Rule
    size_ns: int
    schemas: Mapping[str, str]
    types: Sequence[ModelType]
    lifetime_ns: int
    is_synthetic: bool


class Members:
    """The trained objects of both kinds, as far as they are wanted."""

    def __init__(self, data: Dataset, rows: Ints, types: Sequence[ModelType]) -> None:
        inputs, labels = data.inputs[rows], data.labels[rows]
        self.booster = self.scaler = self.logistic = None
        if "lightgbm" in types:
            self.booster = _booster(inputs, labels)
        if "logistic" in types:
            self.scaler = StandardScaler().fit(inputs)
            self.scaler.scale_[self.scaler.var_ == 0.0] = 1.0
            self.logistic = LogisticRegression(C=_REGULARISATION, max_iter=1_000)
            self.logistic.fit(self.scaler.transform(inputs), labels)

    def scores(self, inputs: Floats) -> dict[ModelType, Floats]:
        """Probability of each row by each member."""
        found: dict[ModelType, Floats] = {}
        if self.booster is not None:
            found["lightgbm"] = np.asarray(self.booster.predict(inputs, num_threads=1))
        if self.logistic is not None and self.scaler is not None:
            found["logistic"] = self.logistic.predict_proba(self.scaler.transform(inputs))[:, 1]
        return found

    def linear(self) -> LinearPart | None:
        """The logistic regression in numbers."""
        if self.logistic is None or self.scaler is None:
            return None
        return LinearPart(
            self.logistic.coef_[0].tolist(), float(self.logistic.intercept_[0]),
            self.scaler.mean_.tolist(), self.scaler.scale_.tolist(),
        )  # fmt: skip


def _booster(inputs: Floats, labels: Ints) -> lightgbm.Booster:
    terms = _TREES | {"min_data_in_leaf": max(20, len(labels) // _LEAF_SHARE)}
    return lightgbm.train(terms, lightgbm.Dataset(inputs, labels), _ROUNDS)


class Trained(NamedTuple):
    """A model: its document, its trees as text, and what each row was scored with, raw and calibrated."""

    document: Document
    trees: str | None
    raw: Floats
    calibrated: Floats
    importance: dict[str, float]


def train(data: Dataset, split: Split, terms: Terms) -> Trained:
    """Raw and calibrated probabilities are those of all rows, of which only `split.test` is worth looking at.

    Raises ConfigError as `halves`.
    """
    members = Members(data, split.fit, terms.types)
    scores = members.scores(data.inputs)
    weights = _weights({kind: found[split.weigh] for kind, found in scores.items()}, data.labels[split.weigh])
    raw = _joined(scores, weights)
    knots = _calibration(raw[split.calibrate], data.at(split.calibrate), terms.rule.horizon_bars)
    calibrated = np.interp(raw, knots.scores, knots.values)
    trees = members.booster.model_to_string() if members.booster is not None else None
    until_ns = int(data.known_ns.max())
    checks = split.test[np.linspace(0, len(split.test) - 1, min(_CHECKS, len(split.test))).astype(int)]
    document = Document(
        FORMAT, "", terms.rule.kind, terms.size_ns, terms.rule.horizon_bars,
        dict(terms.schemas), data.names, weights, knots, int(data.start_ns[split.fit].min()), until_ns,
        until_ns + terms.lifetime_ns, terms.is_synthetic,
        [CheckRow(data.inputs[row].tolist(), float(raw[row]), float(calibrated[row])) for row in checks],
        members.linear(), None if trees is None else hashlib.sha256(trees.encode()).hexdigest(), terms.rule.cost,
    )  # fmt: skip
    digest = hashlib.sha256(msgspec.json.encode(document)).hexdigest()
    name = f"{terms.rule.kind}-{until_ns // NS_PER_SECOND}-{digest[:8]}"
    named = msgspec.structs.replace(document, model_id=name)
    return Trained(named, trees, raw, calibrated, _importance(members, weights, data.names))


def _weights(scores: Mapping[ModelType, Floats], labels: Ints) -> dict[ModelType, float]:
    """Those with the lowest log loss on a slice that no member saw; the first of equals."""
    kinds = sorted(scores)
    if len(kinds) == 1:
        return {kinds[0]: 1.0}
    first, second = kinds
    shares = [number / (_STEPS - 1) for number in range(_STEPS)]
    best = min(shares, key=lambda share: log_loss(share * scores[first] + (1.0 - share) * scores[second], labels))
    return {first: best, second: 1.0 - best}


def _joined(scores: Mapping[ModelType, Floats], weights: Mapping[ModelType, float]) -> Floats:
    total = np.zeros(len(next(iter(scores.values()))))
    for kind in sorted(scores):
        total += weights[kind] * scores[kind]
    return total


def _calibration(raw: Floats, data: Dataset, horizon_bars: int) -> Calibration:
    """Isotonic knots, taken as far as they help: a share of the way from the raw score to the isotonic value.

    The share's log loss is lowest when each half of the slice, in order of time, judges what the other half has taught:
    where the base rate moves from one stretch to the next, isotonic values alone would carry the last one's on.
    Raises ConfigError as `halves`.
    """
    labels, both = data.labels, halves(data)
    taught = [_isotonic(raw[half], labels[half], horizon_bars) for half in both]

    def losses(share: float) -> float:
        judged = zip(taught, reversed(both), strict=True)
        return sum(log_loss(_part_way(share, *one, raw[half]), labels[half]) for one, half in judged)

    share = min((number / (_STEPS - 1) for number in range(_STEPS)), key=losses)
    scores, values = _isotonic(raw, labels, horizon_bars)
    rising = np.maximum.accumulate(_part_way(share, scores, values, scores))  # rounding may break a tie
    return Calibration(scores.tolist(), np.clip(rising, 0.0, 1.0).tolist())


def _part_way(share: float, scores: Floats, values: Floats, raw: Floats) -> Floats:
    """From the raw scores to the isotonic values; beyond the outer knots it stands still."""
    known = np.clip(raw, scores[0], scores[-1])
    found: Floats = known + share * (np.interp(known, scores, values) - known)
    return found


def _isotonic(raw: Floats, labels: Ints, horizon_bars: int) -> tuple[Floats, Floats]:
    """Knots, from the lowest score to the highest. None says 0 or 1: as far from them as a bin's labels can tell."""
    bins = min(_BINS_MAX, max(_BINS_MIN, len(raw) // (horizon_bars * _BIN_LABELS)))
    found = reliability(raw, labels, bins)
    isotonic = IsotonicRegression(out_of_bounds="clip", y_min=0.0, y_max=1.0)
    isotonic.fit([one.probability for one in found], [one.frequency for one in found], [one.rows for one in found])
    least = 1.0 / (max(1.0, len(raw) / len(found) / horizon_bars) + 2.0)
    scores = np.unique([raw.min(), *(one.probability for one in found), raw.max()])
    return scores, np.clip(isotonic.predict(scores), least, 1.0 - least)


def _importance(members: Members, weights: Mapping[ModelType, float], names: Sequence[str]) -> dict[str, float]:
    """Each feature's share in the trees' gain and in the absolute scaled weights, by members' weights; largest first.

    They sum to 1 unless a member found nothing to go by.
    """
    shares = np.zeros(len(names))
    if members.booster is not None:
        shares += weights["lightgbm"] * _shares(members.booster.feature_importance("gain"))
    if members.logistic is not None:
        shares += weights["logistic"] * _shares(np.abs(members.logistic.coef_[0]))
    found = {name: float(share) for name, share in zip(names, shares, strict=True)}
    return dict(sorted(found.items(), key=lambda one: -one[1]))


def _shares(found: Floats) -> Floats:
    total = float(found.sum())
    return found / total if total else found
