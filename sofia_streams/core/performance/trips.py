"""Fills to round trips, from flat to flat, and what is said of them. Money is exact; ratios are float64.

A fill that goes through flat ends one trip and begins the next; its fee is split by quantity. What a trip made follows
from what was paid and received, not from what fills say they realised. What it does not do: inverse contracts, whose
quantity is not worth quantity times price; fills before the first one, so begin where the account was flat.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Literal

import msgspec

from sofia_streams.model import NS_PER_HOUR
from sofia_streams.paper import Fill

_ZERO = Decimal(0)


class RoundTrip(msgspec.Struct, frozen=True):
    """From flat to flat in one symbol.

    quantity      the most that was held, base currency
    entry_quote   what was bought (long) or sold short for, all entries together
    gross_quote   received less paid; net_quote = gross_quote - fees_quote
    fills         how many took part, those that go through flat counted in both
    """

    symbol: str
    direction: Literal["long", "short"]
    opened_ns: int
    closed_ns: int
    quantity: Decimal
    entry_quote: Decimal
    gross_quote: Decimal
    fees_quote: Decimal
    net_quote: Decimal
    fills: int


class TripFigures(msgspec.Struct, frozen=True):
    """Of closed round trips, net of fees. A trip that made 0 is neither won nor lost, and counts in the win rate.

    win_rate          won / all, 0 to 1; None without trips
    profit_factor     sum of wins / |sum of losses|; None without losses
    expectancy_quote  mean of a trip
    payoff            mean win / |mean loss|; None without either
    losses_in_row     most losses one after the other, by time of closing
    mean_hours        mean time from flat to flat
    """

    count: int
    won: int
    lost: int
    open: int
    win_rate: float | None
    profit_factor: float | None
    expectancy_quote: float | None
    payoff: float | None
    losses_in_row: int
    mean_hours: float | None
    net_quote: Decimal
    best_quote: Decimal | None
    worst_quote: Decimal | None


class _Held:
    """What is held of one symbol while a trip lasts."""

    def __init__(self) -> None:
        self.quantity = self.most = self.entry = self.cash = self.fees = _ZERO
        self.opened_ns = self.fills = 0
        self.is_long = True

    def add(self, signed: Decimal, price: Decimal, fee: Decimal, at_ns: int) -> None:
        if not self.quantity:
            self.opened_ns, self.is_long = at_ns, signed > 0
        if (signed > 0) == self.is_long:
            self.entry += abs(signed) * price
        self.quantity += signed
        self.most = max(self.most, abs(self.quantity))
        self.cash -= signed * price
        self.fees += fee
        self.fills += 1

    def closed(self, symbol: str, at_ns: int) -> RoundTrip:
        direction: Literal["long", "short"] = "long" if self.is_long else "short"
        return RoundTrip(
            symbol, direction, self.opened_ns, at_ns, self.most, self.entry, self.cash, self.fees,
            self.cash - self.fees, self.fills,
        )  # fmt: skip


def round_trips(fills: Iterable[Fill]) -> tuple[list[RoundTrip], int]:
    """Closed trips in order of closing, and how many are open. Fills in order of time; a repeated id counts once."""
    held: dict[tuple[str, str], _Held] = {}
    found: list[RoundTrip] = []
    seen: set[str] = set()
    for fill in fills:
        if fill.fill_id in seen:
            continue
        seen.add(fill.fill_id)
        name = (fill.market, fill.symbol)
        ours = held.setdefault(name, _Held())
        signed = fill.quantity if fill.side == "buy" else -fill.quantity
        fee = fill.fee_quote
        if ours.quantity and ours.quantity * (ours.quantity + signed) < 0:
            part, closing = fee * abs(ours.quantity) / fill.quantity, -ours.quantity
            ours.add(closing, fill.price, part, fill.at_ns)
            found.append(ours.closed(fill.symbol, fill.at_ns))
            ours = held[name] = _Held()
            signed, fee = signed - closing, fee - part
        ours.add(signed, fill.price, fee, fill.at_ns)
        if not ours.quantity:
            found.append(held.pop(name).closed(fill.symbol, fill.at_ns))
    return found, len(held)


def figures(trips: Sequence[RoundTrip], still_open: int = 0) -> TripFigures:
    """What is said of closed trips, given in order of closing."""
    net = [one.net_quote for one in trips]
    wins, losses = [one for one in net if one > 0], [one for one in net if one < 0]
    count, won, lost = len(net), sum(wins, _ZERO), -sum(losses, _ZERO)
    hours = sum(one.closed_ns - one.opened_ns for one in trips) / NS_PER_HOUR
    return TripFigures(
        count=count,
        won=len(wins),
        lost=len(losses),
        open=still_open,
        win_rate=len(wins) / count if count else None,
        profit_factor=float(won / lost) if lost else None,
        expectancy_quote=float(sum(net, _ZERO) / count) if count else None,
        payoff=float(won / len(wins) / (lost / len(losses))) if wins and losses else None,
        losses_in_row=max((len(list(run)) for is_lost, run in groupby(one < 0 for one in net) if is_lost), default=0),
        mean_hours=hours / count if count else None,
        net_quote=sum(net, _ZERO),
        best_quote=max(net, default=None),
        worst_quote=min(net, default=None),
    )
