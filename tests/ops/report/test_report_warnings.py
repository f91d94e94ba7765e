"""What stands on top of a report, each where it is due and nowhere else."""

from decimal import Decimal

import msgspec
import pytest
from report_runs import BEGIN_NS, made

from sofia_streams.model import NS_PER_DAY
from sofia_streams.ops.report.making import make_baseline, make_report
from sofia_streams.ops.report.records import Sweep, SweepTrial


@pytest.fixture(scope="module")
def run():
    return made(35 * 1440, every=500, said_every=60)


def warned(run, **options):
    return make_report(run[0], title="Ours", prices=run[1], **options).warnings


def about(word, found):
    return [one for one in found if word in one]


def test_synthetic_data_stands_first_and_behind_what_the_caller_says(run):
    assert warned(run, is_synthetic=True)[0].startswith("SYNTHETIC")
    assert warned(run, is_synthetic=True, warnings=["first"])[:2] == ["first", warned(run, is_synthetic=True)[0]]
    assert not about("SYNTHETIC", warned(run))


def test_a_fill_that_is_synthetic_says_so_by_itself(run):
    fills = [msgspec.structs.replace(run[0].fills[0], is_synthetic=True), *run[0].fills[1:]]
    found = make_report(run[0]._replace(fills=fills), title="Ours", prices={})
    assert found.is_synthetic
    assert found.warnings[0].startswith("SYNTHETIC")


def test_many_trials_are_said_with_what_luck_gives(run):
    trials = [SweepTrial({"n": str(n)}, 0.1, 0.05 * n, -0.1, 5) for n in range(20)]
    (said,) = about("settings were tried", warned(run, sweep=Sweep(trials, 19)))
    assert said.startswith("20 settings were tried")
    assert "deflated Sharpe" in said
    assert "take it for luck" in said
    assert not about("tried", warned(run, sweep=Sweep(trials[:1], 0)))
    (short,) = about("tried", make_report(made(60)[0], title="", prices={}, sweep=Sweep(trials, 19)).warnings)
    assert "too few returns" in short


def test_a_short_time_and_few_trips_are_said(run):
    assert about("2 daily returns", make_report(made(2 * 1440, said_every=60)[0], title="", prices={}).warnings)
    assert about("35 days are one kind of market", warned(run))
    few = make_report(made(300)[0], title="", prices={})
    assert 0 < few.statistics.trips.count < 30
    assert about(f"Few: {few.statistics.trips.count} closed round trips", few.warnings)
    assert not about("Few", warned(run))


def test_a_sharpe_that_may_be_0_is_said(run):
    near = make_report(run[0], title="", prices={}).statistics.intervals["sharpe"]
    assert bool(about("may be chance", warned(run))) == (near.low <= 0 <= near.high)


def test_a_better_baseline_is_named(run):
    points = [(BEGIN_NS, 1.0), (BEGIN_NS + 35 * NS_PER_DAY, 9.0)]
    worse = make_baseline("nothing", [(at, 10 - worth) for at, worth in points])
    found = warned(run, baselines=[make_baseline("buy and hold", points), worse])
    (said,) = about("less than", found)
    assert "buy and hold (+800.00 %)" in said
    assert "nothing" not in said


def test_a_halt_and_open_positions_at_the_end_are_said(run):
    last = msgspec.structs.replace(run[0].accounts[-1], state="HALTED", reason="DRAWDOWN: 11 %")
    stopped = (run[0]._replace(accounts=[*run[0].accounts[:-1], last]), run[1])
    assert about("Trading ended HALTED: DRAWDOWN: 11 %.", warned(stopped))
    assert not about("Trading ended", warned(run))
    bought = next(one for one in run[0].fills if one.side == "buy")
    assert about("One position is still open", warned((run[0]._replace(fills=[bought]), run[1])))


def test_costs_above_what_trading_made_are_said(run):
    bought = next(one for one in run[0].fills if one.side == "buy")
    dear, price = bought.quantity * 3, bought.price + 1
    sold = msgspec.structs.replace(bought, fill_id="s", side="sell", price=price, decision_mid=price, fee_quote=dear)
    assert about("Costs took more", warned((run[0]._replace(fills=[bought, sold]), run[1])))
    free = msgspec.structs.replace(sold, fee_quote=Decimal(0))
    gift = msgspec.structs.replace(bought, fee_quote=Decimal(0))
    assert not about("Costs took more", warned((run[0]._replace(fills=[gift, free]), run[1])))
