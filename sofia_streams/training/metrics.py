"""How good probabilities are: discrimination, calibration, and what following them would have paid. With intervals.

Intervals are of a block bootstrap: labels overlap, so rows that stand together are drawn together. Sources: Guo 2017,
Naeini 2015 (expected calibration error), Brier 1950; formulas in docs/models.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from sofia_streams.training.dataset import Floats, Ints

BINS = 10
DRAWS = 200
_EDGE = 1e-6
Measure = Callable[[Floats, Ints], float]


class Interval(NamedTuple):
    """A measure and its central 95 % over bootstrap draws."""

    value: float
    low: float
    high: float


class Bin(NamedTuple):
    """One bin of a reliability diagram: mean probability, observed frequency, rows."""

    probability: float
    frequency: float
    rows: int


def reliability(probabilities: Floats, labels: Ints, bins: int = BINS) -> list[Bin]:
    """Bins of equal mass, by rising probability; equal ones are never in two of them, so there may be fewer."""
    means, frequencies, rows = _binned(probabilities, labels, bins)
    return [Bin(*one) for one in zip(means.tolist(), frequencies.tolist(), rows.tolist(), strict=True)]


def _binned(probabilities: Floats, labels: Ints, bins: int) -> tuple[Floats, Floats, Ints]:
    order = np.argsort(probabilities, kind="stable")
    rising = probabilities[order]
    cuts = rising[np.arange(bins) * len(rising) // bins]
    starts = np.unique(np.searchsorted(rising, cuts, "left"))
    rows = np.diff(np.append(starts, len(rising)))
    return np.add.reduceat(rising, starts) / rows, np.add.reduceat(labels[order], starts) / rows, rows


def calibration_error(probabilities: Floats, labels: Ints) -> float:
    """ECE: the mean distance of probability and frequency over bins of equal mass, 0 to 1."""
    means, frequencies, rows = _binned(probabilities, labels, BINS)
    return float(np.abs(means - frequencies) @ rows / len(labels))


def accuracy(probabilities: Floats, labels: Ints) -> float:
    """The share of rows on the right side of one half."""
    return float(((probabilities > 0.5) == (labels == 1)).mean())


def area_under_curve(probabilities: Floats, labels: Ints) -> float:
    """ROC AUC, ties half; 0.5 where only one outcome is there."""
    true, false = np.sort(probabilities[labels == 1]), np.sort(probabilities[labels == 0])
    if not len(true) or not len(false):
        return 0.5
    below = np.searchsorted(false, true, "left").sum() + np.searchsorted(false, true, "right").sum()
    return float(below / (2.0 * len(true) * len(false)))


def brier(probabilities: Floats, labels: Ints) -> float:
    """Mean squared error of the probability."""
    return float(((probabilities - labels) ** 2).mean())


def log_loss(probabilities: Floats, labels: Ints) -> float:
    """Log loss, nats."""
    sure = np.clip(probabilities, _EDGE, 1.0 - _EDGE)
    return float(-np.log(np.where(labels == 1, sure, 1.0 - sure)).mean())


MEASURES: dict[str, Measure] = {
    "accuracy": accuracy,
    "auc": area_under_curve,
    "brier": brier,
    "log_loss": log_loss,
    "ece": calibration_error,
}


def intervals(
    measures: Mapping[str, Measure], probabilities: Floats, labels: Ints, *, block: int, draws: int = DRAWS
) -> dict[str, Interval]:
    """Each measure with its interval; `block` rows are drawn together (at least the horizon times the symbols)."""
    drawn: dict[str, list[float]] = {name: [] for name in measures}
    for rows in blocks(len(labels), block, draws):
        some, theirs = probabilities[rows], labels[rows]
        for name, measure in measures.items():
            drawn[name].append(measure(some, theirs))
    return {name: _interval(measure(probabilities, labels), drawn[name]) for name, measure in measures.items()}


def gain(measure: Measure, ours: Floats, theirs: Floats, labels: Ints, *, block: int, draws: int = DRAWS) -> Interval:
    """By how much `measure` is lower of `ours` than of `theirs`, on the same draws: above 0, ours is better."""
    found = [
        measure(theirs[rows], labels[rows]) - measure(ours[rows], labels[rows])
        for rows in blocks(len(labels), block, draws)
    ]
    return _interval(measure(theirs, labels) - measure(ours, labels), found)


def blocks(rows: int, block: int, draws: int, seed: int = 0) -> Iterator[Ints]:
    """Row numbers of each draw: blocks that begin anywhere, until there are as many rows as there were."""
    block = max(1, min(block, rows))
    random, within = np.random.default_rng(seed), np.arange(block)
    for _ in range(draws):
        starts = random.integers(0, rows - block + 1, size=-(-rows // block))
        yield (starts[:, None] + within).ravel()[:rows]


def _interval(value: float, drawn: list[float]) -> Interval:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(value, float(low), float(high))


class Followed(NamedTuple):
    """Long for the label's time where the probability is above a threshold, flat otherwise, one unit each time.

    Returns are fractions after fees: `net` is the sum over all trades, `per_trade` their mean.
    """

    trades: int
    net: Interval
    per_trade: Interval


def followed(probabilities: Floats, returns: Floats, *, fee: float, threshold: float, block: int) -> Followed:
    """What following would have paid; entry and exit as the label has them, `fee` for a round trip, a fraction."""
    taken = probabilities > threshold
    paid = np.where(taken, returns - fee, 0.0)
    draws = [(float(paid[rows].sum()), int(taken[rows].sum())) for rows in blocks(len(paid), block, DRAWS)]
    trades, net = int(taken.sum()), float(paid.sum())
    return Followed(
        trades, _interval(net, [one for one, _ in draws]),
        _interval(net / max(1, trades), [one / max(1, count) for one, count in draws]),
    )  # fmt: skip
