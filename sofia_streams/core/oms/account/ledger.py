"""Double entry: every fill is postings that sum to zero, so the balances of all accounts always do. Plain state.

    cash          what is there to spend          inventory:SYMBOL  positions at cost
    capital       what the account began with     realised, fees    income (credit) and expense (debit)

Debits are above zero. What it does not do: know prices or marks (`holdings`).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from sofia_streams.core.oms.money import ZERO, told
from sofia_streams.errors import LedgerUnbalanced

_DAMAGED = "The account's state is damaged; `sofia parity` computes from the log what it should be."


def opened(start_quote: Decimal) -> dict[str, Decimal]:
    """Balances of a new account."""
    return {"cash": start_quote, "capital": -start_quote, "realised": ZERO, "fees": ZERO}


def post(balances: dict[str, Decimal], postings: Mapping[str, Decimal]) -> None:
    """Add postings to the balances. Raises LedgerUnbalanced, and then nothing is posted, unless they sum to zero."""
    if total := sum(postings.values(), ZERO):
        raise LedgerUnbalanced(f"ledger: expected postings that sum to 0, found {total} of {dict(postings)}")
    for account, amount in postings.items():
        balances[account] = balances.get(account, ZERO) + amount


def check(balances: Mapping[str, Decimal]) -> None:
    """Raises LedgerUnbalanced unless everything sums to zero: the state is damaged then."""
    if total := sum(balances.values(), ZERO):
        raise LedgerUnbalanced(f"ledger: expected balances that sum to 0, found {told(total)}. {_DAMAGED}")


def check_costs(balances: Mapping[str, Decimal], costs: Mapping[str, Decimal]) -> None:
    """Raises LedgerUnbalanced unless every inventory is what its positions cost."""
    for name in sorted({*costs, *(one for one in balances if one.startswith("inventory:"))}):
        if balances.get(name, ZERO) != costs.get(name, ZERO):
            raise LedgerUnbalanced(
                f"ledger: expected {name} of {told(costs.get(name, ZERO))}, what its positions cost, found "
                f"{told(balances.get(name, ZERO))}. {_DAMAGED}"
            )
