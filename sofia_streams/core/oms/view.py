"""What the `account` table holds, as people want to read it: money, positions, open orders, what is waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sofia_streams.core.oms.steps import PaperSteps

_PARTS: dict[str, Callable[[PaperSteps], Any]] = {
    "account": lambda steps: steps.latest,
    "positions": lambda steps: [one.shown() for one in steps.books.money.holdings.values() if one.quantity],
    "orders": lambda steps: [{"order": one.order, "held_by": one.held_by} for one in steps.books.working.values()],
    "risk": lambda steps: steps.books.risk,
    "ledger": lambda steps: steps.books.money.balances,
    "markets": lambda steps: steps.books.feeds,
    "inputs": lambda steps: _inputs(steps),
}


def account(steps: PaperSteps | None) -> dict[str, Any]:
    """The account as it was said last, positions, open orders, and what else can be asked for."""
    if steps is None:
        return {"account": None, "parts": [*_PARTS]}
    return {name: _PARTS[name](steps) for name in ("account", "positions", "orders", "inputs")} | {"parts": [*_PARTS]}


def _inputs(steps: PaperSteps) -> dict[str, Any]:
    """How far the merge is, whom it waits for, how many records wait, and how many came of inputs nobody waits for."""
    merge = steps.merge
    return {
        "reached_ns": merge.reached_ns(), "waits_for": merge.waits_for(), "waiting": merge.waiting,
        "strangers": steps.strangers,
    }  # fmt: skip


def part(steps: PaperSteps | None, name: str) -> Any:
    """One of them; None where there is none."""
    find = _PARTS.get(name)
    return None if steps is None or find is None else find(steps)
