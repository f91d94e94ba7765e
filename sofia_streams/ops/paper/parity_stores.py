"""QuestDB's rows of paper trading beside the log, by id: how many, which are missing, which nobody wrote. Blocks.

What it does not do: compare values (`sofia verify` does so for the market's tables), repair.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sofia_streams.model import NS_PER_SECOND
from sofia_streams.ops.paper.parity_compare import Said
from sofia_streams.paper import Account, Fill, Order
from sofia_streams.stores.paper_rows import PAPER_TABLES
from sofia_streams.stores.questdb import QuestDb

_ID = {"orders": "order_id", "fills": "fill_id", "account": "serial"}
_NAMED = 5


def logged_ids(said: Said, from_ns: int, until_ns: int) -> dict[str, dict[str, int]]:
    """By table, ids of what was made behind `from_ns` and up to `until_ns`; of orders with their last revision."""
    found: dict[str, dict[str, int]] = {name: {} for name in _ID}
    for versions in said.found.values():
        for one in versions:
            if isinstance(one, Order) and from_ns < one.created_ns <= until_ns:
                orders = found["orders"]
                orders[one.order_id] = max(one.revision, orders.get(one.order_id, 0))
            elif isinstance(one, Fill) and from_ns < one.at_ns <= until_ns:
                found["fills"][one.fill_id] = 0
            elif isinstance(one, Account) and from_ns < one.at_ns <= until_ns:
                found["account"][str(one.serial)] = 0
    return found


def compare_stores(
    store: QuestDb, logged: Mapping[str, Mapping[str, int]], from_ns: int, until_ns: int
) -> dict[str, dict[str, Any]]:
    """By table: `rows`, `log`, `missing`, `surplus`, `older` (an order's revision), and a few ids.

    Raises DependencyDown, and QueryRefused where a table is not there.
    """
    found = {}
    for table, name in _ID.items():
        at, number = PAPER_TABLES[table].time, "revision" if table == "orders" else "0"
        rows = store.query(
            f"SELECT {name}, {number} FROM '{store.table(table)}' "  # noqa: S608  our names
            f"WHERE {at} > '{_moment(from_ns)}' AND {at} <= '{_moment(until_ns)}'"
        )
        there, known = {str(row[0]): int(row[1]) for row in rows}, logged[table]
        missing, surplus = sorted(known.keys() - there), sorted(there.keys() - known)
        older = sorted(one for one in known.keys() & there if there[one] < known[one])
        found[table] = {
            "rows": len(rows), "log": len(known), "missing": len(missing), "surplus": len(surplus),
            "older": len(older), "examples": [*missing[:_NAMED], *surplus[:_NAMED], *older[:_NAMED]],
        }  # fmt: skip
    return found


def are_equal(found: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether every table has the rows of the log, each once."""
    return all(one["rows"] == one["log"] and not (one["missing"] or one["surplus"] or one["older"])
               for one in found.values())  # fmt: skip


def _moment(at_ns: int) -> str:
    seconds, rest_ns = divmod(at_ns, NS_PER_SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns:09d}Z"
