"""Frames in, log records out: parsed, mapped, history marked, repeated trades dropped, everything counted.

The clock is a parameter, so that a recording gives the same records as a live socket did. Opens no socket, sends
nothing. One object a process: identities are remembered across connections. A trade or a name that cannot be taken
goes to `quarantine` with its frame and the reason; the other trades of the frame are taken.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import NamedTuple, Self

import msgspec

from sofia_streams.capture import CapturedFrame
from sofia_streams.core.bars.windows import instrument_key
from sofia_streams.core.feeds.skew import ClockSkew
from sofia_streams.core.feeds.tape import ArrivalOrder, History, Tape
from sofia_streams.errors import BadFrame, UnknownSymbol
from sofia_streams.ingest.belief import Belief, quarantined
from sofia_streams.ingest.gap_watch import GapWatch
from sofia_streams.ingest.instruments import Instruments
from sofia_streams.ingest.line import Connections, Line
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.outages import Outages
from sofia_streams.ingest.punctuation import PUNCTUATE_AFTER_NS, Punctuator
from sofia_streams.ingest.tickers import Tickers
from sofia_streams.ingest.venue_changes import VenueChanges
from sofia_streams.model import (
    NS_PER_MS,
    NS_PER_SECOND,
    PUNCTUATION_LAG_NS,
    Control,
    Gap,
    ParsedTicker,
    ParsedTrade,
    Punctuation,
    Quarantined,
    Refused,
    Ticker,
    Trade,
    TradeBatch,
)
from sofia_streams.settings import Settings
from sofia_streams.venues.registry import VENUES

Record = TradeBatch | Punctuation | Gap | Ticker | Quarantined


class Limits(NamedTuple):
    """Times in ns of the receiver's clock.

    stale_after_ns  a trade that comes so long after its time is stale
    silent_ns       a connection that was silent for so long says nothing about quiet instruments
    lag_ns          how far punctuation stays behind it
    lateness_ns     how far trades may be behind the newest one before their second counts as passed
    ids_max         how many trades of an instrument are remembered, to know one that comes again
    lines           how many connections carry the same instruments
    """

    stale_after_ns: int = 15_000_000_000
    silent_ns: int = 35_000_000_000
    lag_ns: int = PUNCTUATION_LAG_NS
    lateness_ns: int = 1_000_000_000
    ids_max: int = 50_000
    lines: int = 1

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As they are set."""
        return cls(
            stale_after_ns=settings.stale_after_s * NS_PER_SECOND,
            lateness_ns=settings.lateness_ms * NS_PER_MS,
            ids_max=settings.dedup_ids_max,
            lines=settings.crypto_lines,
        )


class Intake:
    """Turns frames into records. `counts` by "venue|market|symbol" and by venue; `totals` over everything.

    Of an instrument: frames, trades, duplicates, stale, late (their second had been passed by their own feed),
    snapshot_trades, tickers, refused, id_restarts, odd_ids, left_out (they join ids of a gap). Of a venue: frames,
    quarantined, parse_errors, refused, ignored, new_fields.
    """

    def __init__(self, limits: Limits = Limits(), names: Names = Names()) -> None:  # noqa: B008
        self._limits, self.instruments = limits, Instruments(names)
        self._tapes: dict[str, Tape] = defaultdict(lambda: Tape(limits.ids_max))
        self._belief = Belief()
        self._arrivals: dict[str, ArrivalOrder] = {}
        self._histories: dict[Line, History] = {}
        self.gaps = GapWatch()
        self.skews: dict[str, ClockSkew] = defaultdict(ClockSkew)
        self.outages = Outages(self.gaps, self.skews, limits.stale_after_ns)
        self.connections = Connections(limits.silent_ns)
        self._tickers = Tickers(self.connections)
        self._punctuator = Punctuator(
            self.connections, self.skews, self.gaps, lag_ns=limits.lag_ns, lateness_ns=limits.lateness_ns
        )
        self.changes = VenueChanges()
        self._ticked_ns = 0
        self._named: dict[str, bool] = {}  # of the frame at hand, in its order; whether it has new live trades of it
        self._unread: str | None = None  # what of it is left out and not set aside
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.totals: Counter[str] = Counter()

    def remember(self, batch: TradeBatch | Punctuation | Gap) -> None:
        """What is in the log already, from before a restart."""
        if not isinstance(batch, Gap):
            self.outages.remember(batch)
            self._punctuator.remember(batch)
        if not isinstance(batch, TradeBatch):
            self.gaps.remember(batch)
            return
        name = instrument_key(batch.venue, batch.market, batch.symbol)
        self._tapes[name].prime(batch.trades)
        self.gaps.saw(batch, batch.trades, batch.received_ns)
        for trade in batch.trades[-1:]:
            self._belief.compare(name, trade)

    def begin(self, subscribed: Mapping[str, Line], now_ns: int) -> list[Record]:
        """After everything was remembered: what may have been missed since, of the instruments that are read on."""
        self._punctuator.begin(subscribed)
        self.gaps.begin(now_ns, subscribed)
        self.outages.begin(subscribed, now_ns)
        return [*self.gaps.due(now_ns)]

    def moved(self, by_ns: int) -> None:
        """The receiver's clock was set: what is remembered of its readings moves with it."""
        self._punctuator.moved(by_ns)
        for skew in self.skews.values():
            skew.moved(by_ns)
        self.outages.moved(by_ns)
        self.connections.moved(by_ns)
        self._tickers.moved(by_ns)
        self.gaps.moved(by_ns)

    def requested(self, line: Line, sent_ns: int) -> None:
        """The client sent a frame on this connection; what is older by the venue's clock is history."""
        self._histories.setdefault(line, History(line.venue)).requested(self.skews[line.venue].asked_ns(sent_ns))

    def closed(self, line: Line) -> None:
        """The connection is gone; a later one by this name begins anew."""
        self._histories.pop(line, None)
        self.connections.closed(line)

    def take(self, line: Line, frame: bytes, received_ns: int) -> tuple[list[Record], list[Control]]:
        """The records of one frame, and what else the venue said."""
        self.totals["frames"] += 1
        self.counts[line.venue]["frames"] += 1
        self._named.clear()
        self._unread = None
        self._belief.forget()
        self.connections.heard(line, received_ns)
        try:
            parsed = VENUES[line.venue].parse(frame, received_ns=received_ns)
        except BadFrame as error:
            self.counts[line.venue]["parse_errors"] += 1
            return [self._refused(line, frame, received_ns, str(error))], []
        records: list[Record] = []
        prints = [found for found in parsed if isinstance(found, ParsedTrade)]
        if prints:
            records += self._trades(line, prints, received_ns)
            if new_fields := self.changes.new_fields(line.venue, frame, received_ns):
                self.counts[line.venue]["new_fields"] += new_fields
        for found in parsed:
            if isinstance(found, ParsedTicker):
                records += self._ticker(line, found, received_ns)
            elif isinstance(found, Refused):
                self.counts[line.venue]["parse_errors"] += 1
                self._belief.note("", found.reason)
            elif isinstance(found, Control) and found.kind == "ignored":
                self.counts[line.venue]["ignored"] += 1
                self._unread = f"a kind of message that is not read: {found.detail}"
        for name, has_trades in self._named.items():
            self.outages.saw(name, received_ns, has_trades=has_trades)
            self.counts[name]["frames"] += 1
        if self.gaps.has_news:
            records += self.gaps.due(received_ns)
        records += self._set_aside(line, frame, received_ns)
        return records, [found for found in parsed if isinstance(found, Control)]

    def refused(self, line: Line, reason: str, now_ns: int) -> Record:
        """What the connection could not even take as a frame (one over the size limit)."""
        return self._refused(line, b"", now_ns, reason)

    def captured(self, frame: CapturedFrame) -> list[Record]:
        """The records of one recorded frame; its `received_ns` is the clock."""
        line, now_ns = Line(frame.venue, frame.market, frame.connection), frame.received_ns
        if frame.direction == "out":
            self.requested(line, now_ns)
            return []
        records, _ = self.take(line, frame.data(), now_ns)
        self.connections.recorded(line, now_ns)
        return [*records, *self.tick(now_ns)]

    def tick(self, now_ns: int) -> list[Record]:
        """Once a second or so: punctuation for quiet instruments, due gaps, tickers held back or to be said again."""
        if abs(now_ns - self._ticked_ns) < PUNCTUATE_AFTER_NS:
            return []
        self._ticked_ns = now_ns
        quiet = self._punctuator.quiet(now_ns)
        self.outages.look(now_ns, self._punctuator.over(now_ns))
        self.gaps.forget(now_ns)
        return [*quiet, *self.gaps.due(now_ns), *self._tickers.due(now_ns)]

    def ended(self, now_ns: int, line: Line | None = None) -> list[Record]:
        """The instruments (of a connection and those it replaced) are dead: windows close and nobody waits for them."""
        records = self.tick(max(now_ns, self._ticked_ns + PUNCTUATE_AFTER_NS))
        return [*records, *self._punctuator.ended(now_ns, line), *self._tickers.ended(now_ns, line)]

    def summary(self) -> dict[str, dict[str, int]]:
        """All counts; those of an instrument by its name, the others under ""."""
        for name, tape in self._tapes.items():
            counts = self.counts[name]
            counts["trades"], counts["snapshot_trades"], counts["id_restarts"] = tape.total, tape.snapshots, tape.epochs
            counts["odd_ids"], counts["left_out"] = self.gaps.odd[name], self.gaps.left_out[name]
        return {"": dict(self.totals), **{name: dict(counts) for name, counts in sorted(self.counts.items())}}

    def _trades(self, line: Line, prints: list[ParsedTrade], received_ns: int) -> list[Record]:
        history = self._histories.setdefault(line, History(line.venue))
        listings = dict.fromkeys(found.venue_symbol for found in prints)
        known = {listing: named for listing in listings if (named := self._name(line, listing)) is not None}
        by_symbol: dict[str, list[Trade]] = {}
        for found in history.mark([found for found in prints if found.venue_symbol in known]):
            by_symbol.setdefault(found.venue_symbol, []).append(found.trade)
        records: list[Record] = []
        for venue_symbol, trades in by_symbol.items():
            name, symbol = known[venue_symbol]
            believed = self._belief.believed(name, trades, self.skews[line.venue].unset_ns(received_ns))
            believed = self.gaps.without_fetched(name, believed)
            if self._limits.lines > 1:
                for leader in self.connections.race(name, line, believed, received_ns):
                    self.counts[leader]["wins"] += 1
            new = self._tapes[name].admit(believed)
            if places := VENUES[line.venue].places_a_sequence:
                if name not in self._arrivals:
                    self._arrivals[name] = ArrivalOrder(places)
                new = self._arrivals[name].ordered(new)
            counts = self.counts[name]
            counts["duplicates"] += len(believed) - len(new)
            batch = TradeBatch(line.venue, line.market, symbol, received_ns, line.connection, [])
            self._punctuator.carried(name, batch, line)
            if new:
                marked = [self._aged(trade, received_ns, counts) for trade in new]
                self.gaps.saw(batch, marked, received_ns)
                self._named[name] = self._named[name] or not all(trade.snapshot for trade in marked)
                counts["late"] += self._punctuator.spoke(name, marked, received_ns)
                records.append(msgspec.structs.replace(batch, trades=marked))
        return records

    def _name(self, line: Line, venue_symbol: str) -> tuple[str, str] | None:
        """(instrument, unified symbol); None for a name that is refused, which is noted, or only counted."""
        try:
            name, symbol = self.instruments.named(line, venue_symbol)
        except UnknownSymbol as error:
            if self.instruments.is_news(line, venue_symbol):
                self._belief.note("", str(error))
            else:
                self.counts[line.venue]["refused"] += 1
                self._unread = str(error)
            return None
        self._named.setdefault(name, False)
        return name, symbol

    def _aged(self, trade: Trade, received_ns: int, counts: Counter[str]) -> Trade:
        if trade.snapshot or received_ns - trade.exchange_ns <= self._limits.stale_after_ns:
            return trade
        counts["stale"] += 1
        return msgspec.structs.replace(trade, stale=True)

    def _ticker(self, line: Line, found: ParsedTicker, received_ns: int) -> list[Record]:
        known_as = self._name(line, found.venue_symbol)
        now_ns = self.skews[line.venue].unset_ns(received_ns)
        if known_as is None or not self._belief.believes_ticker(known_as[0], found, now_ns):
            return []
        name, symbol = known_as
        self.counts[name]["tickers"] += 1
        new = Ticker(line.venue, line.market, symbol, received_ns)
        return [*self._tickers.merge(name, line, new, found)]

    def _set_aside(self, line: Line, frame: bytes, received_ns: int) -> list[Record]:
        """The frame, if anything in it could not be taken; what was good in it has been."""
        found = self._belief.troubles
        for name in {name for name, _ in found if name}:
            self.counts[name]["quarantined"] += 1
        for name, _ in found:
            self.counts[name or line.venue]["refused"] += 1
        if found:
            return [self._refused(line, frame, received_ns, self._belief.summary())]
        self.changes.saw(line.venue, self._unread, received_ns)
        return []

    def _refused(self, line: Line, frame: bytes, received_ns: int, reason: str) -> Quarantined:
        self.totals["quarantined"] += 1
        self.counts[line.venue]["quarantined"] += 1
        self.changes.saw(line.venue, reason, received_ns)
        return quarantined(f"{line.venue}|{line.market}|{line.connection}", frame, received_ns, reason)
