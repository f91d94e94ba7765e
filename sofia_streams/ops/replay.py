"""Recordings to bars in one process, through the same parsers and sums as everywhere. Opens no socket, needs no broker.

The capture is the clock: "before our subscription" means before the recorder's first request on that connection.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from sofia_streams.capture import CapturedFrame, read_capture
from sofia_streams.core.ohlcv import Sums, bar_of, merge, sums_of, window_start_ns
from sofia_streams.errors import BadFrame
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND, Bar, Market, ParsedTrade, Trade
from sofia_streams.venues.registry import PARSE, UNIFIED

_LATE_ACKS = frozenset({"okx", "bybit"})
"""Venues that may send the last trade of an instrument, hours old, right after the subscription."""


class Instrument(NamedTuple):
    """Who trades what; its text form is `venue|market|symbol`."""

    venue: str
    market: Market
    symbol: str


class Replay:
    """Folds captured frames. Read `bars`, `summary` and `bars_sha256` at any time."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.trades: dict[Instrument, int] = {}
        self.duplicates: Counter[Instrument] = Counter()
        self._requested_ns: dict[tuple[str, str], int] = {}
        self._begun: set[tuple[str, str, str]] = set()
        self._history: set[tuple[str, str, str, str]] = set()
        self._seen: dict[tuple[Instrument, str, str], bool] = {}
        self._seconds: dict[tuple[Instrument, int], Sums] = {}

    def apply(self, frame: CapturedFrame) -> None:
        """One frame, in receive order."""
        line = (frame.venue, frame.connection)
        if frame.direction == "out":
            self._requested_ns.setdefault(line, frame.received_ns)
            return
        self.counts["frames"] += 1
        try:
            records = PARSE[frame.venue](frame.frame.encode("utf-8", "surrogatepass"), received_ns=frame.received_ns)
        except BadFrame:
            self.counts["quarantined"] += 1
            return
        prints = [record for record in records if isinstance(record, ParsedTrade)]
        first = {record.venue_symbol for record in prints if (*line, record.venue_symbol) not in self._begun}
        self._begun |= {(*line, name) for name in first}
        for record in prints:
            sent = (*line, record.venue_symbol, record.trade.trade_id)
            began = record.venue_symbol in first and frame.venue in _LATE_ACKS
            if began and record.trade.exchange_ns < self._requested_ns.get(line, 0):
                self._history.add(sent)  # remembered: the same frame again is history again
            symbol = UNIFIED[frame.venue](record.venue_symbol, frame.market)
            self._trade(
                Instrument(frame.venue, frame.market, symbol),
                record.trade,
                sent in self._history or record.trade.snapshot,
            )

    def _trade(self, instrument: Instrument, trade: Trade, snapshot: bool) -> None:
        """Count one print once; a live copy of a print first seen as history makes it live."""
        identity = (instrument, trade.id_kind, trade.trade_id)
        was_snapshot = self._seen.get(identity)
        if was_snapshot is False or (was_snapshot and snapshot):
            self.duplicates[instrument] += 1
            return
        if was_snapshot is None:
            self.trades[instrument] = self.trades.get(instrument, 0) + 1
        self._seen[identity] = snapshot
        if snapshot:
            return
        key = (instrument, window_start_ns(trade.exchange_ns, NS_PER_SECOND))
        sums = sums_of([trade], instrument.venue)
        self._seconds[key] = merge(self._seconds[key], sums) if key in self._seconds else sums

    def bars(self, size_ns: int) -> list[Bar]:
        """Every bar of `size_ns` (a whole number of seconds), by instrument and time."""
        windows: dict[tuple[Instrument, int], Sums] = {}
        for (instrument, second_ns), sums in self._seconds.items():
            key = (instrument, window_start_ns(second_ns, size_ns))
            windows[key] = merge(windows[key], sums) if key in windows else sums
        return [
            bar_of(sums, **instrument._asdict(), size_ns=size_ns, start_ns=start_ns)
            for (instrument, start_ns), sums in sorted(windows.items(), key=lambda item: item[0])
        ]

    def bars_sha256(self) -> str:
        """SHA-256 of all bars, 1 s then 1 m, as canonical JSON lines."""
        digest = hashlib.sha256()
        for size_ns in (NS_PER_SECOND, NS_PER_MINUTE):
            for bar in self.bars(size_ns):
                digest.update(msgspec.json.encode(bar, order="deterministic") + b"\n")
        return digest.hexdigest()

    def summary(self) -> dict[str, object]:
        """Counts as `sofia replay --json` prints them."""
        bar_counts = {
            name: Counter(Instrument(bar.venue, bar.market, bar.symbol) for bar in self.bars(size_ns))
            for name, size_ns in (("bars_1s", NS_PER_SECOND), ("bars_1m", NS_PER_MINUTE))
        }
        return {
            "schema": 1,
            "frames": self.counts["frames"],
            "trades": sum(self.trades.values()),
            "duplicates": self.duplicates.total(),
            "snapshot_trades": sum(self._seen.values()),
            "quarantined": self.counts["quarantined"],
            "hashes": {"bars": self.bars_sha256()},
            "instruments": {
                "|".join(instrument): {
                    "trades": count,
                    "duplicates": self.duplicates[instrument],
                    **{name: counter[instrument] for name, counter in bar_counts.items()},
                }
                for instrument, count in sorted(self.trades.items())
            },
        }


def replay_in_process(paths: Sequence[Path]) -> Replay:
    """Fold these captures in one merged receive order. Raises BadCapture."""
    replay = Replay()
    frames: Iterable[CapturedFrame] = heapq.merge(*map(read_capture, paths), key=lambda frame: frame.received_ns)
    for frame in frames:
        replay.apply(frame)
    return replay
