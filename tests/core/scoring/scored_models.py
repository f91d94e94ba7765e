"""A small model trained by the stock libraries, and its document; for tests of what is built from it."""

import hashlib
from functools import cache

import lightgbm
import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sofia_streams.core.scoring.document import FORMAT, Calibration, CheckRow, Document, LinearPart

WIDTH = 12
WEIGHTS = {"lightgbm": 0.7, "logistic": 0.3}


@cache
def data(rows=3_000, seed=3):
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(rows, WIDTH)) * np.geomspace(1e-4, 100, WIDTH) + np.arange(WIDTH)
    standard = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    return inputs, (standard[:, 0] - standard[:, 5] + rng.normal(size=rows) > 0).astype(int)


@cache
def trained():
    """The objects themselves: booster, scaler, logistic regression, isotonic regression."""
    inputs, labels = data()
    options = {"objective": "binary", "num_threads": 1, "deterministic": True, "verbosity": -1, "seed": 1}
    booster = lightgbm.train(options, lightgbm.Dataset(inputs, labels), 30)
    scaler = StandardScaler().fit(inputs)
    logistic = LogisticRegression().fit(scaler.transform(inputs), labels)
    isotonic = IsotonicRegression(out_of_bounds="clip").fit(stock_raw((booster, scaler, logistic), inputs), labels)
    return booster, scaler, logistic, isotonic


def stock_raw(objects, inputs):
    booster, scaler, logistic = objects[:3]
    linear = logistic.predict_proba(scaler.transform(inputs))[:, 1]
    return WEIGHTS["lightgbm"] * booster.predict(inputs, num_threads=1) + WEIGHTS["logistic"] * linear


@cache
def a_model():
    """(document, trees)."""
    objects = trained()
    booster, scaler, logistic, isotonic = objects
    rows = data(64, 8)[0]
    raw = stock_raw(objects, rows)
    made = zip(rows, raw, isotonic.predict(raw), strict=True)
    checks = [CheckRow(row.tolist(), float(first), float(second)) for row, first, second in made]
    scaled = logistic.coef_[0].tolist(), float(logistic.intercept_[0]), scaler.mean_.tolist(), scaler.scale_.tolist()
    trees = booster.model_to_string()
    return Document(
        FORMAT, "test-1", "forward", 60_000_000_000, 5, {"base": "0" * 16}, [f"base.f{n}" for n in range(WIDTH)],
        dict(WEIGHTS), Calibration(isotonic.X_thresholds_.tolist(), isotonic.y_thresholds_.tolist()), 0, 10, 20, True,
        checks, LinearPart(*scaled),
        hashlib.sha256(trees.encode()).hexdigest(),
    ), trees  # fmt: skip
