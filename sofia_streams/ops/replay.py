"""Recordings to bars in one process, through the same parsers, tape and candle step as the workers. Opens no socket.

The capture is the clock (D13): "before our subscription" means before the recorder's first request on that connection.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from sofia_streams.capture import CapturedFrame, read_capture
from sofia_streams.core import candles
from sofia_streams.core.tape import History, Tape
from sofia_streams.core.windows import Row, Rules, instrument_key
from sofia_streams.errors import BadFrame
from sofia_streams.model import (
    CONSOLIDATED,
    NS_PER_MINUTE,
    NS_PER_SECOND,
    Bar,
    Market,
    ParsedTrade,
    Punctuation,
    Trade,
    TradeBatch,
)
from sofia_streams.venues.registry import PARSE, UNIFIED

_KEEP_ALL = Rules(kept_ns=2**62)
"""Nothing is ever too old here, so no window has to be rebuilt from a log."""


class BarBook:
    """The last revision of every bar, and the hash over them. `bars` come in by any order of windows."""

    def __init__(self) -> None:
        self._last: dict[tuple[int, str, Market, str, int], Bar] = {}

    def add(self, bar: Bar) -> None:
        """A bar, newer than every earlier one of its window."""
        self._last[bar.size_ns, bar.venue, bar.market, bar.symbol, bar.start_ns] = bar

    def bars(self, size_ns: int) -> list[Bar]:
        """Every bar of `size_ns`, by venue, market, symbol and time."""
        return [self._last[key] for key in sorted(self._last) if key[0] == size_ns]

    def count(self, venue: str, market: str, symbol: str) -> dict[str, int]:
        """How many bars one instrument has, by size."""
        sizes = Counter(key[0] for key in self._last if key[1:4] == (venue, market, symbol))
        return {"bars_1s": sizes[NS_PER_SECOND], "bars_1m": sizes[NS_PER_MINUTE]}

    def sha256(self) -> str:
        """SHA-256 of all bars without revision and quality, as canonical JSON lines, by size, instrument and time."""
        digest = hashlib.sha256()
        for key in sorted(self._last):
            bar = self._last[key].without_revision()
            digest.update(msgspec.json.encode(bar, order="deterministic") + b"\n")
        return digest.hexdigest()


class Replay:
    """Folds captured frames, then `finish`. Read `book` and `summary` afterwards."""

    def __init__(self) -> None:
        self.book = BarBook()
        self.counts: Counter[str] = Counter()
        self.trades: Counter[str] = Counter()
        self.duplicates: Counter[str] = Counter()
        self.snapshots: Counter[str] = Counter()
        self._histories: dict[tuple[str, str], History] = {}
        self._tapes: dict[str, Tape] = {}
        self._rows: dict[str, Row] = {}
        self._feeds: dict[str, TradeBatch] = {}
        self._offset = 0

    def apply(self, frame: CapturedFrame) -> None:
        """One frame, in receive order."""
        line = (frame.venue, frame.connection)
        history = self._histories.setdefault(line, History(frame.venue))
        if frame.direction == "out":
            history.requested(frame.received_ns)
            return
        self.counts["frames"] += 1
        try:
            records = PARSE[frame.venue](frame.frame.encode("utf-8", "surrogatepass"), received_ns=frame.received_ns)
        except BadFrame:
            self.counts["quarantined"] += 1
            return
        by_symbol: dict[str, list[Trade]] = {}
        for found in history.mark([record for record in records if isinstance(record, ParsedTrade)]):
            by_symbol.setdefault(found.venue_symbol, []).append(found.trade)
        for venue_symbol, trades in by_symbol.items():
            symbol = UNIFIED[frame.venue](venue_symbol, frame.market)
            batch = TradeBatch(frame.venue, frame.market, symbol, frame.received_ns, frame.connection, trades)
            self._take(batch)

    def finish(self) -> None:
        """The recording is over: every feed ends, every window closes."""
        for batch in self._feeds.values():
            end = Punctuation(
                batch.venue, batch.market, batch.symbol, batch.received_ns, batch.line, batch.received_ns, alive=False
            )
            self._fold(end)

    def _take(self, batch: TradeBatch) -> None:
        name = instrument_key(batch.venue, batch.market, batch.symbol)
        tape = self._tapes.setdefault(name, Tape(ids_max=2**62))
        known = len(tape)
        new = tape.admit(batch.trades)
        self.trades[name] += len(tape) - known
        self.duplicates[name] += len(batch.trades) - len(new)
        self.snapshots[name] = tape.snapshots
        self._feeds[name] = batch
        if new:
            self._fold(msgspec.structs.replace(batch, trades=new))

    def _fold(self, record: TradeBatch | Punctuation) -> None:
        step = candles.apply(self._rows, record, offset=self._offset, rules=_KEEP_ALL)
        self._offset += 1
        for bar in step.bars:
            self.book.add(bar)
        for key, row in step.rows.items():
            if row is not None:
                self._rows[key] = row

    def summary(self) -> dict[str, object]:
        """Counts as `sofia replay --json` prints them."""
        return {
            "schema": 1,
            "frames": self.counts["frames"],
            "trades": self.trades.total(),
            "duplicates": self.duplicates.total(),
            "snapshot_trades": self.snapshots.total(),
            "quarantined": self.counts["quarantined"],
            "hashes": {"bars": self.book.sha256()},
            "instruments": {
                name: {
                    "trades": count,
                    "duplicates": self.duplicates[name],
                    **self.book.count(*name.split("|")),
                }
                for name, count in sorted(self.trades.items())
            },
        }

    def venue_bars(self, size_ns: int) -> list[Bar]:
        """The bars of single venues, as the recording's own truth has them."""
        return [bar for bar in self.book.bars(size_ns) if bar.venue != CONSOLIDATED]


def merged_frames(paths: Sequence[Path]) -> Iterable[CapturedFrame]:
    """The frames of all captures in one receive order. Raises BadCapture."""
    return heapq.merge(*map(read_capture, paths), key=lambda frame: frame.received_ns)


def replay_in_process(paths: Sequence[Path]) -> Replay:
    """Fold these captures in one merged receive order. Raises BadCapture."""
    replay = Replay()
    for frame in merged_frames(paths):
        replay.apply(frame)
    replay.finish()
    return replay
