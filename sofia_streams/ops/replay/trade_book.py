"""What a replay's own records say about its trades: each distinct one, and which came late. Does no I/O.

Late is decided trade by trade in the order of the log, so that it does not depend on how trades were put together into
records: a pipeline run and an in-process run of one recording give the same number.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from sofia_streams.core.bars.ohlcv import window_start_ns
from sofia_streams.core.bars.watermark import Watermark
from sofia_streams.core.bars.windows import instrument_key
from sofia_streams.core.feeds.tape import identity_of
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND, Gap, Punctuation, Trade, TradeBatch


class Kept(NamedTuple):
    """A trade with the record it came in (whose own trades are left out)."""

    batch: TradeBatch
    trade: Trade


class TradeBook:
    """Takes the records of `trades` in the order of the log, instrument by instrument.

    `lateness_ns` is the allowance before a second closes; `keep` whether the trades themselves are remembered.
    """

    def __init__(self, lateness_ns: int, *, keep: bool = False) -> None:
        self._keep = keep
        self._watermarks: dict[str, Watermark] = defaultdict(lambda: Watermark(lateness_ns))
        self._kept: dict[str, dict[tuple[str, str, int], Kept]] = defaultdict(dict)
        self.gaps: set[tuple[str, str]] = set()
        """The holes that were found, by instrument and gap id."""
        self.late: Counter[str] = Counter()
        """By instrument: trades whose second was closed, by the watermark of their own venue, when they came."""

    def add(self, record: TradeBatch | Punctuation | Gap) -> None:
        """One record."""
        name = instrument_key(record.venue, record.market, record.symbol)
        if isinstance(record, Gap):
            self.gaps.add((name, record.gap_id))
            return
        watermark = self._watermarks[name]
        if isinstance(record, Punctuation):
            if record.alive:
                watermark.heard(record.exchange_ns)
            else:
                watermark.reach(_minute_end_ns(watermark))
            return
        for trade in record.trades:
            if not trade.snapshot:
                self.late[name] += watermark.is_late(trade.exchange_ns)
                watermark.saw(trade.exchange_ns)
        if self._keep:
            self._remember(name, record)

    def batches(self) -> Iterator[TradeBatch]:
        """Every distinct trade by instrument, in the order of the log; one that was seen live is live."""
        for name in sorted(self._kept):
            for batch, trade in self._kept[name].values():
                yield msgspec.structs.replace(batch, trades=[trade])

    def _remember(self, name: str, record: TradeBatch) -> None:
        kept = self._kept[name]
        head = msgspec.structs.replace(record, trades=[])
        for trade in record.trades:
            identity = identity_of(trade)
            known = kept.get(identity)
            if known is None or (known.trade.snapshot and not trade.snapshot):
                kept[identity] = Kept(head, trade)


def _minute_end_ns(watermark: Watermark) -> int:
    """The end of the minute in which a feed that ended had its last trade: nothing of it stays open."""
    reached_ns = max(watermark.passed_ns, window_start_ns(watermark.newest_ns, NS_PER_SECOND) + NS_PER_SECOND)
    return -(-reached_ns // NS_PER_MINUTE) * NS_PER_MINUTE
