"""Splits by time: never shuffled, and what a label saw of the future is cut away.

purge     a row is left out of a slice where its label was known only after the slice ended
embargo   so many bars between two slices besides, for what features remember
Source: Lopez de Prado, Advances in Financial Machine Learning, chapter 7.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from sofia_streams.errors import ConfigError
from sofia_streams.training.dataset import Dataset, Ints

SLICES = ("fit", "weigh", "calibrate", "test")
SHARES = (0.5, 0.1, 0.25, 0.15)
ROWS_MIN = 100
"""Of each slice: with fewer nothing that is measured on it means anything."""
HALF_MIN = 25
"""Of the earlier half of what is calibrated with."""


class Split(NamedTuple):
    """Rows (their numbers) of the four slices, each behind the one before, none of whose labels reach into the next."""

    fit: Ints
    weigh: Ints
    calibrate: Ints
    test: Ints


def split(data: Dataset, *, embargo_ns: int) -> Split:
    """Four slices by time. Raises ConfigError where one has under `ROWS_MIN` rows or one class only (but the test)."""
    first_ns, last_ns = int(data.start_ns.min()), int(data.start_ns.max())
    test_ns = first_ns + round((last_ns - first_ns) * (1.0 - SHARES[-1]))
    return _cut(data, test_ns, last_ns + 1, embargo_ns)


def walk_forward(data: Dataset, *, folds: int, embargo_ns: int) -> Iterator[Split]:
    """Expanding windows: each test slice lies behind everything that its model was made from. Of the later half of
    time, each row is in one test slice.

    Raises ConfigError as `split`.
    """
    first_ns, last_ns = int(data.start_ns.min()), int(data.start_ns.max())
    half_ns = first_ns + (last_ns - first_ns) // 2
    edges = [half_ns + (last_ns + 1 - half_ns) * number // max(1, folds) for number in range(folds + 1)]
    for test_ns, until_ns in pairwise(edges):
        yield _cut(data, test_ns, until_ns, embargo_ns)


def _cut(data: Dataset, test_ns: int, until_ns: int, embargo_ns: int) -> Split:
    """The test slice begins at `test_ns`; what comes before is shared out."""
    first_ns = int(data.start_ns.min())
    shares = np.cumsum([0.0, *SHARES[:-1]]) / sum(SHARES[:-1])
    edges = [*(first_ns + round((test_ns - first_ns) * share) for share in shares[:-1]), test_ns]
    found = [
        np.flatnonzero((data.start_ns >= from_ns) & (data.known_ns <= to_ns - embargo_ns))
        for from_ns, to_ns in pairwise(edges)
    ]
    found.append(np.flatnonzero((data.start_ns >= test_ns) & (data.start_ns < until_ns)))
    for name, rows in zip(SLICES, found, strict=True):
        classes = len(np.unique(data.labels[rows]))
        if len(rows) < ROWS_MIN or (classes < 2 and name != "test"):
            raise ConfigError(
                f"training: expected at least {ROWS_MIN} rows of both outcomes to {name} with, found {len(rows)} of "
                f"{classes} outcome(s). Give more history, a shorter horizon, or a lower cost."
            )
    return Split(*found)


def halves(data: Dataset) -> tuple[Ints, Ints]:
    """Rows of both halves by time; no label of the first reaches into the second.

    Raises ConfigError where that leaves under `HALF_MIN` rows of the first.
    """
    middle = len(data) // 2
    first = np.flatnonzero(data.known_ns[:middle] <= data.start_ns[middle])
    if len(first) < HALF_MIN:
        raise ConfigError(
            f"training: expected at least {HALF_MIN} rows to calibrate with whose labels are known by the middle of "
            f"their stretch, found {len(first)}. Give more history, or a shorter horizon."
        )
    return first, np.arange(middle, len(data))
