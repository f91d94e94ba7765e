"""Fetched trades that are not believed: told from the others, counted, and put into `quarantine` with the reason.

The rules are those for live prints (`core.feeds.pages`). Where the ids that are wanted lie between trades whose times
are known, a trade of these ids is not believed either if its time is far outside.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from decimal import Decimal

from sofia_streams import codec
from sofia_streams.core.bars.windows import instrument_key
from sofia_streams.core.feeds.ids import IdSet
from sofia_streams.core.feeds.pages import doubts
from sofia_streams.core.feeds.plausible import AHEAD_NS_MAX
from sofia_streams.ingest.belief import Belief, quarantined
from sofia_streams.ingest.log_trades import Instrument
from sofia_streams.ingest.trade_log import TradeLog
from sofia_streams.model import Trade
from sofia_streams.obs import metrics

_EDGE_NS = 2 * AHEAD_NS_MAX
"""A trade at the edge may be as far ahead as a live one is believed to be, and so may the fetched one."""


class Doubted:
    """What of a stretch is not believed. It outlives a try; the same trade is counted and said once.

    edges_ns  between which times the trades of the wanted ids must lie; None where nobody knows
    """

    def __init__(self, edges_ns: tuple[int, int] | None = None) -> None:
        self._edges_ns = edges_ns
        self._price: Decimal | None = None
        self.ids = IdSet()
        self.why = ""
        """The first reason that was found last."""

    def of(self, page: Sequence[Trade], first_id: int, last_id: int) -> dict[str, str]:
        """By trade id, why a trade of this page is not believed; the ids that are wanted."""
        found = doubts(page, self._price, time.time_ns())
        for trade in page:
            if first_id <= trade.order and trade.first_order <= last_id and trade.trade_id not in found:
                why = self._outside(trade)
                if why is not None:
                    found[trade.trade_id] = why
        self._price = next((one.price for one in reversed(page) if one.trade_id not in found), self._price)
        return found

    def _outside(self, trade: Trade) -> str | None:
        if self._edges_ns is None:
            return None
        before_ns, after_ns = self._edges_ns[0] - trade.exchange_ns, trade.exchange_ns - self._edges_ns[1]
        if max(before_ns, after_ns) <= _EDGE_NS:
            return None
        found = f"{before_ns / 1e9:.0f} s before" if before_ns > 0 else f"{after_ns / 1e9:.0f} s after"
        return f"expected a time between those of the trades around the gap, found one {found} them"

    async def set_aside(
        self, log: TradeLog, one: Instrument, trades: Sequence[Trade], reasons: Mapping[str, str], line: str
    ) -> None:
        """Count and quarantine those that were not before. Raises what the log raises."""
        new = [trade for trade in trades if trade.trade_id not in self.ids]
        if not new:
            return
        self.ids = self.ids.union(trade.trade_id for trade in new)
        name, belief = instrument_key(*one), Belief()
        for trade in new:
            belief.note(name, f"{name} trade {trade.trade_id}: {reasons[trade.trade_id]}")
        self.why = f"trade {new[0].trade_id}: {reasons[new[0].trade_id]}"
        metrics.REFUSED.labels(one.venue).inc(len(new))
        metrics.QUARANTINED.labels(one.venue).inc()
        source = f"{one.venue}|{one.market}|{line}"
        await log.put(quarantined(source, codec.encode(new), time.time_ns(), belief.summary()))
