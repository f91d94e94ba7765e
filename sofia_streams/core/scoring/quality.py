"""How good probabilities were, once it is known what became of them: over a window, without any library.

The formulas are those of the model's card (`training.metrics`, docs/models.md). What it does not do: wait for labels
(`core.monitoring.maturing`), compare two models (`resampling`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import log, sqrt
from typing import NamedTuple

from sofia_streams.core.scoring.resampling import lower_bound

BINS = 10
_EDGE = 1e-6
_FLOOR, _FLOOR_TIMES, _ECE_MARGIN = 0.8, 1.5, 0.03
_TAIL, _DEVIATIONS = 0.025, 1.96
_BLOCKS_MIN = 5


class Judged(NamedTuple):
    """A probability (0 to 1) that was said of a bar, and the label (0 or 1) that came of it."""

    start_ns: int
    probability: float
    label: int


class Measures(NamedTuple):
    """Of a window: see `scored.ModelQuality`. `ece_floor` is what a perfect model's ECE would be about, by chance."""

    labels: int
    accuracy: float
    brier: float
    ece: float
    base_rate: float
    log_loss: float
    ece_floor: float


def log_loss(probability: float, label: int) -> float:
    """Log loss of one bar, nats."""
    sure = min(max(probability, _EDGE), 1.0 - _EDGE)
    return -log(sure if label else 1.0 - sure)


def measured(judged: Sequence[Judged], *, overlap: int) -> Measures | None:
    """None without labels. `overlap`: so many labels in a row share bars (the horizon), and count as one by chance."""
    count = len(judged)
    if not count:
        return None
    ece, floor = _calibration(judged, overlap)
    return Measures(
        count,
        sum((one.probability > 0.5) == (one.label == 1) for one in judged) / count,
        sum((one.probability - one.label) ** 2 for one in judged) / count,
        ece,
        sum(one.label for one in judged) / count,
        sum(log_loss(one.probability, one.label) for one in judged) / count,
        floor,
    )


def _calibration(judged: Sequence[Judged], overlap: int) -> tuple[float, float]:
    """ECE over bins of equal mass, of which equal probabilities share one; and its floor."""
    rising = sorted(judged, key=lambda one: one.probability)
    values = [one.probability for one in rising]
    count = len(rising)
    starts = sorted({bisect_left(values, values[number * count // BINS]) for number in range(BINS)})
    ece = floor = 0.0
    for start, end in zip(starts, [*starts[1:], count], strict=True):
        rows = end - start
        mean = sum(values[start:end]) / rows
        ece += abs(mean - sum(one.label for one in rising[start:end]) / rows) * rows / count
        floor += _FLOOR * (mean * (1.0 - mean) * overlap / rows) ** 0.5 * rows / count
    return ece, floor


def fault(judged: Sequence[Judged], *, overlap: int, accuracy_min: float | None = None) -> str | None:
    """What is wrong with a model by a window of labels, in the order of their bars; None where nothing can be shown.

    One of: its Brier score is worse than that of always saying the window's base rate, with the lower end of the 95 %
    interval of the difference above 0 (block bootstrap, of at least five blocks: over fewer the base rate is luck);
    its ECE is above 1.5 times the floor plus 0.03; or its accuracy is below that of always saying the window's more
    frequent label, and the upper end of its 95 % interval below `accuracy_min`, the lower end of that on its card.
    """
    found = measured(judged, overlap=overlap)
    if found is None:
        return None
    rate, block = found.base_rate, 2 * overlap
    worse = [(one.probability - one.label) ** 2 - (rate - one.label) ** 2 for one in judged]
    if len(worse) >= _BLOCKS_MIN * block and lower_bound(worse, block=block, tail=_TAIL) > 0.0:
        return f"Brier {found.brier:.4f}, always saying the base rate {rate:.3f} would give {rate * (1.0 - rate):.4f}"
    if found.ece > (limit := _FLOOR_TIMES * found.ece_floor + _ECE_MARGIN):
        return f"calibration error {found.ece:.3f}, by chance at most {limit:.3f}"
    return None if accuracy_min is None else _less_accurate(found, accuracy_min, overlap)


def _less_accurate(found: Measures, accuracy_min: float, overlap: int) -> str | None:
    constant, high = max(found.base_rate, 1.0 - found.base_rate), upper_share(found.accuracy, found.labels / overlap)
    if found.accuracy >= constant or high >= accuracy_min:
        return None
    return (
        f"accuracy {found.accuracy:.3f}, by chance at most {high:.3f}; on its card it is at least {accuracy_min:.3f}, "
        f"and always saying the same would give {constant:.3f}"
    )


def upper_share(share: float, count: float) -> float:
    """The upper end of the 95 % interval of a share of so many independent events, by Wilson (1927).

    >>> round(upper_share(0.5, 100), 4), round(upper_share(0.0, 10), 4)
    (0.5962, 0.2775)
    """
    square = _DEVIATIONS**2 / count
    middle = share + square / 2.0
    return (middle + sqrt(square * (share * (1.0 - share) + square / 4.0))) / (1.0 + square)
