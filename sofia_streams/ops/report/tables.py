"""Tables of a report as HTML. A figure's cell names its place in the JSON (`data-figure`); its title has all digits.

Everything is escaped. What it does not do: compute; a figure that is null is shown with its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from html import escape
from typing import Any

from sofia_streams.core.performance.equity import Month
from sofia_streams.core.performance.trips import RoundTrip
from sofia_streams.model import NS_PER_DAY, NS_PER_HOUR
from sofia_streams.ops.report.charts import moment
from sofia_streams.ops.report.records import Baseline, Report, Sweep

_TRIPS_SHOWN, _TRIALS_SHOWN = 60, 30
_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_DAYS_MIN = 27.9
"""Days from which on a month counts as whole; short of the shortest by what lies before the first minute's record."""
_SHADE_FULL = 0.1
"""A month of this return, up or down, has the strongest colour."""
Row = tuple[str, str, str, str]
GROUPS: dict[str, tuple[Row, ...]] = {
    "Returns": (
        ("Total return", "total_return", "percent", "flows removed"),
        ("Growth a year (CAGR)", "growth_year", "percent", "none under 30 days"),
        ("Mean daily return", "ratios.mean", "small", "interval:mean"),
        ("Daily returns", "returns", "count", ""),
        ("Equity at the start", "start_quote", "money", ""),
        ("Equity at the end", "end_quote", "money", ""),
    ),
    "Risk": (
        ("Sharpe", "ratios.sharpe", "number", "interval:sharpe"),
        ("Standard error of it", "ratios.sharpe_error", "number", "independent normal returns (Lo 2002)"),
        ("Sharpe, autocorrelation corrected", "ratios.sharpe_corrected", "number", "Lo 2002"),
        ("Probability of a Sharpe above 0", "ratios.sharpe_probability", "percent", "probabilistic Sharpe"),
        ("Deflated Sharpe", "ratios.sharpe_deflated", "percent", "probability, given all trials"),
        ("Trials", "trials", "count", ""),
        ("Sortino", "ratios.sortino", "number", "lower deviation over all days"),
        ("Calmar", "calmar", "number", "growth a year / deepest drawdown"),
        ("Volatility a year", "ratios.volatility_year", "percent", ""),
        ("Skewness", "ratios.skewness", "number", "0: symmetric"),
        ("Kurtosis", "ratios.kurtosis", "number", "3: normal"),
        ("Deepest drawdown", "drawdown.depth", "percent", "every fill and minute"),
        ("Deepest drawdown, daily values", "drawdown_daily", "percent", "interval:max_drawdown"),
        ("Longest drawdown", "drawdown.longest_ns", "days", ""),
    ),
    "Round trips, net of fees": (
        ("Closed", "trips.count", "count", "from flat to flat"),
        ("Still open", "trips.open", "count", ""),
        ("Win rate", "trips.win_rate", "percent", "a trip that made 0 is not won"),
        ("Profit factor", "trips.profit_factor", "number", "wins / losses"),
        ("Expectancy", "trips.expectancy_quote", "money", "mean of a trip"),
        ("Payoff", "trips.payoff", "number", "mean win / mean loss"),
        ("Most losses in a row", "trips.losses_in_row", "count", ""),
        ("Mean time held, hours", "trips.mean_hours", "number", ""),
        ("All together", "trips.net_quote", "money", ""),
        ("Best", "trips.best_quote", "money", ""),
        ("Worst", "trips.worst_quote", "money", ""),
    ),
    "Costs and exposure": (
        ("Fills", "costs.fills", "count", ""),
        ("Traded", "costs.notional_quote", "money", "both sides"),
        ("Turnover", "costs.turnover", "number", "traded / mean equity"),
        ("Fees", "costs.fees_quote", "money", ""),
        ("Fees, bps", "costs.fees_bps", "number", "of what was traded"),
        ("Slippage", "costs.slippage_quote", "money", "against the middle at the decision"),
        ("Slippage, bps", "costs.slippage_bps", "number", "above 0 is a cost"),
        ("Maker share", "costs.maker_share", "percent", "of what was traded"),
        ("Time in the market", "exposure.time_in_market", "percent", ""),
        ("Gross exposure, mean", "exposure.gross_mean", "percent", "of equity, over all time"),
        ("Gross exposure, most", "exposure.gross_max", "percent", "of equity"),
        ("Orders", "orders.count", "count", ""),
        ("Filled whole", "orders.fill_rate", "percent", "of accepted orders that are done"),
        ("Filled quantity", "orders.quantity_rate", "percent", "mean share of an order"),
    ),
}
"""Label, place in `Statistics`, how it is written, and what it means; "interval:NAME" shows that 95 % interval."""


def shown(value: Any, how: str) -> str:
    """A figure for people; an en dash where it is null. `how`: percent, small (bps), number, money, count, days."""
    if value is None:
        return "–"
    if how == "count":
        return f"{value:,}"
    scale, digits, unit = {
        "percent": (100, 2, " %"), "small": (10_000, 2, " bps"), "number": (1, 2, ""), "money": (1, 2, ""),
        "days": (1 / NS_PER_DAY, 1, " days"),
    }[how]  # fmt: skip
    return f"{float(value) * scale + 0.0:,.{digits}f}{unit}"


def at(subject: Any, path: str) -> Any:
    """What stands at "a.b.c" of nested records."""
    for name in path.split("."):
        subject = getattr(subject, name)
    return subject


def figure(report: Report, path: str, how: str, tag: str = "td") -> str:
    """A cell with one of the statistics."""
    value = at(report.statistics, path)
    exact = "null" if value is None else str(value)
    return f'<{tag} class="n" data-figure="{path}" title="{escape(exact)}">{escape(shown(value, how))}</{tag}>'


def statistics(report: Report) -> Iterable[str]:
    """A table a group."""
    for name, rows in GROUPS.items():
        yield f"<section><h3>{escape(name)}</h3><table>"
        for label, path, how, note in rows:
            why = (
                report.statistics.missing.get(path.rpartition(".")[2]) if at(report.statistics, path) is None else None
            )
            said = f"null: {why}" if why else _note(report, note, how)
            yield f'<tr><th>{escape(label)}</th>{figure(report, path, how)}<td class="note">{escape(said)}</td></tr>'
        yield "</table></section>"


def _note(report: Report, note: str, how: str) -> str:
    kind, _, name = note.partition(":")
    if kind != "interval":
        return note
    near = report.statistics.intervals.get(name)
    return f"95 %: {shown(near.low, how)} to {shown(near.high, how)}" if near else ""


def monthly(months: Sequence[Month]) -> Iterable[str]:
    """Years down, months across, returns in per cent; the year's is compounded. A star: not a whole month."""
    yield f"<table class='months'><tr><th></th>{''.join(f'<th>{name}</th>' for name in _NAMES)}<th>Year</th></tr>"
    for year in sorted({one.year for one in months}):
        of = {one.month: one for one in months if one.year == year}
        grown = 1.0
        for one in of.values():
            grown *= 1.0 + one.value
        cells = "".join(_month(of.get(number)) for number in range(1, 13))
        yield f"<tr><th>{year}</th>{cells}<td class='n'>{(grown - 1.0) * 100:.2f}</td></tr>"
    yield "</table>"
    if any(one.days < _MONTH_DAYS_MIN for one in months):
        yield "<p class='note'>* not a whole month</p>"


def _month(one: Month | None) -> str:
    if one is None:
        return "<td></td>"
    side, depth = ("up" if one.value >= 0 else "down"), min(1.0, abs(one.value) / _SHADE_FULL)
    star = "" if one.days >= _MONTH_DAYS_MIN else "*"
    return (
        f'<td class="n {side}" style="--depth:{10 + 50 * depth:.0f}%" data-month="{one.year}-{one.month:02}" '
        f'title="{one.value} over {one.days:.2f} days">{one.value * 100:.2f}{star}</td>'
    )


def counted(name: str, counts: Mapping[str, int]) -> Iterable[str]:
    """Names and how many, as they come; says so where there are none."""
    yield f"<section><h3>{escape(name)}</h3><table>"
    for key, count in counts.items():
        yield f"<tr><th>{escape(key)}</th><td class='n' data-count='{escape(key)}'>{count:,}</td></tr>"
    yield "</table></section>" if counts else "<tr><td>none</td></tr></table></section>"


def compared(report: Report, baselines: Sequence[Baseline]) -> Iterable[str]:
    """The account against what is simpler."""
    yield f"<table>{_head('', '#Total return', '#Sharpe', '#Deepest drawdown', '')}"
    cells = "".join(figure(report, path, how) for path, how in _COMPARED)
    yield f"<tr><th>this account</th>{cells}<td></td></tr>"
    for one in baselines:
        numbers = ((one.total_return, "percent"), (one.sharpe, "number"), (one.max_drawdown, "percent"))
        cells = "".join(f"<td class='n' title='{value}'>{shown(value, how)}</td>" for value, how in numbers)
        near = one.spread
        said = f"{one.note}; 95 %: {shown(near.low, 'percent')} to {shown(near.high, 'percent')}" if near else one.note
        yield f"<tr><th>{escape(one.name)}</th>{cells}<td class='note'>{escape(said.removeprefix('; '))}</td></tr>"
    yield "</table>"


def _head(*names: str) -> str:
    """A row of headings; "#" in front stands over numbers."""
    cells = (f"<th class='n'>{one[1:]}</th>" if one.startswith("#") else f"<th>{one}</th>" for one in names)
    return f"<tr>{''.join(cells)}</tr>"


_COMPARED = (("total_return", "percent"), ("ratios.sharpe", "number"), ("drawdown.depth", "percent"))


def swept(sweep: Sweep, periods: int) -> Iterable[str]:
    """Trials, the best Sharpe first, what was chosen in bold."""
    yield f"<table>{_head('Settings', '#Sharpe', '#Total return', '#Deepest drawdown', '#Trips')}"
    ranked = sorted(
        enumerate(sweep.trials), key=lambda one: -(one[1].sharpe_day if one[1].sharpe_day is not None else -9e9)
    )
    for place, one in ranked[:_TRIALS_SHOWN]:
        said = ", ".join(f"{name} {value}" for name, value in one.settings.items())
        sharpe = None if one.sharpe_day is None else one.sharpe_day * periods**0.5
        cells = (
            (sharpe, "number"),
            (one.total_return, "percent"),
            (one.max_drawdown, "percent"),
            (one.round_trips, "count"),
        )
        numbers = "".join(f"<td class='n'>{shown(value, how)}</td>" for value, how in cells)
        yield f"<tr{' class=chosen' if place == sweep.chosen else ''}><th>{escape(said)}</th>{numbers}</tr>"
    yield "</table>"
    if len(ranked) > _TRIALS_SHOWN:
        yield f"<p class='note'>{len(ranked) - _TRIALS_SHOWN} more are in report.json.</p>"


def trips(some: Sequence[RoundTrip], left_out: int) -> Iterable[str]:
    """The newest round trips, the last one first."""
    head = ("Closed, UTC", "Symbol", "", "#Quantity", "#Held", "#Before fees", "#Fees", "#Net")
    yield f"<table>{_head(*head)}"
    for one in some[: -_TRIPS_SHOWN - 1 : -1]:
        held = f"{(one.closed_ns - one.opened_ns) / NS_PER_HOUR:,.2f} h"
        side = "gain" if one.net_quote > 0 else "loss"
        money: tuple[Decimal, ...] = (one.gross_quote, one.fees_quote, one.net_quote)
        numbers = "".join(f"<td class='n' title='{value:f}'>{value:,.2f}</td>" for value in money)
        yield (
            f"<tr class='{side}'><th>{moment(one.closed_ns)}</th><td>{escape(one.symbol)}</td><td>{one.direction}</td>"
            f"<td class='n'>{one.quantity:f}</td><td class='n'>{held}</td>{numbers}</tr>"
        )
    yield "</table>"
    if (more := len(some) - _TRIPS_SHOWN) > 0:
        beyond = f", {left_out:,} before them are not" if left_out else ""
        yield f"<p class='note'>{more:,} earlier ones are in report.json{beyond}.</p>"
