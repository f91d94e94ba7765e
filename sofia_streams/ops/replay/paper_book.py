"""What paper trading said in a replay, and the hashes by which two runs are compared. Reads nothing but the lots
that are kept in DATA_DIR (`PaperFold`).

`PaperFold` makes it with the steps of the paper_oms worker. What it does not do: read the log, make signals.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal

import msgspec

from sofia_streams.core.oms.money import told
from sofia_streams.core.oms.rules import Instrument, Lot, Rules
from sofia_streams.core.oms.sequence import Record, input_of
from sofia_streams.core.oms.steps import Snapshot
from sofia_streams.ingest.rest.lots import kept_lots
from sofia_streams.ops.replay.digest import sha256_of
from sofia_streams.paper import Account, Fill, Order
from sofia_streams.paper_rules import paper_steps
from sofia_streams.settings import Settings


class PaperBook:
    """Orders by id, the last revision of each; fills by id; what was said of the account by serial."""

    def __init__(self) -> None:
        self._orders: dict[str, Order] = {}
        self._fills: dict[str, Fill] = {}
        self._accounts: dict[int, Account] = {}
        self.snapshot: Snapshot | None = None
        """The newest."""

    def add(self, record: object) -> None:
        """One that is written again replaces itself; anything else is left out."""
        if isinstance(record, Order):
            known = self._orders.get(record.order_id)
            if known is None or known.revision <= record.revision:
                self._orders[record.order_id] = record
        elif isinstance(record, Fill):
            self._fills[record.fill_id] = record
        elif isinstance(record, Account):
            self._accounts[record.serial] = record
        elif isinstance(record, Snapshot):
            self.snapshot = record

    def orders(self) -> list[Order]:
        """By when they were made."""
        return sorted(self._orders.values(), key=lambda one: (one.created_ns, one.order_id))

    def fills(self) -> list[Fill]:
        """By time."""
        return sorted(self._fills.values(), key=lambda one: (one.at_ns, one.fill_id))

    def accounts(self) -> list[Account]:
        """By serial."""
        return [self._accounts[serial] for serial in sorted(self._accounts)]

    def counts(self) -> dict[str, int]:
        """Orders in all and by last status, fills, partial fills, halts (said by a limit or a command)."""
        found = Counter(one.status for one in self._orders.values())
        halts = Counter(one.state for one in self._accounts.values() if one.cause in ("state", "control"))
        partial = sum(one.order_status == "partially_filled" for one in self._fills.values())
        return {
            "orders": len(self._orders), "fills": len(self._fills), "partial_fills": partial,
            **dict(sorted(found.items())), "halts": halts["HALTED"],
        }  # fmt: skip

    def hashes(self) -> dict[str, str]:
        """SHA-256 of all `orders`, `fills` and `account`, as canonical JSON lines; without places in the log, decimals
        by value (a store may add zeros to them).
        """
        replace = msgspec.structs.replace
        return {
            "orders": sha256_of(_canonical(replace(one, signal_place="")) for one in self.orders()),
            "fills": sha256_of(_canonical(replace(one, place="")) for one in self.fills()),
            "account": sha256_of(map(_canonical, self.accounts())),
        }


def _canonical(value: object) -> object:
    if isinstance(value, Decimal):
        return told(value)
    if isinstance(value, msgspec.Struct):
        return {name: _canonical(getattr(value, name)) for name in value.__struct_fields__}
    return [*map(_canonical, value)] if isinstance(value, list) else value


class PaperFold:
    """Trades as the worker paper_oms does, in this process. Nobody is ever given up: the recording is the clock."""

    def __init__(self, settings: Settings) -> None:
        self.book = PaperBook()
        self._steps = paper_steps(settings, kept_lots(settings))
        self._offsets: dict[str, int] = defaultdict(int)

    def gone_by(self) -> tuple[Rules, list[Instrument], list[tuple[str, str, Lot]]]:
        """What decides besides the records."""
        return self._steps.rules, self._steps.instruments, self._steps.lots

    def take(self, record: Record) -> None:
        """The next record of its input, in the order of the log."""
        name = input_of(record)
        self._steps.take(record, self._offsets[name], "")
        self._offsets[name] += 1
        for said in self._steps.run():
            self.book.add(said)
