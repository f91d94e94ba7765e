"""Two connections with the same trades: which one has them first, and by how much. Pure, bounded; times in ns.

The first arrival of a trade is taken by whoever deduplicates (`tape`); here the second one is compared with it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sofia_streams.model import Trade

_IDS_MAX = 5_000


class LineRace:
    """The race of the lines of one instrument."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[str, int] | None] = {}  # None once it is decided

    def saw(self, line: str, trades: Sequence[Trade], received_ns: int) -> list[tuple[str, int]]:
        """Trades as a line delivered them, repeated ones included; the (line, lead) of those that two lines had."""
        decided = []
        for trade in trades:
            known = self._first.setdefault(trade.trade_id, (line, received_ns))
            if known is not None and known[0] != line:
                self._first[trade.trade_id] = None
                leader, first_ns = known
                decided.append((leader, received_ns - first_ns))
        while len(self._first) > _IDS_MAX:
            del self._first[next(iter(self._first))]
        return decided
