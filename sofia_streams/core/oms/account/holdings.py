"""One symbol's position and what a fill does to it, and the account's money. Average cost; exact.

A position keeps what it cost, not an average price: a fill that reduces it takes its share of the cost with it
(`money.share_of_cost`), one that goes through flat closes it and opens the other side at the fill's price. What it does
not do: decide what to trade, know quotes.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from sofia_streams.core.oms.account import ledger
from sofia_streams.core.oms.money import ZERO, exact, share_of_cost
from sofia_streams.model import Market, Side
from sofia_streams.paper import Position


class Holding(msgspec.Struct, array_like=True):
    """A position, changed in place. `cost_quote` has the sign of `quantity`; `mark` is None while none is known."""

    market: Market
    symbol: str
    quantity: Decimal = ZERO
    cost_quote: Decimal = ZERO
    mark: Decimal | None = None
    opened_ns: int = 0
    held_bars: int = 0
    """Closed since it was opened from flat."""
    realised_quote: Decimal = ZERO
    """Since it was opened from flat."""
    fees_quote: Decimal = ZERO
    venue: str = ""
    """Where it was traded last: its quotes are the marks."""
    is_synthetic: bool = False

    def average(self) -> Decimal:
        """What one unit cost; only of a position that is not flat."""
        return self.cost_quote / self.quantity

    def value_quote(self) -> Decimal:
        """At the mark, at cost while there is none: below 0 for a short."""
        return self.cost_quote if self.mark is None else self.quantity * self.mark

    def shown(self) -> Position:
        """As it is published."""
        return Position(
            self.market, self.symbol, self.quantity, self.cost_quote, self.mark, self.opened_ns, self.realised_quote,
            self.fees_quote,
        )  # fmt: skip


def fill(holding: Holding, side: Side, quantity: Decimal, price: Decimal, at_ns: int) -> Decimal:
    """Change the position by an execution; what it realised, before fees."""
    signed = quantity if side == "buy" else -quantity
    held = holding.quantity
    if held == 0 or (held > 0) is (signed > 0):
        if held == 0:
            holding.opened_ns, holding.realised_quote, holding.fees_quote = at_ns, ZERO, ZERO
            holding.held_bars = 0
        holding.quantity = held + signed
        holding.cost_quote += signed * price
        return ZERO
    closing = signed if abs(signed) <= abs(held) else -held
    cost = share_of_cost(holding.cost_quote, -closing, held)
    realised = -closing * price - cost
    holding.quantity = held + closing
    holding.cost_quote -= cost
    holding.realised_quote += realised
    if closing != signed:
        fill(holding, side, abs(signed - closing), price, at_ns)
    return realised


class Money(msgspec.Struct, array_like=True):
    """The account: balances of the ledger, and positions by "market|symbol"."""

    start_quote: Decimal
    balances: dict[str, Decimal]
    holdings: dict[str, Holding] = {}

    @classmethod
    def opened(cls, start_quote: Decimal) -> Money:
        """A new account."""
        return cls(start_quote, ledger.opened(start_quote))

    @property
    def cash_quote(self) -> Decimal:
        """What can be spent."""
        return self.balances["cash"]

    def check(self) -> None:
        """Raises LedgerUnbalanced unless the balances sum to zero and positions cost what the ledger says."""
        costs: dict[str, Decimal] = {}
        with exact():
            ledger.check(self.balances)
            for one in self.holdings.values():
                name = f"inventory:{one.symbol}"
                costs[name] = costs.get(name, ZERO) + one.cost_quote
            ledger.check_costs(self.balances, costs)

    def holding(self, market: Market, symbol: str) -> Holding:
        """The position of a symbol, flat where there was none."""
        key = f"{market}|{symbol}"
        found = self.holdings.get(key)
        if found is None:
            found = self.holdings[key] = Holding(market, symbol)
        return found

    def equity_quote(self) -> Decimal:
        """Cash and every position at its mark; `worth` has it too, for who needs the rest."""
        total = self.balances["cash"]
        for one in self.holdings.values():
            if one.quantity:
                total += one.value_quote()
        return total

    def worth(self) -> tuple[Decimal, Decimal, Decimal]:
        """Equity; value at the marks less cost; the sizes of all positions, longs and shorts added up."""
        equity, unrealised, gross = self.balances["cash"], ZERO, ZERO
        for one in self.holdings.values():
            if one.quantity:
                value = one.value_quote()
                equity += value
                unrealised += value - one.cost_quote
                gross += abs(value)
        return equity, unrealised, gross

    def settle(
        self, holding: Holding, side: Side, quantity: Decimal, price: Decimal, fee: Decimal, at_ns: int
    ) -> Decimal:
        """Book an execution in the position and in the ledger; what it realised before the fee.

        One that goes through flat pays for what it closes and for what it opens by their quantities. Raises
        LedgerUnbalanced, which is a defect.
        """
        cost_before, held = holding.cost_quote, holding.quantity
        realised = fill(holding, side, quantity, price, at_ns)
        is_flip = held != 0 and holding.quantity != 0 and (holding.quantity > 0) is not (held > 0)
        holding.fees_quote += fee - share_of_cost(fee, abs(held), quantity) if is_flip else fee
        paid = quantity * price if side == "buy" else -quantity * price
        ledger.post(
            self.balances,
            {
                "cash": -paid - fee,
                f"inventory:{holding.symbol}": holding.cost_quote - cost_before,
                "realised": -realised,
                "fees": fee,
            },
        )
        return realised
