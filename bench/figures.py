"""Arithmetic of benchmark results: spread of rounds, ratios, growth over time. Pure.

Quantiles of histograms: `ops.latency`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import linear_regression, median
from typing import NamedTuple

_SETTLED = 1 / 3
"""So much of a run is left out of its slopes: caches and heaps fill."""


class Held(NamedTuple):
    """What a process holds at a moment of the run."""

    at_s: float
    memory_mb: float
    files: int


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest of the rounds, as whole numbers. Raises ValueError for no round."""
    if not values:
        raise ValueError("expected at least one round, found none")
    middle, least, most = (round(value) for value in (median(values), min(values), max(values)))
    return {"median": middle, "min": least, "max": most, "rounds": len(values)}


def ratio(ours: float, theirs: float) -> float:
    """How many times faster ours is, to three digits. Raises ValueError where a rate is not above zero."""
    if not (ours > 0 and theirs > 0):
        raise ValueError(f"expected two rates above zero, found {ours} and {theirs}")
    return float(f"{ours / theirs:.3g}")


def ratios(ours: float, rates: Mapping[str, float]) -> dict[str, float]:
    """`ratio` to each contestant."""
    return {name: ratio(ours, rate) for name, rate in rates.items()}


def growth(samples: Sequence[Held]) -> dict[str, float | None]:
    """Memory at the settled start and at the end, MB; slopes of memory (MB an hour) and of open files (an hour) by
    least squares over what comes after the first third; slopes are None of fewer than three samples.
    """
    settled = samples[int(len(samples) * _SETTLED) :]
    found: dict[str, float | None] = {
        "memory_mb_settled": round(settled[0].memory_mb, 1) if settled else None,
        "memory_mb_last": round(settled[-1].memory_mb, 1) if settled else None,
        "memory_mb_per_hour": None,
        "files_per_hour": None,
    }
    if len(settled) >= 3:
        hours = [one.at_s / 3_600 for one in settled]
        found["memory_mb_per_hour"] = round(linear_regression(hours, [one.memory_mb for one in settled]).slope, 1)
        found["files_per_hour"] = round(linear_regression(hours, [one.files for one in settled]).slope, 1)
    return found


def by_minute(samples: Sequence[Held]) -> list[float]:
    """Memory of the first sample of each minute that has one, MB: whether a slope is a step shows in the curve."""
    firsts: dict[int, float] = {}
    for one in samples:
        firsts.setdefault(int(one.at_s // 60), round(one.memory_mb, 1))
    return list(firsts.values())
