"""From what was said of an account to its value over time: an index without flows, days, months, time in the market.

The index is 1 at the start and moves by returns alone: what was paid in or taken out is removed, as if it had come at
the end of the stretch it came in. Sums and differences of money are exact; an index and a return are float64.
What it does not do: say how good that is (`ratios`, `drawdown`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Literal, NamedTuple

import msgspec

from sofia_streams.model import NS_PER_DAY, NS_PER_MINUTE, NS_PER_SECOND
from sofia_streams.paper import Account

Calendar = Literal["crypto", "equities"]
PERIODS_PER_YEAR: dict[Calendar, int] = {"crypto": 365, "equities": 252}
"""Daily returns a year: every day, or every trading day."""
_SATURDAY = 5


class Value(NamedTuple):
    """The account at `at_ns`: equity in the quote currency, and the index that its returns grow to from 1 on."""

    at_ns: int
    equity: float
    growth: float


class Month(msgspec.Struct, frozen=True):
    """One UTC month's return, a fraction; `days` of it are covered, from the first record to the last."""

    year: int
    month: int
    value: float
    days: float


class Exposure(msgspec.Struct, frozen=True):
    """How much was at risk, weighted by time. Shares are fractions of the equity of the moment."""

    time_in_market: float
    gross_mean: float
    gross_max: float


def start_equity(accounts: Sequence[Account]) -> Decimal:
    """Equity before the first record: `start_quote` where the run began with it (serial 0), else its equity.

    `accounts` must not be empty.
    """
    first = accounts[0]
    return first.start_quote if first.serial == 0 else first.equity_quote


def curve(accounts: Sequence[Account]) -> list[Value]:
    """The start, then one value a record, in order of time; of several at one moment all are kept, by serial.

    A return is (equity - flows since) / equity before - 1. An account at or below 0 is ruined: its return is -1, and
    its index stays 0. [] of no records.
    """
    if not accounts:
        return []
    before, flows, index = start_equity(accounts), _flows_before(accounts), 1.0
    found = [Value(accounts[0].at_ns, float(before), index)]
    for one in accounts:
        index *= _step(before, one.equity_quote, one.flows_quote - flows)
        before, flows = one.equity_quote, one.flows_quote
        found.append(Value(one.at_ns, float(before), index))
    return found


def _step(before: Decimal, after: Decimal, flow: Decimal) -> float:
    return max(0.0, float((after - flow) / before)) if before > 0 else 0.0


def _flows_before(accounts: Sequence[Account]) -> Decimal:
    return Decimal(0) if accounts[0].serial == 0 else accounts[0].flows_quote


def daily(values: Sequence[Value], calendar: Calendar = "crypto") -> list[Value]:
    """The start, then the last value of each whole UTC day (at its end, 00:00); days without a record carry the last.

    The first day counts from the first record on (before it nothing moved). The last one counts where the last record
    is at most a minute before its end. `equities`: no Saturdays and Sundays, what moves then is Monday's; holidays are
    not known and count with a return of 0.
    """
    if not values:
        return []
    last_ns = values[-1].at_ns + NS_PER_MINUTE
    end_ns = (values[0].at_ns // NS_PER_DAY + 1) * NS_PER_DAY
    found, at = [values[0]], 0
    while end_ns <= last_ns:
        while at + 1 < len(values) and values[at + 1].at_ns <= end_ns:
            at += 1
        if calendar == "crypto" or _moment(end_ns - 1).weekday() < _SATURDAY:
            found.append(Value(end_ns, values[at].equity, values[at].growth))
        end_ns += NS_PER_DAY
    return found


def returns(values: Sequence[Value]) -> list[float]:
    """Of each value on the one before, fractions; one less than there are values. 0 once the account is ruined."""
    return [after.growth / before.growth - 1.0 if before.growth else 0.0 for before, after in pairwise(values)]


def months(values: Sequence[Value]) -> list[Month]:
    """Returns by UTC month, in order, those without a record too; they compound to the whole return."""
    found: list[Month] = []
    if not values:
        return found
    at, opened, opened_ns = 0, values[0].growth, values[0].at_ns
    while True:
        when = _moment(opened_ns)
        year, month = (when.year, when.month)
        end_ns = _start_of_month(year + month // 12, month % 12 + 1)
        while at + 1 < len(values) and values[at + 1].at_ns <= end_ns:
            at += 1
        closed, closed_ns = values[at].growth, min(end_ns, values[-1].at_ns)
        change = closed / opened - 1.0 if opened else 0.0
        found.append(Month(year, month, change, (closed_ns - opened_ns) / NS_PER_DAY))
        if end_ns >= values[-1].at_ns:
            return found
        opened, opened_ns = closed, end_ns


def exposure(accounts: Sequence[Account]) -> Exposure:
    """What each record says holds until the next one. All 0 where no time passes."""
    held_ns = total_ns = 0
    weighted = largest = 0.0
    for one, following in zip(accounts, [*accounts[1:], *accounts[-1:]], strict=False):
        share = _share(one)
        lasted_ns = following.at_ns - one.at_ns
        total_ns += lasted_ns
        held_ns += lasted_ns if share else 0
        weighted += share * lasted_ns
        largest = max(largest, share)
    return Exposure(held_ns / total_ns, weighted / total_ns, largest) if total_ns else Exposure(0.0, 0.0, largest)


def mean_equity(accounts: Sequence[Account]) -> float:
    """Equity weighted by time, quote currency; the last record's where no time passes."""
    total_ns = accounts[-1].at_ns - accounts[0].at_ns
    if not total_ns:
        return float(accounts[-1].equity_quote)
    parts = (one.equity_quote * (after.at_ns - one.at_ns) for one, after in pairwise(accounts))
    return float(sum(parts, Decimal(0)) / total_ns)


def _share(one: Account) -> float:
    return float(one.gross_exposure_quote / one.equity_quote) if one.equity_quote > 0 else 0.0


def _moment(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC)


def _start_of_month(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * NS_PER_SECOND
