"""Whether a model is any good: against baselines, on rows it has not seen, with intervals. The test of a verdict.

Baselines, both learned on the rows that the members were: the base rate (always the same probability, so the majority's
class), and the last sign (how often the label came true behind a bar that rose, and behind one that did not).
The test: the model is better where its log loss is lower than that of each baseline and the interval of the difference
(95 %, paired block bootstrap) lies above 0, on a test slice of at least ten blocks: intervals from fewer are too narrow
(from 4 blocks, one in eight models without any skill would pass).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sofia_streams.training.dataset import Dataset, Floats, Ints
from sofia_streams.training.fitting.folds import Split
from sofia_streams.training.metrics import MEASURES, Interval, gain, intervals, log_loss

MODEL, RAW = "model", "uncalibrated"
BASELINES = ("base rate", "last sign")
_OVERLAPS = 2
BLOCKS_MIN = 10


def block_rows(data: Dataset, horizon_bars: int) -> int:
    """Rows that the bootstrap draws together: those whose labels may overlap, twice over."""
    a_bar = len(data) / max(1, len(np.unique(data.start_ns)))
    return round(_OVERLAPS * horizon_bars * a_bar) or 1


def baselines(data: Dataset, fit: Ints) -> dict[str, Floats]:
    """Probabilities of every row, by baseline; learned on the rows `fit`."""
    rate = float(data.labels[fit].mean())
    rose = data.inputs[:, 0] > 0.0  # the return over one bar: the base set begins with it
    found = np.full(len(data), rate)
    for side in (True, False):
        chosen = fit[rose[fit] == side]
        if len(chosen):
            found[rose == side] = data.labels[chosen].mean()
    return dict(zip(BASELINES, (np.full(len(data), rate), found), strict=True))


def measured(scores: Mapping[str, Floats], labels: Ints, test: Ints, block: int) -> dict[str, dict[str, Interval]]:
    """Every measure on the test rows, by who scored."""
    return {name: intervals(MEASURES, found[test], labels[test], block=block) for name, found in scores.items()}


def gains(scores: Mapping[str, Floats], labels: Ints, test: Ints, block: int) -> dict[str, Interval]:
    """By how much the model's log loss is lower on the test rows than each baseline's, nats."""
    ours, outcomes = scores[MODEL][test], labels[test]
    return {name: gain(log_loss, ours, scores[name][test], outcomes, block=block) for name in BASELINES}


def scores_of(data: Dataset, split: Split, calibrated: Floats, raw: Floats) -> dict[str, Floats]:
    """Probabilities of every row, by who scored."""
    return {MODEL: calibrated, RAW: raw, **baselines(data, split.fit)}


def is_better(found: Mapping[str, Interval], block: int, rows: int) -> bool:
    """The test, of gains over so many test rows."""
    return rows >= BLOCKS_MIN * block and all(one.low > 0.0 for one in found.values())


def verdict(found: Mapping[str, Interval], block: int, rows: int) -> str:
    """One line: what came of the test, and what it was."""
    told = ", ".join(
        f"{one.value:+.5f} against the {name} (95 % {one.low:+.5f} to {one.high:+.5f})" for name, one in found.items()
    )
    how = f"gain in log loss on the untouched test slice, nats: {told}; paired bootstrap, blocks of {block} rows"
    if is_better(found, block, rows):
        return f"Better than the baselines. {how}."
    if rows < BLOCKS_MIN * block:
        why = f"{rows} test rows are too few to tell by, {BLOCKS_MIN * block} are needed"
        return f"NO BETTER THAN THE BASELINE: {why}. {how[0].upper()}{how[1:]}."
    return f"NO BETTER THAN THE BASELINE: not every interval lies above 0. {how}."
