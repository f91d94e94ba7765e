"""`bench signals`: who differs has no figure, what is scored counts as scored, bars are judged as they are printed."""

import numpy as np
import pytest

from bench import indicators, scoring, signals, signals_table
from bench.indicators import WARM_BARS, Ours, walk
from bench.peers.indicators import Eight, River, TaLib
from sofia_streams.core.scoring.scorer import Scorer
from sofia_streams.errors import DependencyDown, SofiaError
from sofia_streams.model import NS_PER_SECOND
from sofia_streams.training.registry import Registry

pytest.importorskip("talib", reason="needs TA-Lib, a development dependency")
pytest.importorskip("river", reason="needs river, a development dependency")
CANDLES = walk(WARM_BARS + 300)


@pytest.fixture(scope="module")
def stock():
    made = scoring.data(2_000)
    return scoring.Stock(made.inputs, made.labels), made


def test_generated_bars_are_the_same_every_time_and_possible():
    assert walk(50) == walk(50) != walk(50, seed=2)
    for one in CANDLES:
        assert one.low <= min(one.open, one.close) <= max(one.open, one.close) <= one.high
        assert 0.0 < one.buy_volume < one.volume


@pytest.mark.parametrize("make", [River, TaLib])
def test_contestants_give_the_same_eight_as_ours(make):
    assert 0.0 < indicators.check(make.name, make, CANDLES) <= indicators.TOLERANCE


@pytest.mark.parametrize("field", Eight._fields)
def test_one_that_differs_in_any_of_them_is_refused(field):
    class Off(TaLib):
        def update(self, candle):
            found = Eight(*super().update(candle))
            return found._replace(**{field: getattr(found, field) + candle.close * 1e-5})

    with pytest.raises(SofiaError, match=f"expected {field}"):
        indicators.check("off", Off, CANDLES)


def test_one_that_gives_no_number_is_refused():
    class Nan(TaLib):
        def update(self, candle):
            return tuple(Eight(*super().update(candle))._replace(rsi_14=float("nan")))

    with pytest.raises(SofiaError, match="expected rsi_14"):
        indicators.check("nan", Nan, CANDLES)


def test_ours_finds_its_eight_among_what_it_gives():
    ours = Ours(CANDLES[:WARM_BARS])
    values = ours.update(CANDLES[WARM_BARS])
    found = dict(zip(Eight._fields, (values[place] for place in ours.places), strict=True))
    closes = np.array([one.close for one in CANDLES[: WARM_BARS + 1]])
    assert found["sma_20"] == pytest.approx(closes[-20:].mean(), rel=1e-12)
    assert found["bb_upper"] - found["bb_lower"] == pytest.approx(4 * closes[-20:].std(), rel=1e-9)


def test_a_round_of_indicators_says_who_was_how_fast():
    found = indicators.run(lambda _: None, rounds=2, bars=300)
    assert set(found["us_a_bar"]) == {"sofia", "river", "talib"} and found["skipped"] == {}
    for one in [*found["us_a_bar"].values(), *found["sets_us_a_bar"].values()]:
        assert 0.0 < one["min"] <= one["median"] <= one["max"] and one["rounds"] == 2
    ours, theirs = found["us_a_bar"]["sofia"]["median"], found["us_a_bar"]["river"]["median"]
    assert found["ratio"]["river"] == pytest.approx(theirs / ours, rel=0.01)


def test_a_contestant_that_is_not_installed_is_skipped_with_its_reason(monkeypatch):
    def missing(history):
        raise ImportError("No module named 'river'")

    monkeypatch.setitem(indicators._PEERS, "river", missing)
    found = indicators.run(lambda _: None, rounds=1, bars=100)
    assert "river" in found["skipped"]["river"] and "river" not in found["us_a_bar"]


def test_our_scorer_and_the_stock_objects_are_one_model(stock):
    objects, made = stock
    rows = made.inputs[-64:]
    scorer = Scorer(*objects.document(made.names, rows))
    assert scoring.check(scorer, objects, rows.tolist()) <= scoring.TOLERANCE
    assert len({scorer.score(row).calibrated for row in rows.tolist()}) > 5


def test_a_scorer_of_another_model_is_refused(stock):
    objects, made = stock
    rows = made.inputs[-64:]
    other = scoring.Stock(made.inputs, 1 - made.labels)
    with pytest.raises(SofiaError, match="expected the stock objects' result"):
        scoring.check(Scorer(*other.document(made.names, rows)), objects, rows.tolist())


def test_timing_gives_the_quantiles_of_calls():
    calls = []
    found = scoring._timed(calls.append, [[1.0], [2.0]], 500)
    assert len(calls) == 502 and calls[-1] == [2.0]
    assert 0.0 < found["p50"] <= found["p99"]


def test_a_model_for_seconds_is_stored_and_scores(tmp_path, monkeypatch):
    monkeypatch.setattr(signals, "data", lambda **how: scoring.data(2_000, **how))
    stored = signals.trained(Registry(tmp_path))
    assert stored.document.size_ns == NS_PER_SECOND and stored.document.is_synthetic
    assert set(stored.document.members) == {"lightgbm", "logistic"}
    assert Registry(tmp_path).load(stored.document.model_id, stored.sha256).scorer()
    assert signals.trained(Registry(tmp_path), 2).document.model_id != stored.document.model_id


def test_what_is_scored_counts_as_scored():
    assert signals.scored_share({}) == 0.0
    assert signals.scored_share({"not ready": 3, "gap": 1}) == 0.0
    assert signals.scored_share({"up": 2, "down": 1, "not up": 3, "stale": 2}) == 0.75


async def test_waiting_ends_when_most_bars_are_scored(monkeypatch):
    monkeypatch.setattr(signals, "_LOOK_EVERY_S", 0.0)
    looks = iter([{"not ready": 9}, {"not ready": 12}, {"not ready": 14, "up": 1}, {"not ready": 14, "up": 4}, {}])
    await signals.until_scored(lambda: next(looks))
    assert next(looks) == {}


async def test_waiting_for_bars_that_are_never_scored_says_what_was_found(monkeypatch):
    monkeypatch.setattr(signals, "_LOOK_EVERY_S", 0.0)
    with pytest.raises(DependencyDown, match="'no model': 4"):
        await signals.until_scored(lambda: {"no model": 4}, within_s=0.05)


def a_live(p95, p99=200.0):
    timed = {"records": 180.0, "p50": 50.0, "p95": p95, "p99": p99}
    return {
        "latency_ms": {"applied": timed, "predicted": timed, "bar_to_prediction": timed},
        "predictions": {"up": 3, "gap": 1},
    }


def test_a_run_without_timed_predictions_has_no_figure():
    with pytest.raises(DependencyDown, match="found the stages applied"):
        signals.judged({"latency_ms": {"applied": {"records": 5.0}}, "predictions": {}})
    empty = {**a_live(1.0)["latency_ms"], "predicted": {"records": 0.0}}
    with pytest.raises(DependencyDown, match="timed predictions"):
        signals.judged({**a_live(1.0), "latency_ms": empty})


@pytest.mark.parametrize(("p95", "met"), [(149.9, "yes"), (150.0, "no")])
def test_the_table_says_whether_a_bar_was_met(p95, met):
    found = signals_table.rows({"live": signals.judged(a_live(p95))})
    assert [row["met"] for row in found if row["bar"] == "< 150"] == [met]
    assert [row["max"] for row in found if row["figure"].startswith("bars timed")] == [0.75]


def test_the_table_has_every_part(stock):
    spread = {"median": 4.0, "min": 3.0, "max": 5.0, "rounds": 3}
    slow = {key: value * 200 if key != "rounds" else value for key, value in spread.items()}
    parts = {
        "scoring": {
            "contestants": {"sofia": "Sofia", "sklearn": "stock"}, "ratio": {"p50": 200.0, "p99": 9.0},
            "us_a_row": {"sofia": {"p50": spread, "p99": spread}, "sklearn": {"p50": slow, "p99": slow}},
            "difference_max": 1e-16, "rows_compared": 512,
        },
        "indicators": {
            "contestants": {"sofia": "Sofia", "river": "river"}, "ratio": {"river": 0.9},
            "us_a_bar": {"sofia": spread, "river": spread}, "sets_us_a_bar": {"base": spread},
        },
        "training": {"processes": 2, "same_text": True, "same_predictions": False},
    }  # fmt: skip
    found = {row["figure"]: row for row in signals_table.rows(parts)}
    assert found["times ahead of scikit-learn, p50"]["met"] == "yes"
    assert found["times ahead of scikit-learn, p99"]["met"] == "no"
    assert found["times ahead of river"]["met"] == "no"
    assert found["Sofia: eight indicators, µs a bar"]["met"] == "no"
    assert found["LightGBM, one thread, 2 processes: same predictions"]["met"] == "no"
    assert len({*map(tuple, found.values())}) == 1  # the same columns in each row


@pytest.mark.slow
def test_lightgbm_with_one_thread_trains_the_same_model_in_every_process():
    found = scoring.deterministic(lambda _: None)
    assert found["same_text"] and found["same_predictions"]
    assert found["processes"] == 2 and len(found["text_sha256"][0]) == 64
