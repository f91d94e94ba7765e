"""Records of the log in, what paper trading says of them out: the merge and the engine as one, for all who run them.

State is what `row` gives back. The caller stores it once everything said is in the log, and reads records again from
the first that is not `is_done`; steps made from the row then say the same again. What it does not do: read the log.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sofia_streams.core.merge import Decision, Item, Kept, Merge
from sofia_streams.core.oms.account.holdings import Holding
from sofia_streams.core.oms.desk import Books
from sofia_streams.core.oms.engine import Engine
from sofia_streams.core.oms.money import exact
from sofia_streams.core.oms.rules import Instrument, Lot, Rules
from sofia_streams.core.oms.sequence import CONTROL, Event, Printed, Record, arrivals, input_of, inputs_of
from sofia_streams.model import Gap, Ticker
from sofia_streams.paper import Account, Paper, Taken
from sofia_streams.scored import Signal

Said = Paper | Taken
_STRANGERS_MAX = 1_000


class AccountRow(msgspec.Struct, frozen=True, array_like=True):
    """What the table `account` keeps (sealed): the engine's books, how far each input is handed out, and the `lots`
    that the account began with: a restart rounds as the run before it.
    """

    books: Books
    kept: Kept
    lots: list[tuple[str, str, Lot]] = []


class Sealed(msgspec.Struct, frozen=True, array_like=True, tag="account"):
    """The row of the table `account`: an `AccountRow` as bytes, and their digest (`codec.seal`)."""

    digest: str
    row: msgspec.Raw


class Snapshot(msgspec.Struct, frozen=True, tag_field="kind", tag="snapshot"):
    """Everything at one moment (`account`): who reads the inputs from `offsets` on computes what stands behind it.

    `offsets` by "topic/partition" are the first records that may be new to `row`. What was gone by: `rules` (None: not
    said), `instruments` that are waited for, and the lots in the row.
    """

    at_ns: int
    row: AccountRow
    offsets: dict[str, int]
    rules: Rules | None = None
    instruments: list[Instrument] = []


def lots_of(instruments: list[Instrument], lots: Mapping[tuple[str, str], Lot]) -> list[tuple[str, str, Lot]]:
    """Those of these instruments that are known, as (venue, symbol, lot)."""
    names = {(one.venue, one.symbol): None for one in instruments}
    return [(*name, lots[name]) for name in names if name in lots]


class PaperSteps:
    """`instruments` are those that are waited for; records of others are passed over, and counted in `strangers`."""

    def __init__(
        self,
        rules: Rules,
        instruments: list[Instrument],
        lots: Mapping[tuple[str, str], Lot] = {},
        row: AccountRow | None = None,
    ) -> None:
        """Begins with what the row says; `lots` are for instruments of which it knows none. Raises LedgerUnbalanced
        where it is damaged.
        """
        if row is not None:
            lots = {**lots, **{(venue, symbol): lot for venue, symbol, lot in row.lots}}
        self._engine = Engine(rules, lots, row.books if row is not None else None)
        self.merge: Merge[tuple[Event, str]] = Merge(
            inputs_of(instruments), [CONTROL], None if row is None else row.kept
        )
        self.lots = lots_of(instruments, lots)
        self.rules, self.instruments = rules, instruments
        self.strangers: dict[str, int] = {}
        self.latest: Account | None = None

    @property
    def books(self) -> Books:
        """The account and open orders as they stand."""
        return self._engine.books

    def stranded(self) -> list[Holding]:
        """Positions in symbols of which no record is taken: nothing marks them, and no order in them is met."""
        known = {f"{one.market}|{one.symbol}" for one in self.instruments}
        return [one for key, one in self.books.money.holdings.items() if one.quantity and key not in known]

    def expect(self, taken: list[Taken]) -> None:
        """Decisions of an earlier run (`account`), in order."""
        self.merge.expect(map(_decision, taken))

    def begin_behind(self, taken: list[Taken]) -> None:
        """Those of an account that is gone: this one begins anew, and decides for itself."""
        self.merge.begin_behind(map(_decision, taken))

    def take(self, record: Record, offset: int, place: str) -> int:
        """One record of its input, in order; its last serial, by which `is_done` knows it. Raises MergeFull."""
        name, last = input_of(record), -1
        if not self.merge.knows(name):
            name = name if name in self.strangers or len(self.strangers) < _STRANGERS_MAX else "others"
            self.strangers[name] = self.strangers.get(name, 0) + 1
            return last
        for arrival in arrivals(record, offset):
            value = None if arrival.event is None else (arrival.event, place)
            self.merge.take(name, arrival.serial, value, arrival.at_ns, arrival.passed_ns)
            last = arrival.serial
        return last

    def run(self) -> list[Said]:
        """What is due now: decisions, then what follows from the records."""
        with exact():
            for item in self.merge.ready():
                self._apply(item)
        decided = [Taken(one.number, one.what, one.input, one.serial, one.at_ns) for one in self.merge.take_decided()]
        said = self._engine.take_said()
        for one in said:
            if isinstance(one, Account):
                self.latest = one
        return [*decided, *said]

    def _apply(self, item: Item[tuple[Event, str]]) -> None:
        event, place = item.value
        if isinstance(event, Printed):
            self._engine.trade(event.venue, event.market, event.symbol, event.trade, item.at_ns, place)
        elif isinstance(event, Ticker):
            self._engine.ticker(event, item.at_ns, place)
        elif isinstance(event, Signal):
            self._engine.signal(event, item.at_ns)
        elif isinstance(event, Gap):
            self._engine.gap(event, item.at_ns)
        else:
            self._engine.command(event, item.at_ns)

    def row(self) -> AccountRow:
        """What must be kept to go on from here."""
        return AccountRow(self.books, self.merge.kept(), self.lots)

    def snapshot(self, row: AccountRow, offsets: dict[str, int]) -> Snapshot:
        """With what is gone by; `offsets` as it has them."""
        return Snapshot(row.kept.reached_ns, row, offsets, self.rules, self.instruments)


def _decision(taken: Taken) -> Decision:
    return Decision(taken.number, taken.what, taken.input, taken.serial, taken.at_ns)


def is_done(row: AccountRow, name: str, serial: int) -> bool:
    """Whether a record of an input is behind what the row says, so that it need not be read again."""
    place = row.kept.places.get(name)
    return place is None or serial <= place.serial
