"""Splits by time: never shuffled, and what a label saw of the future is cut away.

purge     a row is left out of a slice where its label was known only after the slice ended
embargo   so many bars between two slices besides, for what features remember
Source: Lopez de Prado, Advances in Financial Machine Learning, chapter 7.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from sofia_streams.errors import ConfigError
from sofia_streams.training.dataset import Dataset, Ints

SLICES = ("fit", "weigh", "calibrate", "test")
SHARES = (0.5, 0.1, 0.25, 0.15)
ROWS_MIN = 100
"""Of each slice: with fewer nothing that is measured on it means anything."""


class Split(NamedTuple):
    """Rows (their numbers) of the four slices, each behind the one before, none of whose labels reach into the next."""

    fit: Ints
    weigh: Ints
    calibrate: Ints
    test: Ints


def split(data: Dataset, *, embargo_ns: int, shares: Sequence[float] = SHARES) -> Split:
    """Four slices by time. Raises ConfigError where one has under `ROWS_MIN` rows or one class only (but the test)."""
    first_ns, last_ns = int(data.start_ns.min()), int(data.start_ns.max())
    edges = [first_ns + round((last_ns - first_ns) * share) for share in np.cumsum([0.0, *shares])]
    edges[-1] = last_ns + 1
    found = [_rows(data, from_ns, until_ns, embargo_ns) for from_ns, until_ns in pairwise(edges)]
    for name, rows in zip(SLICES, found, strict=True):
        classes = len(np.unique(data.labels[rows]))
        if len(rows) < ROWS_MIN or (classes < 2 and name != "test"):
            raise ConfigError(
                f"training: expected at least {ROWS_MIN} rows of both outcomes to {name} with, found {len(rows)} of "
                f"{classes} outcome(s). Give more history, a shorter horizon, or a lower cost."
            )
    return Split(*found)


def walk_forward(data: Dataset, *, folds: int, embargo_ns: int) -> Iterator[Split]:
    """Expanding windows: each test slice lies behind everything that its model was made from. Of the later half of
    time, each row is in one test slice.

    Raises ConfigError as `split`.
    """
    if not folds:
        return
    first_ns, last_ns = int(data.start_ns.min()), int(data.start_ns.max())
    half_ns = first_ns + (last_ns - first_ns) // 2
    step_ns = (last_ns - half_ns) // folds
    for number in range(folds):
        until_ns = half_ns + step_ns * (number + 1)
        rows = np.flatnonzero(data.start_ns < until_ns)
        share = step_ns / (until_ns - first_ns)
        shares = [one * (1.0 - share) / (1.0 - SHARES[-1]) for one in SHARES[:-1]]
        parts = split(data.at(rows), embargo_ns=embargo_ns, shares=[*shares, share])
        yield Split(*(rows[part] for part in parts))


def _rows(data: Dataset, from_ns: int, until_ns: int, embargo_ns: int) -> Ints:
    is_inside = (data.start_ns >= from_ns) & (data.known_ns <= until_ns - embargo_ns)
    if until_ns > int(data.start_ns.max()):  # the last slice: nothing comes behind it
        is_inside = data.start_ns >= from_ns
    return np.flatnonzero(is_inside)
