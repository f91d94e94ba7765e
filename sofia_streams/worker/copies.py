"""Which trades of a filled hole may have another copy in the log behind it, which then is the row to keep. Pure.

A print that a venue replayed as history may come live later, and one that was fetched may come late by itself, or the
other way round; two live copies are the same. What it does not do: read the log (`filling`).
"""

from __future__ import annotations

import msgspec

from sofia_streams.model import Trade, TradeBatch
from sofia_streams.stores.base import Record

NOTED_MAX = 500_000
"""Above this many every later trade counts as a copy: memory is bounded, and a row may be written once more."""
_Key = tuple[str, str, str, str, str, int]


class Copies:
    """One hole's."""

    def __init__(self, noted_max: int = NOTED_MAX) -> None:
        self._noted: set[_Key] = set()
        self._noted_max = noted_max

    def noted(self, record: Record) -> Record:
        """The same record, which is filled; those of its trades that may have a copy are remembered."""
        if isinstance(record, TradeBatch) and len(self._noted) <= self._noted_max:
            self._noted |= {_key(record, one) for one in record.trades if one.snapshot or one.backfilled}
        return record

    def again(self, record: Record) -> Record | None:
        """Of a record behind the hole: what may be another copy of one in it; None: nothing."""
        if not isinstance(record, TradeBatch) or len(self._noted) > self._noted_max:
            return record
        found = [one for one in record.trades if one.backfilled or _key(record, one) in self._noted]
        return msgspec.structs.replace(record, trades=found) if found else None


def _key(batch: TradeBatch, trade: Trade) -> _Key:
    """What makes a row of `trades` the same row (`stores.base.TABLES`)."""
    return batch.venue, batch.market, batch.symbol, trade.id_kind, trade.trade_id, trade.exchange_ns
