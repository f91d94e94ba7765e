"""Which prints of a feed are new, and which are history: repeated trades out, replayed ones marked. No clock, no I/O.

A venue may send the last trade of an instrument, seconds or hours old, right after a subscription. Such a print is
marked `snapshot` (stored, but left out of bars). Where another connection had it live, it is live.

Mutable and bounded, because it stands in the hot path of ingest: at most `ids_max` identities an instrument.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sofia_streams.model import NS_PER_MS, ParsedTrade, Trade

_LATE_ACKS = frozenset({"okx", "bybit"})
"""Venues whose first trade frame of an instrument on a connection may hold prints from before the subscription."""


class History:
    """Marks the prints of one connection that are older than its first request. One object a connection."""

    def __init__(self, venue: str, requested_ns: int | None = None) -> None:
        self._may_replay = venue in _LATE_ACKS
        self._requested_ns = requested_ns
        self._begun: set[str] = set()
        self._replayed: set[tuple[str, str]] = set()

    def requested(self, sent_ns: int) -> None:
        """The client sent a frame; only the first counts."""
        if self._requested_ns is None:
            self._requested_ns = sent_ns

    def mark(self, prints: Sequence[ParsedTrade]) -> list[ParsedTrade]:
        """The prints of one frame, history marked as `snapshot`; the same print again on this connection likewise."""
        if not self._may_replay:
            return list(prints)
        before_ns = self._requested_ns or 0
        first = {found.venue_symbol for found in prints} - self._begun
        self._begun |= first
        marked = []
        for found in prints:
            name = (found.venue_symbol, found.trade.trade_id)
            if found.venue_symbol in first and found.trade.exchange_ns < before_ns:
                self._replayed.add(name)
            is_history = name in self._replayed
            marked.append(_as_snapshot(found) if is_history else found)
        return marked


def _as_snapshot(found: ParsedTrade) -> ParsedTrade:
    return ParsedTrade(found.venue_symbol, msgspec.structs.replace(found.trade, snapshot=True))


def identity_of(trade: Trade) -> tuple[str, str, int]:
    """The kind of id, the id, and the millisecond.

    A venue whose ids begin again at 1 (after a reset, or a relisting) sends new prints under old numbers, and the time
    tells them apart.
    """
    return trade.id_kind, trade.trade_id, trade.exchange_ns // NS_PER_MS


class Tape:
    """The identities seen lately of one instrument. `ids_max` bounds it; the oldest are forgotten first."""

    def __init__(self, ids_max: int = 200_000) -> None:
        self._ids_max = ids_max
        self._was_snapshot: dict[tuple[str, str, int], bool] = {}
        self._highest: dict[str, tuple[int, int]] = {}
        self.total = 0
        """Distinct prints ever seen, those forgotten included."""
        self.snapshots = 0
        """How many of them were only ever seen as history."""
        self.epochs = 0
        """How often the ids began again: a later print whose number is less than half of the highest."""

    def __len__(self) -> int:
        return len(self._was_snapshot)

    def admit(self, trades: Sequence[Trade]) -> list[Trade]:
        """Those not seen before, in order; a live copy of a print seen as history is new once more."""
        new = []
        seen = self._was_snapshot
        for trade in trades:
            name = identity_of(trade)
            known = seen.get(name)
            if known is None or (known and not trade.snapshot):
                if known is None:
                    self.total += 1
                    self.snapshots += trade.snapshot
                else:
                    self.snapshots = max(0, self.snapshots - 1)  # one of an earlier run was not counted
                seen[name] = trade.snapshot
                new.append(trade)
        while len(seen) > self._ids_max:
            del seen[next(iter(seen))]
        if new:
            self._count_epochs(new[-1])
        return new

    def prime(self, trades: Sequence[Trade]) -> None:
        """Remember prints of an earlier run; they are known, and not counted."""
        counted = self.total, self.snapshots, self.epochs
        self.admit(trades)
        self.total, self.snapshots, self.epochs = counted

    def distinct(self, trades: Sequence[Trade]) -> list[Trade]:
        """As `admit`, but a print is new only once, whether history or live: for sinks with one entry a trade."""
        known = {name for trade in trades if (name := identity_of(trade)) in self._was_snapshot}
        return [trade for trade in self.admit(trades) if identity_of(trade) not in known]

    def _count_epochs(self, last: Trade) -> None:
        if last.snapshot:
            return
        order, at_ns = self._highest.get(last.id_kind, (last.order, last.exchange_ns))
        begins_again = last.order * 2 < order and last.exchange_ns > at_ns
        self.epochs += begins_again
        if begins_again or last.order >= order:
            self._highest[last.id_kind] = last.order, last.exchange_ns


class ArrivalOrder:
    """Puts prints of one instrument that share a time and a sequence into the order they came in.

    For a venue whose `order` is a sequence times `places` plus the place in the frame, and where several frames may
    have one sequence (Bybit): the next frame's prints go behind those that came before. Frames whose sequences differ
    keep the venue's order, however they came.

    Only live prints pass here. A fetched one has no place in a frame, so it has the first of its sequence: it stands
    between the sequences where it belongs, before the live prints of its own or (by the smaller id) level with their
    first. So first and last of a window are always defined, and are the same for any order of the same records, also
    where live and fetched prints mix. What is not known is the order within one sequence, the prints of one order of a
    taker at one time, when some of them were fetched: there a bar's open and close may be another print of it.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._at_ns = 0
        self._sequence = self._last = -1

    def ordered(self, trades: Sequence[Trade]) -> list[Trade]:
        """The same prints, each behind those of its time and sequence."""
        return [self._behind(trade) for trade in trades]

    def _behind(self, trade: Trade) -> Trade:
        sequence = trade.order // self._places
        if trade.exchange_ns > self._at_ns:
            self._at_ns, self._sequence, self._last = trade.exchange_ns, sequence, trade.order
        elif trade.exchange_ns == self._at_ns and sequence >= self._sequence:
            if trade.order <= self._last:
                trade = msgspec.structs.replace(trade, order=self._last + 1)
            self._sequence, self._last = sequence, trade.order
        return trade
