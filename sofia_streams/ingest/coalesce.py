"""Joins trades of one instrument that arrive close together into one log record. The clock is a parameter.

A quiet instrument's trades go out at once. While several are busy, each waits a little longer between its records, so
that all together make about RECORDS_PER_S: what a record costs every reader stays the same however many there are.
Trades by which a second of their instrument passes go out at once, behind what was held, a record more for each second:
bars wait for those. So nothing is held beyond its second, at whatever speed a recording is read, and venues come no
further apart in the log than they were. Sends nothing.
"""

from __future__ import annotations

from collections import defaultdict

import msgspec

from sofia_streams.core.bars.watermark import Watermark
from sofia_streams.core.bars.windows import instrument_key
from sofia_streams.model import TradeBatch

RECORDS_PER_S = 300.0
TRADES_A_RECORD_MAX = 1_000
_BUSY_S, _COUNT_EVERY_S = 1.0, 0.05


class Coalescer:
    """Holds at most `wait_s_max` worth of trades of each instrument; `now_s` is any clock that only grows.

    `lateness_ns`: a second has passed with a trade so far behind its end (`core.bars.watermark`).
    """

    def __init__(self, wait_s_max: float, lateness_ns: int) -> None:
        self._wait_s_max = wait_s_max
        self._watermarks: dict[str, Watermark] = defaultdict(lambda: Watermark(lateness_ns))
        self._held: dict[str, list[TradeBatch]] = {}
        self._sent_s: dict[str, float] = {}
        self._counted_s = float("-inf")
        self.wait_s = 0.0
        """How old an instrument's last record must be before the next."""

    def add(self, batch: TradeBatch, now_s: float) -> list[TradeBatch]:
        """The records to send now, in order: none while the instrument waits for more."""
        name = instrument_key(batch.venue, batch.market, batch.symbol)
        held = self._held.get(name)
        passes = self._passes(name, batch)
        records = self.take(name, now_s) if held and (passes or held[0].line != batch.line) else []
        held = self._held.setdefault(name, [])
        held.append(batch)
        is_full = sum(len(one.trades) for one in held) >= TRADES_A_RECORD_MAX
        if passes or is_full or self._is_due(name, now_s):
            records += self.take(name, now_s)
        return records

    def due(self, now_s: float) -> list[TradeBatch]:
        """The records of instruments that waited long enough; ask a few times within the shortest wait."""
        names = [name for name in self._held if self._is_due(name, now_s)]
        return [record for name in names for record in self.take(name, now_s)]

    def take(self, name: str, now_s: float) -> list[TradeBatch]:
        """What is held of one instrument, as one record or none."""
        batches = self._held.pop(name, None)
        if not batches:
            return []
        self._sent(name, now_s)
        trades = [trade for batch in batches for trade in batch.trades]
        return [msgspec.structs.replace(batches[0], trades=trades)]  # the oldest receipt counts for latency

    def take_all(self, now_s: float) -> list[TradeBatch]:
        """Everything that is held."""
        return [record for name in list(self._held) for record in self.take(name, now_s)]

    def _passes(self, name: str, batch: TradeBatch) -> bool:
        """Whether a second passes by these trades."""
        watermark = self._watermarks[name]
        before_ns = watermark.passed_ns
        watermark.saw(max((trade.exchange_ns for trade in batch.trades), default=0))
        return watermark.passed_ns > before_ns

    def _is_due(self, name: str, now_s: float) -> bool:
        return now_s - self._sent_s.get(name, float("-inf")) >= self.wait_s

    def _sent(self, name: str, now_s: float) -> None:
        self._sent_s[name] = now_s
        if now_s - self._counted_s >= _COUNT_EVERY_S:
            self._sent_s = {one: at_s for one, at_s in self._sent_s.items() if now_s - at_s < _BUSY_S}
            self.wait_s = min(self._wait_s_max, len(self._sent_s) / RECORDS_PER_S)
            self._counted_s = now_s
