"""The tables of paper trading: orders, fills, the account; their rows, and records from rows. Exact; opens nothing.

One row an order, its last revision; one row an execution; one row each time the account is said. Positions are JSON
text. What it does not do: keep decisions on order (`paper.Taken`), which only a replay of the log needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sofia_streams.paper import Account, Fill, Order, Paper, Position
from sofia_streams.stores.columns import Table, Value

PAPER_TABLES = {
    "orders": Table(
        {
            "created_ns": "time", "order_id": "text", "venue": "label", "market": "label", "symbol": "label",
            "side": "label", "type": "label", "time_in_force": "label", "purpose": "label", "quantity": "value",
            "status": "label", "at_ns": "time", "revision": "count", "limit_price": "value", "stop_price": "value",
            "filled_quantity": "value", "notional_quote": "sum", "fees_quote": "sum", "decision_mid": "sum",
            "active_ns": "time", "expires_ns": "time", "reduce_only": "flag", "reason": "text",
            "signal_start_ns": "time", "signal_size_ns": "count", "signal_place": "text", "model_id": "label",
            "is_synthetic": "flag", "account": "label",
        },
        time="created_ns",
        key=("created_ns", "order_id"),
        newer="revision",
    ),
    "fills": Table(
        {
            "at_ns": "time", "fill_id": "text", "order_id": "text", "venue": "label", "market": "label",
            "symbol": "label", "side": "label", "quantity": "value", "price": "value", "fee_quote": "sum",
            "fee_rate": "value", "fee_schedule": "label", "liquidity": "label", "order_status": "label",
            "realised_quote": "sum", "decision_mid": "sum", "arrival_mid": "sum", "slippage_bps": "value",
            "evidence": "text", "place": "text", "is_synthetic": "flag", "account": "label",
        },
        time="at_ns",
        key=("at_ns", "fill_id"),
    ),
    "account": Table(
        {
            "at_ns": "time", "serial": "count", "cash_quote": "sum", "equity_quote": "sum", "start_quote": "sum",
            "realised_quote": "sum", "unrealised_quote": "sum", "fees_quote": "sum", "peak_quote": "sum",
            "day_start_quote": "sum", "gross_exposure_quote": "sum", "open_orders": "count", "state": "label",
            "cause": "label", "flows_quote": "sum", "reason": "text", "positions": "text", "account": "label",
        },
        time="at_ns",
        key=("at_ns", "serial"),
    ),
}  # fmt: skip
"""By name. An order's `created_ns` never changes, so that its later revisions replace the earlier ones."""
_KINDS: dict[str, type[Paper]] = {"orders": Order, "fills": Fill, "account": Account}


def paper_table(record: Paper) -> str:
    """The table that a record's row goes to."""
    return next(name for name, kind in _KINDS.items() if isinstance(record, kind))


def paper_row(record: Paper) -> tuple[Value, ...]:
    """The row of a record, values in the order of the table's columns."""
    found = {name: getattr(record, name) for name in record.__struct_fields__}
    if isinstance(record, Account):
        found["positions"] = positions_text(record.positions)
    return tuple([found[name] for name in PAPER_TABLES[paper_table(record)].columns])


def paper_record(name: str, row: Mapping[str, Any]) -> Paper:
    """The record of a row, by column; the other way round."""
    if name == "account":
        row = {**row, "positions": msgspec.json.decode(row["positions"], type=list[Position])}
    return msgspec.convert(row, _KINDS[name])


def positions_text(positions: list[Position]) -> str:
    """Positions as JSON: a list of [market, symbol, quantity, cost, mark, opened_ns, realised, fees]; exact texts."""
    return msgspec.json.encode(positions).decode()
