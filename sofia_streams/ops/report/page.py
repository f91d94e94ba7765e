"""A report as one HTML page that needs nothing else: inline SVG, no script, light or dark as the reader's system.

Everything that comes from a report is escaped. What it does not do: compute, write files (`making`).
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from sofia_streams.model import NS_PER_DAY
from sofia_streams.ops.report import charts, tables
from sofia_streams.ops.report.records import Report
from sofia_streams.ops.report.style import STYLE

_CARDS = (
    ("Total return", "total_return", "percent"),
    ("Sharpe", "ratios.sharpe", "number"),
    ("Deepest drawdown", "drawdown.depth", "percent"),
    ("Round trips", "trips.count", "count"),
    ("Win rate", "trips.win_rate", "percent"),
    ("Fees paid", "costs.fees_quote", "money"),
)


def page(report: Report) -> str:
    """The whole page; the same report gives the same bytes."""
    parts = (_top(report), _curves(report), _numbers(report), _trading(report), _foot(report))
    body = "\n".join(line for part in parts for line in part)
    title = escape(report.title)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _span(report: Report) -> tuple[int, int]:
    return report.from_ns, report.until_ns


def _top(report: Report) -> Iterable[str]:
    yield f"<h1>{escape(report.title)}</h1>"
    days = (report.until_ns - report.from_ns) / NS_PER_DAY
    since, until = (charts.moment(at_ns) for at_ns in _span(report))
    symbols = ", ".join(one.symbol for one in report.charts) or "no symbol"
    about = f"{since} to {until} UTC, {days:,.1f} days · {symbols} · money in {report.currency}"
    yield f'<p class="note">{escape(about)}</p>'
    if report.warnings:
        yield f'<ul class="warnings">{"".join(f"<li>{escape(one)}</li>" for one in report.warnings)}</ul>'
    yield '<div class="cards">'
    for label, path, how in _CARDS:
        yield f'<div class="card"><span>{label}</span>{tables.figure(report, path, how, "b")}</div>'
    yield "</div>"


def _curves(report: Report) -> Iterable[str]:
    span = _span(report)
    start = report.statistics.start_quote
    lines = [("this account", report.equity)]
    lines += [(one.name, [(at_ns, start * index) for at_ns, index in one.points]) for one in report.baselines]
    yield f"<h2>Equity, {escape(report.currency)}</h2>"
    yield charts.curves(lines, height=320, span=span, label="equity over time, flows removed")
    yield "<h2>Drawdown</h2>"
    yield charts.fall(report.drawdown, height=130, span=span, label="fall below the highest equity so far")
    if report.baselines:
        yield "<h2>Against simpler things</h2>"
        yield from tables.compared(report, report.baselines)


def _numbers(report: Report) -> Iterable[str]:
    yield "<h2>Returns by month, %</h2>"
    yield from tables.monthly(report.statistics.months)
    yield "<h2>Statistics</h2>"
    yield f'<p class="note">Returns: {escape(report.statistics.sampling)}. 95 %: stationary bootstrap of these.</p>'
    yield '<div class="columns">'
    yield from tables.statistics(report)
    yield "</div>"
    if report.sweep:
        yield f"<h2>What was tried: {len(report.sweep.trials)} settings</h2>"
        yield from tables.swept(report.sweep, report.statistics.periods_per_year)


def _trading(report: Report) -> Iterable[str]:
    for one in report.charts:
        left = f", {one.left_out:,} more are not shown" if one.left_out else ""
        yield f"<h2>{escape(one.symbol)}</h2>"
        yield charts.prices(one, height=280, span=_span(report), label=f"{one.symbol}: price and fills")
        yield (
            f'<p class="note"><span class="buy">▲</span> buys, <span class="sell">▼</span> sells: {len(one.marks):,} '
            f"fills{left}. Point at one for its price, quantity and what it realised.</p>"
        )
    orders = report.statistics.orders
    yield '<h2>Orders</h2><div class="columns">'
    yield from tables.counted("By status", orders.by_status)
    yield from tables.counted("Rejections, by reason", orders.rejections)
    yield from tables.counted("Cancelled and expired, by reason", orders.endings)
    yield "</div>"
    yield "<h2>Round trips</h2>"
    yield from tables.trips(report.trips, report.trips_left_out)


def _foot(report: Report) -> Iterable[str]:
    if report.rules:
        yield "<h2>Rules</h2><details><summary>What the account went by</summary><table>"
        for name, value in report.rules.items():
            yield f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
        yield "</table></details>"
    yield '<p class="note">How each figure is made: docs/paper_trading.md. All of this as data: report.json.</p>'
