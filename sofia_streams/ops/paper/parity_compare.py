"""Compares what paper trading said with what is computed from the same log, and says from where on it differs. No I/O.

Orders by id and revision, fills by id, the account by serial: what stands in the log twice is one where it is the same.
What it does not do: read or compute any of it (`parity`), look up the market record a difference follows from.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec

from sofia_streams.core.oms.money import exact
from sofia_streams.core.oms.steps import AccountRow
from sofia_streams.paper import Account, Fill, Order

Record = Order | Fill | Account
Table = Literal["orders", "fills", "account"]
_RANK: dict[Table, int] = {"fills": 0, "orders": 1, "account": 2}
"""What follows from what at one moment: a fill changes its order, both change the account."""
_MONEY = ("equity_quote", "cash_quote", "realised_quote", "unrealised_quote", "fees_quote")


class Key(NamedTuple):
    """One record: `name` is an order's id, a fill's id or an account's serial; `number` an order's revision."""

    table: Table
    name: str
    number: int = 0


class Difference(NamedTuple):
    """`what`: "missing" in the log, "surplus" there, or "different" in `fields` (name, in the log, computed).

    `follows_from` names the market record or signal of `record`, which is the computed one where there is one.
    """

    at_ns: int
    what: Literal["missing", "surplus", "different"]
    key: Key
    fields: list[tuple[str, object, object]]
    follows_from: str
    record: Record


def key_of(record: Record) -> Key:
    """By which a record is compared."""
    if isinstance(record, Order):
        return Key("orders", record.order_id, record.revision)
    return Key("fills", record.fill_id) if isinstance(record, Fill) else Key("account", str(record.serial))


class Said:
    """Records by key, and each way in which one was said."""

    def __init__(self) -> None:
        self.found: dict[Key, list[Record]] = {}
        self._fills_at: dict[int, list[Fill]] = {}

    def add(self, record: Record) -> None:
        """One more; the same again changes nothing."""
        known = self.found.setdefault(key_of(record), [])
        if record in known:
            return
        known.append(record)
        if isinstance(record, Fill):
            self._fills_at.setdefault(record.at_ns, []).append(record)

    def fills_at(self, at_ns: int) -> list[Fill]:
        """Executions of a moment, in the order in which they were said."""
        return self._fills_at.get(at_ns, [])

    def until(self, until_ns: int) -> dict[Key, list[Record]]:
        """What was said up to a moment, that one too."""
        return {key: found for key, found in self.found.items() if found[0].at_ns <= until_ns}

    def counts(self, until_ns: int) -> dict[str, int]:
        """Orders, fills and records of the account up to a moment."""
        keys = [*self.until(until_ns)]
        ids = {key.name for key in keys if key.table == "orders"}
        tables = [key.table for key in keys]
        return {"orders": len(ids), "fills": tables.count("fills"), "account": tables.count("account")}

    def account(self, until_ns: int) -> Account | None:
        """The last one up to a moment, that one too."""
        accounts = (one for found in self.found.values() for one in found if isinstance(one, Account))
        return max((one for one in accounts if one.at_ns <= until_ns), key=lambda one: one.serial, default=None)


def is_behind(row: AccountRow, record: Record) -> bool:
    """Whether a record was said behind a snapshot of this row: else it is not computed from there."""
    reached_ns = row.kept.reached_ns
    if isinstance(record, Account):
        return record.serial >= row.books.serial
    working = row.books.working.get(record.order_id)
    if isinstance(record, Order) and working is not None:
        return record.revision > working.order.revision
    if isinstance(record, Fill):
        return record.at_ns > reached_ns
    return record.created_ns > reached_ns


def compare(computed: Said, logged: Said, until_ns: int) -> list[Difference]:
    """All that differs up to a moment, by event time; the first of them is where the two runs part."""
    ours, theirs = computed.until(until_ns), logged.until(until_ns)
    found: list[Difference] = []
    for key in ours.keys() | theirs.keys():
        own, others = computed.found.get(key, []), logged.found.get(key, [])
        if not own:
            found.append(_difference("surplus", key, [], others[0], logged))
        elif not others:
            found.append(_difference("missing", key, [], own[0], computed))
        elif wrong := [one for one in others if one != own[0]]:
            found.append(_difference("different", key, _fields(wrong[0], own[0]), own[0], computed))
    return sorted(found, key=lambda one: (one.at_ns, _RANK[one.key.table], one.key.name, one.key.number))


def _difference(
    what: Literal["missing", "surplus", "different"], key: Key, fields: list[tuple[str, object, object]],
    record: Record, said: Said,
) -> Difference:  # fmt: skip
    return Difference(record.at_ns, what, key, fields, follows_from(record, said), record)


def _fields(logged: Record, computed: Record) -> list[tuple[str, object, object]]:
    names = computed.__struct_fields__
    values = ((name, getattr(logged, name), getattr(computed, name)) for name in names)
    return [(name, msgspec.to_builtins(one), msgspec.to_builtins(other)) for name, one, other in values if one != other]


def follows_from(record: Record, said: Said) -> str:
    """The market record, signal or command that a record follows from, as far as the records say."""
    if isinstance(record, Fill):
        return _evidence(record)
    behind = said.fills_at(record.at_ns)
    if isinstance(record, Account):
        last = behind[-1:] if record.cause in ("fill", "state") else []
        other = {"minute": "a full minute", "control": f"a command: {record.reason}"}.get(record.cause, record.reason)
        return _evidence(last[0]) if last else other
    own = [one for one in behind if one.order_id == record.order_id]
    if own and record.revision:
        return _evidence(own[-1])
    if record.signal_start_ns and not record.revision:
        return f"the signal of {record.symbol}'s bar at {record.signal_start_ns}, {record.signal_place or 'no place'}"
    same = [one for one in behind if one.symbol == record.symbol]
    return _evidence(same[-1]) if same else record.reason or "time"


def _evidence(fill: Fill) -> str:
    return f"{fill.evidence or 'a market record'} at {fill.place or 'no place'}"


def profit(said: Said, row: AccountRow, from_ns: int, until_ns: int) -> dict[str, str]:
    """The account at the end of a stretch, and what its equity gained since the begin; exact, as text."""
    with exact():
        first, last = said.account(from_ns), said.account(until_ns)
        begin = row.books.money.equity_quote() if first is None else first.equity_quote
        if last is None:
            return {"pnl_quote": "0", "equity_quote": _plain(begin)}
        gained = last.equity_quote - begin - (last.flows_quote - (first.flows_quote if first else 0))
        return {"pnl_quote": _plain(gained)} | {name: _plain(getattr(last, name)) for name in _MONEY}


def _plain(value: Decimal) -> str:
    return f"{value:f}"


def shown(differences: Iterable[Difference]) -> list[dict[str, object]]:
    """As they are printed."""
    return [
        {
            "at_ns": one.at_ns, "what": one.what, "table": one.key.table, "id": one.key.name,
            **({"revision": one.key.number} if one.key.table == "orders" else {}),
            "fields": [{"field": name, "log": log, "computed": computed} for name, log, computed in one.fields],
            "follows_from": one.follows_from,
        }
        for one in differences
    ]  # fmt: skip
