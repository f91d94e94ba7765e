"""The deepest fall below an earlier peak, and the longest time below one. What it does not do: interpolate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec


class Drawdown(msgspec.Struct, frozen=True):
    """depth = min over t of index_t / max over s <= t of index_s, less 1: a fraction from -1 to 0.

    peak_ns, bottom_ns   the peak it fell from, and its lowest point; both the start where nothing ever fell
    recovered_ns         when the index was at that peak again; None: not yet
    longest_ns           the longest time from a peak until the index was back at it, of any fall
    is_longest_open      that one had not ended with the last value
    """

    depth: float
    peak_ns: int
    bottom_ns: int
    recovered_ns: int | None
    longest_ns: int
    is_longest_open: bool


def drawdowns(index: Iterable[float]) -> list[float]:
    """index / highest so far - 1 at each value, fractions from -1 to 0. Values are 0 or more; 0 of nothing is 0."""
    peak, found = 0.0, []
    for value in index:
        peak = max(peak, value)
        found.append(value / peak - 1.0 if peak else 0.0)
    return found


def deepest(values: Sequence[tuple[int, float]]) -> Drawdown:
    """Of (at_ns, index) in order of time, the start among them; must not be empty. Of equal falls the first."""
    peak_ns, peak = values[0]
    found = (0.0, peak_ns, peak_ns, peak)
    longest_ns, is_open = 0, False
    fell = False
    for at_ns, value in values:
        if value >= peak:
            if fell and at_ns - peak_ns > longest_ns:
                longest_ns, is_open = at_ns - peak_ns, False
            peak_ns, peak, fell = at_ns, value, False
            continue
        fell = True
        if (depth := value / peak - 1.0) < found[0]:
            found = (depth, peak_ns, at_ns, peak)
    if fell and values[-1][0] - peak_ns > longest_ns:
        longest_ns, is_open = values[-1][0] - peak_ns, True
    depth, top_ns, bottom_ns, height = found
    back = next((at_ns for at_ns, value in values if at_ns > bottom_ns and value >= height), None)
    return Drawdown(depth, top_ns, bottom_ns, back if depth else top_ns, longest_ns, is_open)


def max_drawdown(returns: Iterable[float]) -> float:
    """Depth of the index that these returns (fractions) compound to, from 1 on; 0 of none."""
    index = peak = 1.0
    worst = 0.0
    for one in returns:
        index *= 1.0 + one
        peak = max(peak, index)
        worst = min(worst, index / peak - 1.0)
    return worst
