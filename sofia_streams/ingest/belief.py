"""Which prints and tickers of a frame are believed, and why the others are not (`core.feeds.plausible` has the rules).

What is not believed is noted; the frame then goes to `quarantine` with the reasons.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sofia_streams.core.feeds.plausible import AHEAD_NS_MAX, BEHIND_NS_MAX, PriceGuard, time_trouble
from sofia_streams.model import ParsedTicker, Quarantined, Trade

_FRAME_BYTES_KEPT = 65_536
_REASONS_KEPT = 5


class Belief:
    """The last believed price of every instrument, and the troubles of the frame at hand: (instrument or "", why)."""

    def __init__(self) -> None:
        self._guards: dict[str, PriceGuard] = defaultdict(PriceGuard)
        self.troubles: list[tuple[str, str]] = []

    def forget(self) -> None:
        """Another frame is at hand."""
        self.troubles.clear()

    def note(self, name: str, why: str) -> None:
        """Something of the frame cannot be taken."""
        self.troubles.append((name, why))

    def summary(self) -> str:
        """The first reasons, and how many more there are."""
        reasons = [why for _, why in self.troubles]
        more = f"; and {len(reasons) - _REASONS_KEPT} more" if len(reasons) > _REASONS_KEPT else ""
        return "; ".join(reasons[:_REASONS_KEPT]) + more

    def compare(self, name: str, trade: Trade) -> None:
        """A print that is in the log already: later ones are compared with it."""
        self._guards[name].trouble(trade.price, trade.trade_id)

    def believed(self, name: str, trades: Sequence[Trade], now_ns: int) -> list[Trade]:
        """Those of a plausible time and price at `now_ns`, the receipt; the others are noted."""
        guard = self._guards[name]
        believed = []
        for trade in trades:
            why = None
            if not -AHEAD_NS_MAX <= now_ns - trade.exchange_ns <= BEHIND_NS_MAX:
                why = time_trouble(trade.exchange_ns, now_ns, history=trade.snapshot)
            why = why or guard.trouble(trade.price, trade.trade_id)
            if why is None:
                believed.append(trade)
            else:
                self.note(name, f"{name} trade {trade.trade_id}: {why}")
        return believed

    def believes_ticker(self, name: str, found: ParsedTicker, now_ns: int) -> bool:
        """Whether a ticker's time and last price are plausible; if not it is noted."""
        why = None if found.exchange_ns is None else time_trouble(found.exchange_ns, now_ns, history=True)
        last = found.fields.get("last")
        if last is not None and why is None:
            why = self._guards[f"{name}|last"].trouble(last, str(found.exchange_ns))
        if why is not None:
            self.note(name, f"{name} ticker: {why}")
        return why is None


def quarantined(source: str, frame: bytes, received_ns: int, reason: str) -> Quarantined:
    """What could not be taken, as a record; of a long frame its beginning."""
    return Quarantined(source, reason, frame[:_FRAME_BYTES_KEPT].decode("utf-8", "backslashreplace"), received_ns)
