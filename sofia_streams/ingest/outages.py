"""Interruptions of feeds become gaps: a connection that dropped, a worker that was away, an instrument gone silent.

Every interruption is a hole until it is known what of it is missing. Where ids count the next trade shows that: then
the hole is taken back, behind the gaps of the ids it shows. Where they do not (Bybit), a backfill or the venue's own
candles must say so. Works on the receiver's clock and the venue's, as far as that is known; opens no connection.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

import msgspec

from sofia_streams.core.bars.ohlcv import window_start_ns
from sofia_streams.core.bars.windows import instrument_key
from sofia_streams.core.feeds.gaps import GRACE_NS
from sofia_streams.core.feeds.pulse import Pulse
from sofia_streams.core.feeds.skew import ClockSkew
from sofia_streams.ingest.gap_watch import GapWatch
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND, Punctuation, TradeBatch
from sofia_streams.venues.registry import VENUES

_EDGE_NS = NS_PER_SECOND
"""Frames of one socket may overtake one another by so much, between topics and in the venue's own queues."""
_PROVEN_NS = GRACE_NS + 2 * NS_PER_SECOND
"""So long after the first trade behind a hole the ids that it shows missing have been said, in a tick before."""


class Outages:
    """What is interrupted, by instrument: the gap ids, while they last."""

    def __init__(self, gaps: GapWatch, skews: Mapping[str, ClockSkew], silent_ns_min: int) -> None:
        self._gaps, self._skews, self._silent_ns_min = gaps, skews, silent_ns_min
        self._reached_ns: dict[str, tuple[TradeBatch, int]] = {}
        self._began_ns: dict[str, int] = {}  # the earliest that is known of an instrument, on its venue's clock
        self._lasting: dict[str, list[str]] = defaultdict(list)
        self._silent: dict[str, str] = {}
        self._unproven: dict[str, dict[str, int]] = defaultdict(dict)
        """Where ids count: holes that have ended, and when a trade came behind them (0: none yet)."""
        self._lost_track: set[str] = set()  # silent since before a restart, and the last id before it is not known
        self._pulses: dict[str, Pulse] = {}
        self.levels: dict[str, int] = {}
        """Instruments that are silent, and for how many times what is usual."""

    def remember(self, record: TradeBatch | Punctuation) -> None:
        """A record from before a restart: so far the log is whole."""
        name = instrument_key(record.venue, record.market, record.symbol)
        if isinstance(record, TradeBatch):
            live = [trade.exchange_ns for trade in record.trades if not (trade.snapshot or trade.backfilled)]
            at_ns = max(live, default=0)
        else:
            at_ns = record.exchange_ns if record.alive else 0
        if at_ns:
            self._began_ns[name] = min(at_ns, self._began_ns.get(name, at_ns))
        head = TradeBatch(record.venue, record.market, record.symbol, record.received_ns, record.line, [])
        known_ns = self._reached_ns[name][1] if name in self._reached_ns else 0
        self._reached_ns[name] = (head, max(known_ns, at_ns))

    def begin(self, subscribed: Collection[str], now_ns: int) -> None:
        """After a restart: what was read of the instruments that are read on stopped where the log stops."""
        for name, known in self._gaps.open.items():
            for gap in (one.gap for one in known.values() if one.gap.until_ns is None):
                if gap.cause == "stale":
                    self._silent[name] = gap.gap_id
                    if not self._gaps.newest_id(name)[1]:
                        self._lost_track.add(name)
                else:
                    self._lasting[name].append(gap.gap_id)
        for name, (head, at_ns) in self._reached_ns.items():
            if name in subscribed and at_ns and not self._is_known(name):
                self._interrupt(name, head, at_ns - _EDGE_NS, now_ns)
        self._reached_ns.clear()

    def dropped(self, heads: Iterable[TradeBatch], heard_ns: int, now_ns: int) -> None:
        """The connection of these instruments ended without another to take over; it was heard last at `heard_ns`."""
        for head in heads:
            name = instrument_key(head.venue, head.market, head.symbol)
            if not self._is_known(name):
                heard_there_ns = self._skews[head.venue].exchange_now_ns(heard_ns)
                self._interrupt(name, head, heard_there_ns - _EDGE_NS, now_ns)

    def resumed(self, names: Iterable[str], now_ns: int) -> None:
        """Instruments whose connection is live again: their holes have an end."""
        for name in names:
            for gap_id in self._lasting.pop(name, ()):
                self._over(name, gap_id, now_ns)

    def saw(self, name: str, now_ns: int, *, has_trades: bool = False) -> None:
        """A frame with news of an instrument; `has_trades` where those are trades of now."""
        pulse = self._pulses.get(name)
        if pulse is None:
            pulse = self._pulses[name] = Pulse(now_ns, self._silent_ns_min)
            self._began_ns.setdefault(name, self._skews[name.partition("|")[0]].exchange_now_ns(now_ns))
        pulse.saw(now_ns)
        gap_id = self._silent.pop(name, None)
        if gap_id is not None:
            self.levels.pop(name, None)
            self._over(name, gap_id, now_ns)
        if has_trades and name in self._unproven:
            for gap_id, proven_ns in self._unproven[name].items():
                self._unproven[name][gap_id] = proven_ns or now_ns

    def moved(self, by_ns: int) -> None:
        """The receiver's clock was set."""
        for pulse in self._pulses.values():
            pulse.moved(by_ns)
        for holes in self._unproven.values():
            holes.update({gap_id: proven_ns + by_ns for gap_id, proven_ns in holes.items() if proven_ns})

    def look(self, now_ns: int, over: Collection[str] = ()) -> None:
        """Once a second or so: an instrument that is silent for longer than is usual for it becomes a gap, and one that
        printed again has none any more but for ids that are missing.

        `over` are instruments whose recording is over: their silence says nothing.
        """
        self._take_back(now_ns)
        for name, pulse in self._pulses.items():
            level = 0 if name in over else pulse.level(now_ns)
            head = self._gaps.heads.get(name)
            if level and head is not None and not self._lasting.get(name):
                self.levels[name] = level
                if name not in self._silent:
                    from_ns = self._skews[head.venue].exchange_now_ns(pulse.heard_ns)
                    self._silent[name] = self._gaps.interrupted(head, "stale", from_ns, now_ns).gap_id

    def _over(self, name: str, gap_id: str, now_ns: int) -> None:
        """A hole has ended. Where ids count, the next trade shows whether anything of it is missing."""
        if name in self._lost_track and VENUES[name.partition("|")[0]].ids_count:
            self._lost_track.discard(name)
            self._end(name, gap_id, now_ns, detail="heard again; the last id before the restart is not known")
            return
        self._end(name, gap_id, now_ns)
        if VENUES[name.partition("|")[0]].ids_count:
            self._unproven[name][gap_id] = 0

    def _take_back(self, now_ns: int) -> None:
        for name, holes in [*self._unproven.items()]:
            for gap_id, proven_ns in holes.items():
                if proven_ns and now_ns - proven_ns >= _PROVEN_NS:
                    self._gaps.close(name, gap_id, now_ns, detail="heard again; missing ids are gaps of their own")
            # what is not open here any more is closed, or left to who fills it
            left = {gap_id: proven_ns for gap_id, proven_ns in holes.items() if gap_id in self._gaps.open[name]}
            if left:
                self._unproven[name] = left
            else:
                del self._unproven[name]

    def _is_known(self, name: str) -> bool:
        """Whether a hole lasts already."""
        return bool(self._lasting.get(name)) or name in self._silent

    def _interrupt(self, name: str, head: TradeBatch, from_ns: int, now_ns: int) -> None:
        """Open the hole: a dead feed, where the ids will show what is missing.

        Where they do not: in the minute that a feed began in, the venue's candle cannot show a print that came so late
        that it was cut off with the connection. There the hole reaches back to the beginning.
        """
        if VENUES[head.venue].ids_count:
            gap = self._gaps.interrupted(head, "stale", from_ns, now_ns)
            self._unproven[name].pop(gap.gap_id, None)
        else:
            began_ns = self._began_ns.get(name, 0)
            if began_ns >= window_start_ns(from_ns, NS_PER_MINUTE):
                from_ns = min(from_ns, began_ns)
            gap = self._gaps.interrupted(head, "outage", from_ns, now_ns)
        self._lasting[name].append(gap.gap_id)

    def _end(self, name: str, gap_id: str, now_ns: int, detail: str = "") -> None:
        known = self._gaps.open[name].get(gap_id)
        if known is not None:
            until_ns = self._skews[name.partition("|")[0]].exchange_now_ns(now_ns) + _EDGE_NS
            until_ns = max(until_ns, known.gap.from_ns)
            ended = msgspec.structs.replace(known.gap, until_ns=until_ns, received_ns=now_ns, detail=detail)
            self._gaps.ended(ended)
