"""`sofia verify --repair` beside a writer that is at work: a store ends with the last revision, whoever wrote last."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from sofia_streams.model import NS_PER_SECOND, Bar
from sofia_streams.ops.verify.log import Span
from sofia_streams.ops.verify.logged import Logged, item_of, logged_rows, rows_and_items
from sofia_streams.ops.verify.run import _Run

BAR = Bar("okx", "spot", "BTC/USDT", NS_PER_SECOND, 7 * NS_PER_SECOND, *[Decimal(1)] * 7, 1, Decimal(1), "1", "1")
((BUCKET, _, _),) = logged_rows(BAR, 0)


class Log:
    """A log of revisions of one bar; what is appended after `read` rows is known by `advance` alone."""

    def __init__(self, read: int) -> None:
        self.bars = [msgspec.structs.replace(BAR, revision=number) for number in range(read)]
        self.span, self.recent, self._next = Span(), defaultdict(set), read

    def rows(self) -> list[Logged]:
        return [Logged(offset, 1, bar) for offset, bar in enumerate(self.bars)]

    def append(self) -> Bar:
        self.bars.append(msgspec.structs.replace(BAR, revision=len(self.bars)))
        return self.bars[-1]

    def settled_before(self, bucket: object, worker: str) -> int:
        return len(self.bars)

    def begins_ns(self, bucket: object) -> int:
        return 0

    async def advance(self, bucket: object = None, identities: Any = ()) -> dict[str, Logged]:
        new, self._next = self.rows()[self._next :], len(self.bars)
        self.recent[BUCKET] |= {item_of(row.record).identity for row in new}
        return {name: row for row in new if bucket == BUCKET and (name := item_of(row.record).identity) in identities}


class Store:
    """Takes whole rows; the writer puts a newer revision there just before each of the first `races` repairs."""

    name, worker, holds_all, has_extras, on_surplus = "questdb", "timeseries_writer", True, False, ""

    def __init__(self, log: Log, races: int) -> None:
        self.held: Bar | None = None
        self._log, self._races = log, races

    def items(self, bucket: object, count: int) -> list[Any]:
        return [] if self.held is None else [item_of(self.held)]

    def write(self, records: list[Any]) -> int:
        if self._races:
            self._races -= 1
            self.held = self._log.append()
        self.held = records[-1]
        return len(records)


@pytest.mark.parametrize("races", range(4))
async def test_a_bar_that_is_revised_while_it_is_repaired_ends_as_its_last_revision(races: int):
    log = Log(2)
    rows, store = log.rows(), Store(log, races)
    run = _Run(log, None, [store], None, lambda _: None, repair=True)  # type: ignore[arg-type]
    run._counts = {"questdb": {BUCKET: 1}}
    await run._database(store, BUCKET, rows_and_items(rows))  # type: ignore[arg-type]
    assert store.held == log.bars[-1]
    assert store.held.revision == 1 + races
    assert run._repaired == {"questdb": 1}
