"""How far values have moved from those a model was trained on: the population stability index (PSI) over deciles.

Below 0.1 nothing has changed, above 0.25 much has; by chance alone it is about bins * (1/training + 1/current) rows, so
hundreds of values are needed. What it does not do: decide that a model is trained anew.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from math import log

import msgspec

_SHARE_MIN = 1e-4


class Deciles(msgspec.Struct, frozen=True):
    """Edges between the deciles of the training data, rising, and the share of it in each bin: one more than edges.

    An edge belongs to the bin above it. Where many values are equal there are fewer edges.
    """

    edges: list[float]
    shares: list[float]


def psi(reference: Deciles, values: Iterable[float]) -> float | None:
    """Of values against the training data; None without values.

    >>> round(psi(Deciles([0.0], [0.5, 0.5]), [-1.0, 1.0, 1.0, 1.0]), 4)
    0.2747
    """
    counts = [0] * len(reference.shares)
    for value in values:
        counts[bin_of(reference, value)] += 1
    return psi_of_counts(reference, counts)


def bin_of(reference: Deciles, value: float) -> int:
    """The number of a value's bin."""
    return bisect_right(reference.edges, value)


def psi_of_counts(reference: Deciles, counts: Sequence[int]) -> float | None:
    """As `psi`, of how many values are in each bin."""
    total = sum(counts)
    if not total:
        return None
    found = 0.0
    for count, share in zip(counts, reference.shares, strict=True):
        now, then = max(count / total, _SHARE_MIN), max(share, _SHARE_MIN)
        found += (now - then) * log(now / then)
    return found
