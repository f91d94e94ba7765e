"""The record of a report: made of a run, thinned, warned about, written and read again."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_runs import BEGIN_NS, made

from sofia_streams.core.oms.recorded import recorded
from sofia_streams.core.oms.rules import Rules
from sofia_streams.errors import NotWritten
from sofia_streams.model import NS_PER_DAY
from sofia_streams.ops.report import making as reports
from sofia_streams.ops.report.records import Report, Sweep, SweepTrial

HOLD = [(BEGIN_NS + day * NS_PER_DAY, 50.0 + day) for day in range(41)]


@pytest.fixture(scope="module")
def run():
    return made(40 * 1440, every=400, said_every=20)


def swept(count):
    return Sweep([SweepTrial({"n": str(n)}, 0.01 * n, 0.02 * n, -0.1, 5) for n in range(count)], count - 1)


def test_what_is_written_is_read_again_the_same(tmp_path, run):
    traded, prices = run
    found = reports.make_report(
        traded, title="Ours", prices=prices, rules=recorded(Rules(), (), ()), sweep=swept(3),
        baselines=[reports.make_baseline("hold", HOLD)],
    )  # fmt: skip
    files = reports.write_report(found, tmp_path / "new" / "folder")
    assert [one.name for one in files] == ["report.json", "report.html"]
    assert msgspec.json.decode(files[0].read_bytes(), type=Report) == found
    assert files[1].read_text().startswith("<!DOCTYPE html>")
    assert sorted(one.name for one in files[0].parent.iterdir()) == ["report.html", "report.json"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path, run):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotWritten, match="expected to write it"):
        reports.write_report(reports.make_report(run[0], title="", prices={}), tmp_path / "file" / "folder")


def test_curves_end_where_the_statistics_say(run):
    traded, prices = run
    found = reports.make_report(traded, title="Ours", prices=prices)
    assert found.equity[0][1] == 10_000.0
    assert found.equity[-1] == (found.until_ns, pytest.approx(found.statistics.end_quote, rel=1e-9))
    assert min(depth for _, depth in found.drawdown) == found.statistics.drawdown.depth
    assert sum(len(one.marks) for one in found.charts) == len(traded.fills) == found.statistics.costs.fills
    assert len(found.equity) <= 2 * reports.BUCKETS + 2 < len(traded.accounts)
    assert [one.purpose for one in found.charts[0].marks[:2]] == ["entry", "exit"]


def test_a_baseline_has_the_figures_of_its_own_values():
    found = reports.make_baseline("hold", [(0, 50.0), (NS_PER_DAY, 60.0), (2 * NS_PER_DAY, 45.0)])
    assert (found.total_return, found.max_drawdown, found.sharpe) == (pytest.approx(-0.1), pytest.approx(-0.25), None)
    assert reports.make_baseline("hold", HOLD).sharpe > 10
    assert reports.make_baseline("flat", [(at, 5.0) for at, _ in HOLD]).sharpe is None


def test_more_fills_than_a_chart_can_show_are_counted(monkeypatch, run):
    monkeypatch.setattr(reports, "MARKS_MAX", 7)
    monkeypatch.setattr(reports, "TRIPS_MAX", 5)
    found = reports.make_report(run[0], title="Ours", prices=run[1])
    assert [len(one.marks) for one in found.charts] == [7, 7]
    assert sum(one.left_out for one in found.charts) == len(run[0].fills) - 14
    assert len(found.trips) == 5
    assert found.trips_left_out == found.statistics.trips.count - 5


def test_rules_are_named_by_their_place():
    found = recorded(Rules(), (), ())
    assert found["costs.latency_ns"] == "1250000000"
    assert found["limits.daily_loss"] == "0.02"
    assert found["venues"] == "binance okx coinbase bybit"


@given(st.lists(st.tuples(st.integers(1, 10**15), st.floats(-1e9, 1e9)), max_size=300), st.integers(1, 20))
def test_thinned_points_are_some_of_them_in_order_with_ends_and_extremes(steps, buckets):
    at_ns, points = 0, []
    for step, value in steps:
        at_ns += step
        points.append((at_ns, value))
    found = reports.thinned(points, buckets)
    assert len(found) <= 2 * buckets + 2
    assert found == [one for one in points if one in set(found)]
    if points:
        assert (found[0], found[-1]) == (points[0], points[-1])
        values, kept = [one for _, one in points], [one for _, one in found]
        assert (min(kept), max(kept)) == (min(values), max(values))
