"""A report on a paper account or a backtest: made of what a run wrote, and written as JSON and as one page.

Curves are thinned to what a page can show, extremes kept; statistics are of everything. What it does not do: load data,
run a backtest, draw (`page`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from sofia_streams import codec
from sofia_streams.core.performance import equity, ratios
from sofia_streams.core.performance.drawdown import drawdowns, max_drawdown
from sofia_streams.core.performance.equity import PERIODS_PER_YEAR, Calendar, Value
from sofia_streams.core.performance.resampling import Interval
from sofia_streams.core.performance.summary import RETURNS_MIN, tell
from sofia_streams.files import make_folder, whole
from sofia_streams.ops.report import caveats, page
from sofia_streams.ops.report.charts import Points
from sofia_streams.ops.report.records import Baseline, Chart, Mark, Report, Sweep
from sofia_streams.paper import Account, Fill, Order

BUCKETS = 600
"""Of a curve; each keeps its lowest and highest point."""
MARKS_MAX, TRIPS_MAX = 1_200, 1_000
"""Fills marked on a symbol's chart, and round trips listed; what is beyond is counted."""


class Run(NamedTuple):
    """What a run wrote, each in order of time, from where the account was flat."""

    accounts: Sequence[Account]
    fills: Sequence[Fill]
    orders: Sequence[Order]


def make_report(
    run: Run,
    *,
    title: str,
    prices: Mapping[str, Points],
    currency: str = "USDT",
    rules: Mapping[str, str] | None = None,
    baselines: Sequence[Baseline] = (),
    sweep: Sweep | None = None,
    warnings: Sequence[str] = (),
    is_synthetic: bool = False,
    calendar: Calendar = "crypto",
    seed: int = 1,
) -> Report:
    """The report of a run; `prices` are (start_ns, close) by symbol, `warnings` stand before those found here.

    Raises ValueError without an account record.
    """
    summed = None if sweep is None else sweep.summed()
    told = tell(*run, calendar=calendar, trials=summed, seed=seed)
    equity_curve, fall = _curves(told.values)
    is_synthetic = is_synthetic or any(one.is_synthetic for one in run.fills)
    found = caveats.warnings(told.statistics, run.accounts[-1], baselines, summed, is_synthetic=is_synthetic)
    return Report(
        title=title,
        currency=currency,
        from_ns=told.values[0].at_ns,
        until_ns=told.values[-1].at_ns,
        warnings=[*warnings, *found],
        is_synthetic=is_synthetic,
        rules=dict(rules or {}),
        statistics=told.statistics,
        equity=equity_curve,
        drawdown=fall,
        baselines=list(baselines),
        sweep=sweep,
        charts=_charts(run, prices),
        trips=told.trips[-TRIPS_MAX:],
        trips_left_out=max(0, len(told.trips) - TRIPS_MAX),
    )


def make_baseline(
    name: str, points: Points, *, note: str = "", spread: Interval | None = None, calendar: Calendar = "crypto"
) -> Baseline:
    """From (at_ns, worth) in order of time, in any unit; the first is the start and must be above 0."""
    first = points[0][1]
    values = [Value(at_ns, worth, worth / first) for at_ns, worth in points]
    returns = equity.returns(equity.daily(values, calendar))
    sharpe = ratios.sharpe(returns, PERIODS_PER_YEAR[calendar]) if len(returns) >= RETURNS_MIN else None
    index = [(one.at_ns, one.growth) for one in values]
    worst = max_drawdown(equity.returns(values))
    return Baseline(name, thinned(index), index[-1][1] - 1.0, sharpe, worst, note, spread)


def headline(report: Report) -> dict[str, object]:
    """The main figures by name, as commands print them; fractions, and money in the report's currency."""
    told = report.statistics
    return {
        "total_return": told.total_return, "sharpe": told.ratios.sharpe, "sharpe_deflated": told.ratios.sharpe_deflated,
        "max_drawdown": told.drawdown.depth, "round_trips": told.trips.count, "win_rate": told.trips.win_rate,
        "profit_factor": told.trips.profit_factor, "fees": told.costs.fees_quote, "orders": told.orders.count,
        "fills": told.costs.fills, "end_equity": told.end_quote, "currency": report.currency,
        "is_synthetic": report.is_synthetic, "warnings": report.warnings,
    }  # fmt: skip


def thinned(points: Points, buckets: int = BUCKETS) -> list[tuple[int, float]]:
    """At most 2 * `buckets` + 2 of the points, in order: lowest and highest of each stretch of time, and the ends."""
    if len(points) <= 2 * buckets + 2:
        return list(points)
    from_ns, span = points[0][0], max(1, points[-1][0] - points[0][0] + 1)
    kept = [(0, points[0]), (len(points) - 1, points[-1])]
    numbered = enumerate(points)
    for _, some in groupby(numbered, key=lambda one: (one[1][0] - from_ns) * buckets // span):
        bucket = list(some)
        kept += [min(bucket, key=lambda one: one[1][1]), max(bucket, key=lambda one: one[1][1])]
    return [point for _, point in sorted(dict(kept).items())]


def _curves(values: Sequence[Value]) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    fall = drawdowns(one.growth for one in values)
    worth = [(one.at_ns, values[0].equity * one.growth) for one in values]
    return thinned(worth), thinned([(one.at_ns, depth) for one, depth in zip(values, fall, strict=True)])


def _charts(run: Run, prices: Mapping[str, Points]) -> list[Chart]:
    purposes = {one.order_id: one.purpose for one in run.orders}
    marks: dict[str, list[Mark]] = {symbol: [] for symbol in prices}
    for one in run.fills:
        marks.setdefault(one.symbol, []).append(
            Mark(
                one.at_ns, one.side, one.price, one.quantity, one.realised_quote, one.fee_quote,
                purposes.get(one.order_id, ""),
            )
        )  # fmt: skip
    return [
        Chart(symbol, thinned(prices.get(symbol, ())), _spread(some), max(0, len(some) - MARKS_MAX))
        for symbol, some in marks.items()
    ]


def _spread(marks: list[Mark]) -> list[Mark]:
    """At most MARKS_MAX of them, evenly over their number."""
    count = min(len(marks), MARKS_MAX)
    return [marks[at * len(marks) // count] for at in range(count)]


def write_report(report: Report, folder: Path) -> list[Path]:
    """report.json and report.html in `folder`, which is made. Raises NotWritten."""
    make_folder(folder)
    texts = {"report.json": codec.encode(report), "report.html": page.page(report).encode()}
    for name, text in texts.items():
        with whole(folder / name) as partial:
            partial.write_bytes(text)
    return [folder / name for name in texts]
