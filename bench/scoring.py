"""One row through the whole ensemble: our scorer against the stock scikit-learn objects it is made of, alternating.

Both are the same model: gradient-boosted trees, logistic regression on scaled inputs, their mean, isotonic
calibration. Every row's result is compared before anything is timed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from statistics import quantiles
from typing import Any, NamedTuple

import lightgbm
import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bench.environments import ROOT
from bench.figures import ratio
from bench.indicators import WARM_BARS, spread_us, walk
from sofia_streams.core.features.book import Book
from sofia_streams.core.features.sets import base_set
from sofia_streams.core.scoring.document import FORMAT, Calibration, CheckRow, Document, LinearPart
from sofia_streams.core.scoring.scorer import Scorer
from sofia_streams.errors import SofiaError
from sofia_streams.model import NS_PER_MINUTE

Floats = npt.NDArray[np.float64]
TOLERANCE = 1e-12
NOTE = (
    "scikit-learn: LGBMClassifier.predict_proba, Pipeline(StandardScaler, LogisticRegression).predict_proba, their "
    "mean, IsotonicRegression.predict"
)
TREES, LEAVES, ROWS = 100, 31, 512
_FIT_BARS = 20_000
_EXPIRES_NS = 4_102_444_800 * 10**9
_CALLS, _STOCK_CALLS = 20_000, 1_000


class Stock:
    """The trained objects, called by their own interfaces."""

    def __init__(self, inputs: Floats, labels: npt.NDArray[np.int64]) -> None:
        """Fit on the first two thirds of the rows, calibrated on the rest."""
        cut = len(labels) * 2 // 3
        self.trees = lightgbm.LGBMClassifier(
            n_estimators=TREES, num_leaves=LEAVES, n_jobs=1, random_state=1, deterministic=True, force_row_wise=True,
            verbosity=-1,
        )  # fmt: skip
        self.trees.fit(inputs[:cut], labels[:cut])
        self.linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1_000))
        self.linear.fit(inputs[:cut], labels[:cut])
        self.isotonic = IsotonicRegression(out_of_bounds="clip", y_min=0.0, y_max=1.0)
        self.isotonic.fit(self.raw(inputs[cut:]), labels[cut:])

    def raw(self, inputs: Floats) -> Floats:
        """The members' mean, of rows."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # rows without names
            return self._mean(inputs)

    def score(self, row: Sequence[float]) -> float:
        """The calibrated probability of one row."""
        return float(self.isotonic.predict(self._mean(np.array([row])))[0])

    def _mean(self, inputs: Floats) -> Floats:
        trees: Floats = np.asarray(self.trees.predict_proba(inputs))
        return 0.5 * trees[:, 1] + 0.5 * np.asarray(self.linear.predict_proba(inputs))[:, 1]

    def document(self, names: Sequence[str], rows: Floats, *, size_ns: int = NS_PER_MINUTE) -> tuple[Document, str]:
        """The same model as the product keeps it, for bars of that size, and its trees. It expires in 2100."""
        trees = self.trees.booster_.model_to_string()
        scaler, logistic = (step for _, step in self.linear.steps)
        raw = self.raw(rows)
        made = zip(rows, raw, self.isotonic.predict(raw), strict=True)
        knots = Calibration(self.isotonic.X_thresholds_.tolist(), self.isotonic.y_thresholds_.tolist())
        linear = LinearPart(
            logistic.coef_[0].tolist(), float(logistic.intercept_[0]), scaler.mean_.tolist(), scaler.scale_.tolist()
        )
        digest = hashlib.sha256(trees.encode()).hexdigest()
        return Document(
            FORMAT, f"bench-1-{digest[:8]}", "forward", size_ns, 5, {"base": base_set(size_ns).schema},
            [*names], {"lightgbm": 0.5, "logistic": 0.5}, knots, 0, 1, _EXPIRES_NS, True,
            [CheckRow(row.tolist(), float(one), float(two)) for row, one, two in made],
            linear, digest,
        ), trees  # fmt: skip


class Data(NamedTuple):
    """Inputs of the base set behind generated bars, labels drawn by a made-up rule, and the inputs' names."""

    inputs: Floats
    labels: npt.NDArray[np.int64]
    names: list[str]


def data(bars: int = _FIT_BARS, *, size_ns: int = NS_PER_MINUTE, seed: int = 1) -> Data:
    """The same every time, for a seed."""
    one, candles = base_set(size_ns), walk(WARM_BARS + bars, seed=seed + 1)
    book, rows = Book([one]), []
    for at, candle in enumerate(candles):
        values = book.take(at * size_ns, candle)
        rows.append([values[0][place] for place in one.inputs] if values else [])
    names = [f"base.{one.features[place].name}" for place in one.inputs]
    inputs = np.array(rows[WARM_BARS:])
    zscore, minute = inputs[:, names.index("base.zscore_20")], inputs[:, 0]
    chance = 1.0 / (1.0 + np.exp(-zscore - 0.5 * np.sign(minute)))
    return Data(inputs, (np.random.default_rng(3).uniform(size=len(chance)) < chance).astype(int), names)


def run(say: Callable[[str], None], *, rounds: int) -> dict[str, Any]:
    """µs a row. Raises SofiaError where the two differ by more than `TOLERANCE`."""
    say(f"training {TREES} trees of {LEAVES} leaves on {_FIT_BARS:,} generated bars")
    made = data()
    stock, rows = Stock(made.inputs, made.labels), made.inputs[-ROWS:]
    scorer = Scorer(*stock.document(made.names, rows))
    listed = rows.tolist()
    difference = check(scorer, stock, listed)
    names = {"sofia": "Sofia", "sklearn": f"scikit-learn {version('scikit-learn')}"}
    calls: dict[str, tuple[Callable[[Sequence[float]], Any], int]] = {
        "sofia": (scorer.score, _CALLS), "sklearn": (stock.score, _STOCK_CALLS),
    }  # fmt: skip
    found: dict[str, dict[str, list[float]]] = {name: {"p50": [], "p99": []} for name in calls}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(rounds):
            for name, (score, count) in calls.items():
                for share, value in _timed(score, listed, count).items():
                    found[name][share].append(value)
            say(f"round {number + 1}: " + ", ".join(f"{name} {one['p50'][-1]:.1f} µs" for name, one in found.items()))
    spreads = {name: {share: spread_us(one) for share, one in shares.items()} for name, shares in found.items()}
    ahead = {
        share: ratio(spreads["sklearn"][share]["median"], spreads["sofia"][share]["median"]) for share in ("p50", "p99")
    }
    return {
        "inputs": len(made.names), "trees": stock.trees.booster_.num_trees(), "leaves": LEAVES,
        "knots": len(scorer.document.calibration.scores), "us_a_row": spreads, "ratio": ahead,
        "difference_max": difference, "rows_compared": len(listed), "contestants": names, "note": NOTE,
    }  # fmt: skip


def check(scorer: Scorer, stock: Stock, rows: Sequence[Sequence[float]]) -> float:
    """The largest difference of raw scores and calibrated probabilities. Raises SofiaError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        worst = 0.0
        for row in rows:
            found = scorer.score(row)
            worst = max(
                worst, abs(found.calibrated - stock.score(row)), abs(found.raw - float(stock.raw(np.array([row]))[0]))
            )
    if not worst <= TOLERANCE:
        raise SofiaError(f"scoring: expected the stock objects' result to {TOLERANCE}, found {worst} apart")
    return worst


def _timed(score: Callable[[Sequence[float]], Any], rows: Sequence[Sequence[float]], count: int) -> dict[str, float]:
    took_ns, clock = [], time.perf_counter_ns
    for row in rows[:100]:
        score(row)
    for number in range(count):
        row = rows[number % len(rows)]
        began_ns = clock()
        score(row)
        took_ns.append(clock() - began_ns)
    shares = quantiles(took_ns, n=100)
    return {"p50": shares[49] / 1e3, "p99": shares[98] / 1e3}


_ALONE = """
import hashlib
from bench.scoring import Stock, data
made = data(5_000)
stock = Stock(made.inputs, made.labels)
print(hashlib.sha256(stock.trees.booster_.model_to_string().encode()).hexdigest())
print(hashlib.sha256(stock.trees.booster_.predict(made.inputs, num_threads=1).tobytes()).hexdigest())
"""


def deterministic(say: Callable[[str], None], *, processes: int = 2) -> dict[str, Any]:
    """Whether LightGBM with one thread trains the same text and predicts the same bytes in each of some processes."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = []
    for number in range(processes):
        say(f"training in process {number + 1} of {processes}")
        done = subprocess.run(
            [sys.executable, "-c", _ALONE], cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=600
        )
        if done.returncode:
            raise SofiaError(f"training: expected it to end well, found {done.stderr[-2000:]}")
        found.append(done.stdout.split())
    model, predictions = ({one[place] for one in found} for place in (0, 1))
    return {
        "processes": processes, "same_text": len(model) == 1, "same_predictions": len(predictions) == 1,
        "text_sha256": sorted(model), "predictions_sha256": sorted(predictions),
    }  # fmt: skip
