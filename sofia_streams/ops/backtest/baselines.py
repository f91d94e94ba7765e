"""What is simpler than the model, traded by the same engine at the same costs: buy and hold, entries at random.

A draw is a hash of the seed, its number and the symbol, so that the same run gives the same baselines on any machine.
What it does not do: run the bars (`one_pass`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from sofia_streams.core.oms.rules import Rules
from sofia_streams.core.performance.resampling import Interval, quantile, uniforms
from sofia_streams.core.performance.trips import RoundTrip
from sofia_streams.model import Side
from sofia_streams.ops.backtest.bars import Item, Window
from sofia_streams.ops.backtest.one_pass import Lots, Said, Trial
from sofia_streams.ops.backtest.written import Written
from sofia_streams.ops.report.making import make_baseline
from sofia_streams.ops.report.records import Baseline
from sofia_streams.scored import Action, Signal

_SURE = 1.0
_SIDES: tuple[Side, ...] = ("buy", "sell")
_SIDE_OF: Mapping[str, Side] = {"long": "buy", "short": "sell"}
_TAIL = 0.025
_ASKED_MAX = 100


def _signal(item: Item, end_ns: int, action: Action) -> Signal:
    closed = item.closed
    size_ns = end_ns - closed.start_ns
    return Signal(closed.market, closed.symbol, size_ns, closed.start_ns, action, "baseline", item.close, _SURE)


def plain(rules: Rules, *, bars: int = 0, share: Decimal | None = None) -> Rules:
    """The same costs and limits, and positions of the same size (a share of equity, where sizing needs a confidence);
    out after `bars`, 0: never.
    """
    strategy = rules.strategy._replace(
        policy="follow", order_type="market", take_profit_bps=Decimal(0), stop_loss_bps=Decimal(0), time_exit_bars=bars
    )
    if share is not None and strategy.sizing == "kelly":
        strategy = strategy._replace(sizing="fixed", size_share=share)
    return rules._replace(strategy=strategy)


class Holding(Trial):
    """Buys every symbol as soon as it can, and never sells."""

    def __init__(self, rules: Rules, lots: Lots) -> None:
        super().__init__(rules, lots)
        self._asked = Counter[str]()

    def signals(self, window: Window, said: Said) -> Iterable[Signal]:
        """To buy until it is held, or was refused often enough."""
        money = self.engine.books.money
        for item in window.items:
            closed = item.closed
            wants = self._asked[closed.symbol] < _ASKED_MAX
            if wants and not money.holding(closed.market, closed.symbol).quantity:
                self._asked[closed.symbol] += 1
                yield _signal(item, window.end_ns, "buy")
            else:
                yield _signal(item, window.end_ns, "hold")


class Plan(NamedTuple):
    """What random entries have in common with the account they are compared with.

    entries  by symbol and side, how many positions were opened; bars: how long one was held, the mean
    """

    entries: Mapping[tuple[str, Side], int]
    bars: int
    share: Decimal


def plan_of(written: Written, trips: Sequence[RoundTrip], size_ns: int, rules: Rules) -> Plan:
    """As an account traded, by its round trips: a position that took ten orders is one entry. Where none was closed, by
    the orders that were filled.
    """
    opened = [(one.symbol, _SIDE_OF[one.direction], one.entry_quote) for one in trips] or [
        (one.symbol, one.side, one.notional_quote)
        for one in written.orders()
        if one.purpose == "entry" and one.filled_quantity
    ]
    held_ns = sum(one.closed_ns - one.opened_ns for one in trips)
    bars = max(1, round(held_ns / len(trips) / size_ns)) if trips else 1
    share = rules.strategy.size_share
    if opened:
        mean = sum((quote for _, _, quote in opened), Decimal(0)) / len(opened)
        share = min(share, (mean / rules.start_quote).quantize(Decimal("1e-8")))
    return Plan(Counter((symbol, side) for symbol, side, _ in opened), bars, share)


class Entering(Trial):
    """Opens positions at `moments`, by symbol and start of the bar; the engine closes them by time."""

    def __init__(self, rules: Rules, lots: Lots, moments: Mapping[tuple[str, int], Action]) -> None:
        super().__init__(rules, lots)
        self._moments = moments
        self.entries = len(moments)

    def signals(self, window: Window, said: Said) -> Iterable[Signal]:
        """An entry where one was drawn, else "hold"."""
        for item in window.items:
            key = item.closed.symbol, item.closed.start_ns
            yield _signal(item, window.end_ns, self._moments.get(key, "hold"))


def drawn(plan: Plan, starts: Mapping[str, Sequence[int]], seed: int, draw: int) -> dict[tuple[str, int], Action]:
    """Moments of entries, at least `plan.bars` and one apart, as many as have room; `starts` of bars by symbol."""
    found: dict[tuple[str, int], Action] = {}
    for number, symbol in enumerate(sorted(starts)):
        sides = [side for side in _SIDES for _ in range(plan.entries.get((symbol, side), 0))]
        found |= _spread(symbol, starts[symbol], sides, plan.bars + 1, uniforms(seed, draw * len(starts) + number))
    return found


def _spread(
    symbol: str, starts: Sequence[int], sides: Sequence[Side], apart: int, source: Iterable[float]
) -> dict[tuple[str, int], Action]:
    """Places without overlap: drawn in what is left once every position has its room, then moved apart."""
    count = min(len(sides), len(starts) // apart)
    room, numbers = len(starts) - count * apart, iter(source)
    places = sorted(int(next(numbers) * (room + 1)) for _ in range(count))
    order = sorted(range(len(sides)), key=lambda at: (next(numbers), at))[:count]
    return {(symbol, starts[place + at * apart]): sides[order[at]] for at, place in enumerate(places)}


def told(name: str, written: Written, note: str) -> Baseline:
    """Of one account."""
    return make_baseline(name, points(written), note=note)


def told_of_draws(entering: Sequence[Entering], plan: Plan, ours: float) -> Baseline:
    """The middle draw, and how far they spread; `ours` is the total return they are compared with."""
    draws = [one.written for one in entering]
    totals = [_total(one) for one in draws]
    middle = sorted(range(len(draws)), key=lambda at: totals[at])[len(draws) // 2]
    better = sum(one >= ours for one in totals)
    note = (
        f"{len(draws)} draws, each with {entering[0].entries} entries held for {plan.bars} bars; {better} of "
        f"them did as well or better"
    )
    near = Interval(quantile(totals, _TAIL), quantile(totals, 1.0 - _TAIL))
    return make_baseline("random entries", points(draws[middle]), note=note, spread=near)


def points(written: Written) -> list[tuple[int, float]]:
    """Equity over time, from what it began with."""
    accounts = written.accounts()
    return [
        (accounts[0].at_ns, float(accounts[0].start_quote)),
        *((one.at_ns, float(one.equity_quote)) for one in accounts),
    ]


def _total(written: Written) -> float:
    accounts = written.accounts()
    return float(accounts[-1].equity_quote / accounts[0].start_quote) - 1.0 if accounts else 0.0
