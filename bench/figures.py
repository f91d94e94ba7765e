"""Arithmetic of benchmark results: spread of rounds, ratios. Pure. Quantiles of histograms: `ops.latency`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median


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
