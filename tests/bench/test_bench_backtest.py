"""`bench backtest` on a day of bars: figures follow from runs, orders are placed, who is missing has no figure."""

import json
import subprocess
import sys

import numpy as np
import pytest

from bench import backtest, backtest_data
from bench.environments import ROOT, Unavailable
from sofia_streams.core.scoring.trees import Trees
from sofia_streams.model import NS_PER_DAY

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def generated():
    """Also where the real month is there: a test is the same everywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backtest_data, "REAL", ROOT / "nothing")
        yield backtest_data.load(2, 1)


def test_copies_follow_each_other_without_a_hole(generated):
    starts = {}
    for one in generated.seen:
        starts.setdefault(one.symbol, []).append(one.start_ns)
    assert len(starts) == 3
    for found in starts.values():
        assert np.unique(np.diff(found)).tolist() == [60 * 10**9]
        assert found[-1] - found[0] == 2 * NS_PER_DAY - 60 * 10**9


def test_everything_inline_scores_and_trades(generated):
    found = backtest.inline(generated, 1)
    assert found["orders"] > 20 and found["fills"] >= found["orders"] / 2
    assert found["met"] is (found["bars_per_s"]["median"] >= 20_000)


def test_ready_features_are_scored_and_traded_and_a_missing_peer_is_said(generated, monkeypatch):
    def missing(name, say):
        raise Unavailable(f"{name} could not be installed")

    monkeypatch.setattr(backtest, "python_of", missing)
    said = []
    found = backtest.scored(generated, 1, said.append)
    assert found["orders"] > 20
    assert found["skipped"] == {"backtesting.py": "backtesting could not be installed"}
    assert "ratio" not in found and any("skipped" in one for one in said)


def test_the_model_of_ready_features_is_the_same_for_both(generated, tmp_path):
    made = backtest_data.ready(generated.seen)
    backtest_data.write(tmp_path, generated.seen, made)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "BTCUSDT.npy", "ETHUSDT.npy", "SOLUSDT.npy", "model.txt",
    ]  # fmt: skip
    columns = np.load(tmp_path / "BTCUSDT.npy")
    assert columns.shape == (2 * 1_440, 5 + 10)
    assert columns[:, 5:].tolist() == made.rows["BTC/USDT"].tolist()
    scores = {Trees((tmp_path / "model.txt").read_text(), 10).at(row) for row in columns[100:200, 5:].tolist()}
    assert len(scores) > 50


def test_so_many_orders_are_placed_as_were_asked_for():
    done = subprocess.run(
        [sys.executable, "-m", "bench.backtest_orders", "300", "1", "1", "keep"], cwd=ROOT, capture_output=True,
        text=True, check=True, timeout=120,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert found["signalled"] == 300 and found["orders"] == 300 and found["fills"] >= 290
    assert found["cpu_s"] > 0 and found["after_mb"] >= found["before_mb"] > 50


def test_costs_are_told_from_runs(monkeypatch):
    def child(count, copies, days, *, keeps):
        return {"cpu_s": 2.0 + count * 5e-5, "before_mb": 100.0, "after_mb": 100.0 + (count * 2e-3 if keeps else 1.0)}

    monkeypatch.setattr(backtest, "_child", child)
    found = backtest.orders(lambda _: None, 1, 1)
    assert found["us_an_order"] == {"10000": 50.0, "100000": 50.0} and found["cost_ratio"] == 1.0
    assert found["memory_mb_grown"] == {"0": 1.0, "10000": 1.0, "100000": 1.0}
    assert found["kept_bytes_an_order"] == round(2e-3 * 2**20)
