"""Calibration on real minutes that no part of the model has seen: what is said comes nearer to what comes."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from sofia_streams.core.features.sets import base_set
from sofia_streams.core.scoring.labels import Rule
from sofia_streams.model import NS_PER_MINUTE
from sofia_streams.training import metrics
from sofia_streams.training.dataset import build
from sofia_streams.training.fitting import judging
from sofia_streams.training.fitting.fit import train
from sofia_streams.training.fitting.folds import split
from sofia_streams.training.fitting.run import EMBARGO_BARS, Order, terms_of
from sofia_streams.training.sources.bars import windows
from sofia_streams.training.sources.klines import read_klines

pytestmark = pytest.mark.slow
REAL = Path(__file__).parents[3] / "shared" / "data" / "ohlcv" / "binance-um-1m"
MONTHS = ("2023-08", "2023-09", "2023-10")
SETS = [base_set(NS_PER_MINUTE)]
RULE = Rule("forward", 5, 0.0005)
"""A rise of more than 5 bps within five minutes."""
TERMS = terms_of(
    Order(["base"], NS_PER_MINUTE, RULE, ["lightgbm", "logistic"], NS_PER_MINUTE, 0, 0.002, 0.6), SETS,
    is_synthetic=False,
)  # fmt: skip


@cache
def judged():
    """(rows, split, trained, rows that the bootstrap draws together)."""
    paths = [REAL / f"FILUSDT-1m-{month}.csv.gz" for month in MONTHS]
    if not all(path.exists() for path in paths):
        pytest.skip(f"needs real klines of FILUSDT, {', '.join(MONTHS)}, beside the checkout")
    rows = (row for path in paths for row in read_klines(path))
    data = build(windows(rows, NS_PER_MINUTE, data="klines"), SETS, RULE)
    parts = split(data, embargo_ns=EMBARGO_BARS * NS_PER_MINUTE)
    return data, parts, train(data, parts, TERMS), judging.block_rows(data.at(parts.test), RULE.horizon_bars)


def test_the_calibrated_ensemble_is_better_calibrated_than_the_raw_one():
    data, parts, trained, block = judged()
    labels, raw, calibrated = (found[parts.test] for found in (data.labels, trained.raw, trained.calibrated))
    for name, said in (("raw", raw), ("calibrated", calibrated)):
        found = metrics.intervals({"ece": metrics.calibration_error}, said, labels, block=block)["ece"]
        print(f"ECE {name}: {found.value:.4f} [{found.low:.4f}, {found.high:.4f}]")
    gain = metrics.gain(metrics.calibration_error, calibrated, raw, labels, block=block)
    print(f"ECE, raw less calibrated: {gain.value:.4f} [{gain.low:.4f}, {gain.high:.4f}] on {len(labels)} rows")
    assert gain.low > 0.0


def test_the_model_finds_what_there_is_and_nothing_in_shuffled_labels():
    """Beyond a cost, volatility tells something about the label; about shuffled ones nothing does."""
    data, parts, trained, block = judged()
    mixed = replace(data, labels=np.random.default_rng(1).permutation(data.labels))
    both = []
    for rows, model in ((data, trained), (mixed, train(mixed, parts, TERMS))):
        said, labels = model.raw[parts.test], rows.labels[parts.test]
        both.append(metrics.intervals({"auc": metrics.area_under_curve}, said, labels, block=block)["auc"])
    real, shuffled = both
    print(f"AUC {real}, of shuffled labels {shuffled}")
    assert real.low > 0.5
    assert shuffled.low <= 0.5 <= shuffled.high
