"""Frames in, log records out: parsed, mapped, history marked, repeated trades dropped, everything counted.

The clock is a parameter, so that a recording gives the same records as a live socket did. Opens no socket, sends
nothing. One object a process: identities are remembered across connections.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from sofia_streams.capture import CapturedFrame
from sofia_streams.codec import Quarantined
from sofia_streams.core.tape import History, Tape
from sofia_streams.core.windows import instrument_key
from sofia_streams.errors import BadFrame, UnknownSymbol
from sofia_streams.ingest.names import Names
from sofia_streams.model import Control, Market, ParsedTicker, ParsedTrade, Punctuation, Ticker, Trade, TradeBatch
from sofia_streams.venues.registry import VENUES

Record = TradeBatch | Punctuation | Ticker | Quarantined
_TICKER_EVERY_NS = 100_000_000
_PUNCTUATE_AFTER_NS = 1_000_000_000
_FUTURE_NS_MAX = 60_000_000_000
_FRAME_BYTES_KEPT = 65_536


class Limits(NamedTuple):
    """Times in ns of the receiver's clock.

    lag_ns       how far punctuation stays behind it
    silent_ns    a connection that was silent for so long says nothing about quiet instruments
    """

    stale_after_ns: int = 15_000_000_000
    silent_ns: int = 35_000_000_000
    lag_ns: int = 2_000_000_000
    ids_max: int = 50_000


class Line(NamedTuple):
    """One connection. Connections of one `shard` replace one another: they carry the same instruments."""

    venue: str
    market: Market
    connection: str
    shard: str = ""

    def feed(self) -> tuple[str, str, str]:
        """What stays the same when the connection is replaced."""
        return self.venue, self.market, self.shard


class Intake:
    """Turns frames into records. `counts` by "venue|market|symbol" and by venue; `totals` over everything."""

    def __init__(self, limits: Limits = Limits(), names: Names = Names()) -> None:  # noqa: B008
        self._limits, self._names = limits, names
        self._tapes: dict[str, Tape] = defaultdict(lambda: Tape(limits.ids_max))
        self._histories: dict[Line, History] = {}
        self._tickers: dict[str, Ticker] = {}
        self._ticker_sent_ns: dict[str, int] = {}
        self._feeds: dict[str, TradeBatch] = {}
        self._lines: dict[str, Line] = {}
        self._heard_ns: dict[tuple[str, str, str], int] = {}
        self._spoken_ns: dict[str, int] = {}
        self._ticked_ns = 0
        self._named: set[str] = set()  # the instruments of the frame at hand
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.totals: Counter[str] = Counter()

    def remember(self, batch: TradeBatch) -> None:
        """Trades that are in the log already, from before a restart."""
        self._tapes[instrument_key(batch.venue, batch.market, batch.symbol)].admit(batch.trades)

    def requested(self, line: Line, sent_ns: int) -> None:
        """The client sent a frame on this connection."""
        self._histories.setdefault(line, History(line.venue)).requested(sent_ns)

    def closed(self, line: Line) -> None:
        """The connection is gone; a later one by this name begins anew."""
        self._histories.pop(line, None)

    def take(self, line: Line, frame: bytes, received_ns: int) -> tuple[list[Record], list[Control]]:
        """The records of one frame, and what else the venue said."""
        self.totals["frames"] += 1
        self.counts[line.venue]["frames"] += 1
        self._named.clear()
        self._heard_ns[line.feed()] = received_ns
        try:
            parsed = VENUES[line.venue].parse(frame, received_ns=received_ns)
        except BadFrame as error:
            return [self._quarantine(line, frame, received_ns, error)], []
        records: list[Record] = []
        prints = [found for found in parsed if isinstance(found, ParsedTrade)]
        try:
            if prints:
                records += self._trades(line, prints, received_ns)
            for found in parsed:
                if isinstance(found, ParsedTicker):
                    records += self._ticker(line, found, received_ns)
        except (UnknownSymbol, BadFrame) as error:
            records.append(self._quarantine(line, frame, received_ns, error))
            for name in self._named:
                self.counts[name]["quarantined"] += 1
        for name in self._named:
            self.counts[name]["frames"] += 1
        return records, [found for found in parsed if isinstance(found, Control)]

    def captured(self, frame: CapturedFrame) -> list[Record]:
        """The records of one recorded frame; its `received_ns` is the clock."""
        line, now_ns = Line(frame.venue, frame.market, frame.connection), frame.received_ns
        if frame.direction == "out":
            self.requested(line, now_ns)
            return []
        records, _ = self.take(line, frame.frame.encode("utf-8", "surrogatepass"), now_ns)
        return [*records, *self.tick(now_ns)]

    def tick(self, now_ns: int) -> Iterator[Record]:
        """Once a second or so: punctuation for quiet instruments, tickers that were held back."""
        if now_ns - self._ticked_ns < _PUNCTUATE_AFTER_NS:
            return
        self._ticked_ns = now_ns
        for name, feed in self._feeds.items():
            heard_ns = self._heard_ns.get(self._lines[name].feed(), 0)
            is_quiet = now_ns - self._spoken_ns.get(name, 0) >= _PUNCTUATE_AFTER_NS
            if is_quiet and now_ns - heard_ns < self._limits.silent_ns:
                yield self._punctuation(feed, now_ns, now_ns - self._limits.lag_ns, alive=True)
        for name, ticker in self._tickers.items():
            if self._ticker_sent_ns.get(name, 0) < ticker.received_ns:
                self._ticker_sent_ns[name] = ticker.received_ns
                yield ticker

    def ended(self, now_ns: int, line: Line | None = None) -> list[Record]:
        """The instruments (of a connection and those it replaced) are dead: windows close and nobody waits for them."""
        names = [name for name, found in self._lines.items() if line is None or found.feed() == line.feed()]
        names = [name for name in names if name in self._feeds]
        records: list[Record] = [*self.tick(max(now_ns, self._ticked_ns + _PUNCTUATE_AFTER_NS))]
        for name in names:
            records.append(self._punctuation(self._feeds.pop(name), now_ns, now_ns, alive=False))
        return records

    def summary(self) -> dict[str, dict[str, int]]:
        """All counts; those of an instrument by its name, the others under ""."""
        for name, tape in self._tapes.items():
            self.counts[name]["trades"], self.counts[name]["snapshot_trades"] = tape.total, tape.snapshots
        return {"": dict(self.totals), **{name: dict(counts) for name, counts in sorted(self.counts.items())}}

    def _trades(self, line: Line, prints: list[ParsedTrade], received_ns: int) -> list[Record]:
        history = self._histories.setdefault(line, History(line.venue))
        by_symbol: dict[str, list[Trade]] = {}
        for found in history.mark(prints):
            if found.trade.exchange_ns - received_ns > _FUTURE_NS_MAX:
                symbol = self._names.unified(line.venue, line.market, found.venue_symbol)
                self._named.add(instrument_key(line.venue, line.market, symbol))
                ahead_s = (found.trade.exchange_ns - received_ns) / 1e9
                raise BadFrame(line.venue, "a trade that has happened", f"one {ahead_s:.0f} s ahead of our clock", b"")
            by_symbol.setdefault(found.venue_symbol, []).append(found.trade)
        records: list[Record] = []
        for venue_symbol, trades in by_symbol.items():
            symbol = self._names.unified(line.venue, line.market, venue_symbol)
            name = instrument_key(line.venue, line.market, symbol)
            self._named.add(name)
            new = self._tapes[name].admit(trades)
            counts = self.counts[name]
            counts["duplicates"] += len(trades) - len(new)
            batch = TradeBatch(line.venue, line.market, symbol, received_ns, line.connection, [])
            self._feeds[name], self._lines[name] = batch, line
            if new:
                marked = [self._aged(trade, received_ns, counts) for trade in new]
                self._spoken_ns[name] = received_ns
                records.append(msgspec.structs.replace(batch, trades=marked))
        return records

    def _aged(self, trade: Trade, received_ns: int, counts: Counter[str]) -> Trade:
        if trade.snapshot or received_ns - trade.exchange_ns <= self._limits.stale_after_ns:
            return trade
        counts["stale"] += 1
        return msgspec.structs.replace(trade, stale=True)

    def _ticker(self, line: Line, found: ParsedTicker, received_ns: int) -> list[Record]:
        symbol = self._names.unified(line.venue, line.market, found.venue_symbol)
        name = instrument_key(line.venue, line.market, symbol)
        self._named.add(name)
        self.counts[name]["tickers"] += 1
        known = self._tickers.get(name) or Ticker(line.venue, line.market, symbol, received_ns)
        exchange_ns = found.exchange_ns if found.exchange_ns is not None else known.exchange_ns
        fields = {"received_ns": received_ns, "exchange_ns": exchange_ns, **found.fields}
        ticker = msgspec.structs.replace(known, **fields)
        self._tickers[name] = ticker
        if received_ns - self._ticker_sent_ns.get(name, 0) < _TICKER_EVERY_NS:
            return []
        self._ticker_sent_ns[name] = received_ns
        return [ticker]

    def _punctuation(self, feed: TradeBatch, now_ns: int, until_ns: int, *, alive: bool) -> Punctuation:
        return Punctuation(feed.venue, feed.market, feed.symbol, now_ns, feed.line, until_ns, alive)

    def _quarantine(self, line: Line, frame: bytes, received_ns: int, error: Exception) -> Quarantined:
        self.totals["quarantined"] += 1
        self.counts[line.venue]["quarantined"] += 1
        data = frame[:_FRAME_BYTES_KEPT].decode("utf-8", "backslashreplace")
        return Quarantined(f"{line.venue}|{line.market}|{line.connection}", str(error), data, received_ns)
