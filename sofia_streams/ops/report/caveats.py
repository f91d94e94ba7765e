"""What a reader of a report must know first: what makes its figures worth less. In words; measures nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sofia_streams.core.performance.ratios import expected_best_sharpe
from sofia_streams.core.performance.summary import RETURNS_MIN, Statistics, Trials
from sofia_streams.model import NS_PER_DAY
from sofia_streams.ops.report.records import Baseline
from sofia_streams.paper import Account

TRIPS_MIN = 30
_SURE = 0.95


def warnings(
    found: Statistics, last: Account, baselines: Sequence[Baseline], trials: Trials | None, *, is_synthetic: bool
) -> list[str]:
    """One sentence or two each, the gravest first; `last` is the account as it stood at the end."""
    said = [*(_synthetic() if is_synthetic else ()), *_tried(found, trials), *_unfilled(found)]
    said += [*_short(found), *_luck(found)]
    return [*said, *_costs(found), *_beaten(found, baselines), *_end(found, last)]


def _synthetic() -> Iterable[str]:
    yield "SYNTHETIC: made from data or a model that no market made. None of its figures says what a market would pay."


def _tried(found: Statistics, trials: Trials | None) -> Iterable[str]:
    if trials is None or trials.tried < 2:
        return
    said = f"{trials.tried} settings were tried. "
    if trials.variance:
        best = expected_best_sharpe(trials.tried, trials.variance) * found.periods_per_year**0.5
        said += f"The best of so many worthless ones has a Sharpe of {best:.2f} by luck. "
    deflated = found.ratios.sharpe_deflated
    if deflated is None:
        yield said + "There are too few returns to say how likely this one is better than that."
    else:
        verdict = "" if deflated >= _SURE else f"; below {_SURE * 100:.0f} %, take it for luck"
        yield (
            said
            + f"The probability that this one is truly better (deflated Sharpe) is {deflated * 100:.1f} %{verdict}."
        )


def _unfilled(found: Statistics) -> Iterable[str]:
    orders = found.orders
    if orders.count and not found.costs.fills:
        reasons = orders.rejections | orders.endings
        code = max(reasons, key=lambda one: reasons[one], default="none")
        yield f"Nothing was filled of {orders.count} orders; the most frequent reason is {code}."


def _short(found: Statistics) -> Iterable[str]:
    days = (found.until_ns - found.from_ns) / NS_PER_DAY
    if found.returns < RETURNS_MIN:
        yield (
            f"Short: {days:.1f} days, {found.returns} daily returns. Sharpe and Sortino need {RETURNS_MIN}, "
            "and nothing is annualised under 30 days."
        )
    elif days < 365:
        yield f"Short: {days:.0f} days are one kind of market; figures a year are drawn out from them."
    if found.trips.count < TRIPS_MIN:
        yield f"Few: {found.trips.count} closed round trips; win rate and the like need {TRIPS_MIN} to say much."


def _luck(found: Statistics) -> Iterable[str]:
    near = found.intervals.get("sharpe")
    if near and near.low <= 0.0 <= near.high:
        yield f"The 95 % interval of the Sharpe, {near.low:.2f} to {near.high:.2f}, has 0 in it: this may be chance."


def _costs(found: Statistics) -> Iterable[str]:
    paid = found.costs.fees_quote + found.costs.slippage_quote
    before = found.trips.net_quote + paid
    if not found.trips.open and found.trips.net_quote < 0 < before:
        yield f"Costs took more than trading made: fees and slippage {paid:.2f}, round trips {before:.2f} before them."


def _beaten(found: Statistics, baselines: Sequence[Baseline]) -> Iterable[str]:
    better = [
        f"{one.name} ({one.total_return * 100:+.2f} %)" for one in baselines if one.total_return > found.total_return
    ]
    if better:
        yield f"It made {found.total_return * 100:+.2f} %, less than {' and '.join(better)}."


def _end(found: Statistics, last: Account) -> Iterable[str]:
    if found.trips.open:
        what = "One position is" if found.trips.open == 1 else f"{found.trips.open} positions are"
        yield f"{what} still open: in the equity at the mark, not in round trips."
    if last.state != "ACTIVE":
        yield f"Trading ended {last.state}: {last.reason or 'no reason given'}."
