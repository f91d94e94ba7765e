"""Backtests as a whole: walk-forward on generated bars, no look at the future, baselines and sweeps, loud warnings."""

import pytest
from tested_bars import SETS, UNTIL_NS, WALK, bars, quiet, settings

from sofia_streams.core.signals.steps import Steps
from sofia_streams.errors import ConfigError
from sofia_streams.model import NS_PER_HOUR, NS_PER_MINUTE
from sofia_streams.ops.backtest.bars import windows
from sofia_streams.ops.backtest.models import overlap
from sofia_streams.ops.backtest.one_pass import Trial, run
from sofia_streams.ops.backtest.run import Asked, backtest
from sofia_streams.ops.backtest.sweep import axis_of, best, combinations, with_values
from sofia_streams.ops.backtest.walk import walked
from sofia_streams.ops.report.records import SweepTrial
from sofia_streams.paper_rules import paper_rules
from sofia_streams.training.fitting.run import run as train
from sofia_streams.training.registry import Registry

pytestmark = pytest.mark.slow

ASKED = Asked("1m", walk=WALK, draws=2)


@pytest.fixture(scope="module")
def tested(tmp_path_factory):
    return backtest(bars(), settings(tmp_path_factory.mktemp("data")), ASKED, quiet)


def test_a_walk_forward_trades_and_is_judged_beside_baselines(tested):
    told = tested.report.statistics
    assert told.trips.count > 100
    assert told.costs.fills == sum(1 for chart in tested.report.charts for _ in chart.marks) + sum(
        chart.left_out for chart in tested.report.charts
    )
    assert [one.name for one in tested.report.baselines] == ["buy and hold", "random entries"]
    assert tested.report.baselines[1].spread is not None
    assert tested.bars == 2 * 2_900 and tested.bars_per_s > 0
    assert "walk-forward" in tested.models and tested.report.is_synthetic


def test_the_period_begins_with_the_first_model(tested):
    assert any("The period begins" in one for one in tested.report.warnings)
    assert "no model" not in tested.outcomes
    assert set(tested.outcomes) <= {name for name in tested.outcomes if name.startswith("forward-")}


def test_the_same_backtest_says_the_same(tested, tmp_path):
    again = backtest(bars(), settings(tmp_path), ASKED, quiet)
    assert again.report == tested.report


def traded(seen):
    """(activations, fills, orders) of a walk over these bars."""
    span = seen[0].start_ns, max(one.start_ns for one in seen) + NS_PER_MINUTE
    chosen = walked(seen, SETS, WALK, span, quiet, is_synthetic=True)
    trial = Trial(paper_rules(settings(".")), {})
    steps = Steps(SETS, chosen.load, confidence_min=0.0)
    run(windows(seen, SETS, venue="binance", market="spot"), steps, chosen.activations, [trial])
    return chosen.activations, trial.written.fills, trial.written.orders()


@pytest.mark.parametrize("cut_bars", [1, 37, 400, 700])
def test_cutting_the_future_changes_nothing_before(cut_bars):
    seen = bars().seen
    cut_ns = UNTIL_NS - cut_bars * NS_PER_MINUTE
    activations, fills, orders = traded(seen)
    before = traded([one for one in seen if one.start_ns + NS_PER_MINUTE <= cut_ns])
    assert [one for one in activations if one.from_ns < cut_ns] == before[0]
    assert [one for one in fills if one.at_ns < cut_ns] == [one for one in before[1] if one.at_ns < cut_ns] != []
    decided = [(one.order_id, one.quantity, one.created_ns) for one in orders if one.created_ns < cut_ns]
    assert decided == [(one.order_id, one.quantity, one.created_ns) for one in before[2] if one.created_ns < cut_ns]


def test_no_model_scores_before_its_data_is_over_and_its_labels_could_be_known():
    seen = bars().seen
    chosen = walked(seen, SETS, WALK, (seen[0].start_ns, UNTIL_NS), quiet, is_synthetic=True)
    assert len(chosen.activations) >= 2
    for one in chosen.activations:
        known_ns = chosen.models[one.model_id].document.trained_until_ns
        assert one.from_ns == one.said_ns >= known_ns + 3 * NS_PER_MINUTE
        assert one.from_ns - known_ns < 10 * NS_PER_MINUTE
        assert known_ns - chosen.models[one.model_id].document.trained_from_ns <= 24 * NS_PER_HOUR


def test_too_little_data_for_any_model_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="at least one model of a walk-forward"):
        backtest(bars(1_000), settings(tmp_path), ASKED, quiet)


def test_baselines_pay_the_same_fees(tmp_path):
    found = backtest(bars(), settings(tmp_path, paper_fees=("binance=50/50",)), ASKED, quiet)
    free = backtest(bars(), settings(tmp_path, paper_fees=("binance=0/0",)), ASKED, quiet)
    assert found.report.statistics.costs.fees_bps == pytest.approx(50.0, rel=1e-6)
    for dear, cheap in zip(found.report.baselines, free.report.baselines, strict=True):
        assert dear.total_return < cheap.total_return
    held = [one.report.baselines[0].total_return for one in (free, found)]
    size = float(settings(tmp_path).paper_size_pct) / 100
    assert held[0] - held[1] == pytest.approx(2 * size * 0.005, rel=0.02)  # two buys, 50 bps each


def test_what_cannot_be_bought_is_not_asked_for_without_end(tmp_path):
    asked = ASKED._replace(axes=[axis_of("PAPER_ORDER_NOTIONAL_MAX=1")], draws=1)
    found = backtest(bars(), settings(tmp_path), asked, quiet)
    assert found.report.statistics.costs.fills == 0
    assert set(found.report.statistics.orders.rejections) == {"NOTIONAL_EXCEEDS_MAXIMUM"}
    assert [(one.name, one.total_return) for one in found.report.baselines] == [("buy and hold", 0.0)]


def a_model(folder):
    stored, _ = train(bars(), WALK.order, Registry(folder / "models"), quiet)
    return stored.document


def test_a_model_that_has_seen_the_period_is_used_with_a_loud_warning(tmp_path):
    document = a_model(tmp_path)
    found = backtest(bars(), settings(tmp_path), Asked("1m", draws=0), quiet)
    assert any("LOOKS AHEAD" in one and document.model_id in one for one in found.report.warnings)
    assert any("was not chosen at that time" in one for one in found.report.warnings)
    assert document.model_id in found.models and document.model_id in found.outcomes
    named = backtest(bars(), settings(tmp_path), Asked("1m", model_id=document.model_id, draws=0), quiet)
    assert named.report.statistics == found.report.statistics
    assert any("LOOKS AHEAD" in one for one in named.report.warnings)


def test_a_model_of_another_time_gets_no_warning(tmp_path):
    document = a_model(tmp_path)
    end_ns = document.trained_until_ns
    assert overlap(document, (end_ns, end_ns + NS_PER_HOUR)) == []
    assert "after this period" in overlap(document, (0, document.trained_from_ns))[0]
    assert "50%" in overlap(document, (end_ns - NS_PER_HOUR, end_ns + NS_PER_HOUR))[0]


def test_without_any_model_the_way_out_is_said(tmp_path):
    with pytest.raises(ConfigError, match="--walk-forward"):
        backtest(bars(), settings(tmp_path), Asked("1m"), quiet)


def test_a_sweep_tries_all_and_says_what_the_best_of_many_is_worth(tmp_path):
    asked = ASKED._replace(axes=[axis_of("PAPER_TIME_EXIT_BARS=2,9"), axis_of("ai_min_signal_confidence=0.52,0.56")])
    found = backtest(bars(), settings(tmp_path), asked._replace(draws=0), quiet)
    sweep = found.report.sweep
    assert len(sweep.trials) == 4 and len({one.round_trips for one in sweep.trials}) == 4
    assert found.report.statistics.trips.count == sweep.trials[sweep.chosen].round_trips
    assert found.report.statistics.trials == 4
    assert any("4 settings were tried" in one for one in found.report.warnings)
    values = sweep.trials[sweep.chosen].settings
    alone = backtest(bars(), with_values(settings(tmp_path), values), ASKED._replace(draws=0), quiet)
    assert alone.report.statistics.end_quote == found.report.statistics.end_quote


@pytest.mark.parametrize("text", ["", "PAPER_SIZE_PCT", "PAPER_SIZE_PCT=", "PAPER_NOTHING=1", "BROKER_URL=a,b"])
def test_what_is_no_setting_of_paper_trading_is_not_swept(text):
    with pytest.raises(ConfigError, match="--sweep: expected NAME=a,b,c"):
        axis_of(text)


def test_combinations_are_bounded_and_values_checked(tmp_path):
    assert combinations([]) == [{}]
    assert len(combinations([("A", ["1", "2"]), ("B", ["3", "4", "5"])])) == 6
    with pytest.raises(ConfigError, match="once"):
        combinations([("A", ["1"]), ("A", ["2"])])
    with pytest.raises(ConfigError, match="at most 200"):
        combinations([("A", ["1"] * 201)])
    with pytest.raises(ConfigError, match=r"PAPER_SIZE_PCT.*'nine'"):
        with_values(settings(tmp_path), {"PAPER_SIZE_PCT": "nine"})


def test_the_best_has_the_highest_sharpe_then_return():
    def tried(sharpe, total):
        return SweepTrial({}, total, sharpe, 0.0, 1)

    assert best([tried(0.1, 0.0), tried(0.3, 0.0), tried(None, 9.0)]) == 1
    assert best([tried(None, 0.1), tried(None, 0.2), tried(None, 0.2)]) == 1


def test_pairs_in_another_currency_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"PAPER_CURRENCY.*BTC/USDT"):
        backtest(bars(), settings(tmp_path, paper_currency="EUR"), ASKED, quiet)


def test_a_period_without_bars_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="between --from and --to"):
        backtest(bars(), settings(tmp_path), ASKED._replace(from_ns=UNTIL_NS + 1), quiet)
