"""How good probabilities are: discrimination, calibration, and what following them would have paid. With intervals.

Intervals are of a block bootstrap: labels overlap, so rows that stand together are drawn together. Sources: Guo 2017,
Naeini 2015 (expected calibration error), Brier 1950; formulas in docs/models.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from sofia_streams.training.dataset import Floats, Ints

BINS = 10
_DRAWS = 400
_EDGE = 1e-6
Measure = Callable[[Floats, Ints], float]


class Interval(NamedTuple):
    """A measure and its central 95 % over bootstrap draws."""

    value: float
    low: float
    high: float


class Bin(NamedTuple):
    """One bin of a reliability diagram, as many rows in each: mean probability, observed frequency, rows."""

    probability: float
    frequency: float
    rows: int


def reliability(probabilities: Floats, labels: Ints, bins: int = BINS) -> list[Bin]:
    """Bins of equal mass, by rising probability."""
    order = np.argsort(probabilities, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return [Bin(float(probabilities[part].mean()), float(labels[part].mean()), len(part)) for part in parts]


def calibration_error(probabilities: Floats, labels: Ints) -> float:
    """ECE: the mean distance of probability and frequency over bins of equal mass, 0 to 1."""
    found = reliability(probabilities, labels)
    rows = sum(one.rows for one in found)
    return sum(one.rows / rows * abs(one.probability - one.frequency) for one in found)


def accuracy(probabilities: Floats, labels: Ints) -> float:
    """The share of rows on the right side of one half."""
    return float(((probabilities > 0.5) == (labels == 1)).mean())


def area_under_curve(probabilities: Floats, labels: Ints) -> float:
    """ROC AUC; 0.5 where only one outcome is there."""
    return float(roc_auc_score(labels, probabilities)) if len(np.unique(labels)) == 2 else 0.5


def brier(probabilities: Floats, labels: Ints) -> float:
    """Mean squared error of the probability."""
    return float(brier_score_loss(labels, probabilities))


def surprise(probabilities: Floats, labels: Ints) -> float:
    """Log loss, nats."""
    return float(log_loss(labels, np.clip(probabilities, _EDGE, 1.0 - _EDGE), labels=[0, 1]))


MEASURES: dict[str, Measure] = {
    "accuracy": accuracy,
    "auc": area_under_curve,
    "brier": brier,
    "log_loss": surprise,
    "ece": calibration_error,
}


def interval(
    measure: Measure, probabilities: Floats, labels: Ints, *, block: int, seed: int = 0, draws: int = _DRAWS
) -> Interval:
    """A measure with its interval; `block` rows are drawn together (at least the horizon times the symbols)."""
    values = [measure(probabilities[rows], labels[rows]) for rows in blocks(len(labels), block, seed, draws)]
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(measure(probabilities, labels), float(low), float(high))


def blocks(rows: int, block: int, seed: int, draws: int) -> list[Ints]:
    """Row numbers of each draw: blocks that begin anywhere, until there are as many rows as there were."""
    block = max(1, min(block, rows))
    random = np.random.default_rng(seed)
    starts = random.integers(0, rows - block + 1, size=(draws, -(-rows // block)))
    return [(one[:, None] + np.arange(block)).ravel()[:rows] for one in starts]


class Followed(NamedTuple):
    """Going long where the probability is above one half by the margin, flat otherwise, one unit each time.

    Returns are sums of fractions after costs: `net` of all trades, and `per_trade`.
    """

    trades: int
    net: float
    per_trade: float


def followed(probabilities: Floats, returns: Floats, *, cost: float, margin: float = 0.0) -> Followed:
    """What following would have paid; entry and exit as the label has them."""
    taken = returns[probabilities > 0.5 + margin] - cost
    return Followed(len(taken), float(taken.sum()), float(taken.mean()) if len(taken) else 0.0)
