"""Recordings to bars and what is said behind them, in one process, through the same pure steps as in the workers.

Opens no socket. The capture is the clock: "before our subscription" means before the recorder's first request on that
connection.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from sofia_streams.capture import CapturedFrame, merged_frames
from sofia_streams.core.bars import candles
from sofia_streams.core.bars.windows import Row, Rules, instrument_key
from sofia_streams.ingest.intake import Intake, Limits, Record
from sofia_streams.ingest.names import Names
from sofia_streams.model import NS_PER_MS, Bar, Gap, Punctuation, Quarantined, Ticker, TradeBatch
from sofia_streams.ops.replay.bar_book import BarBook
from sofia_streams.ops.replay.paper_book import PaperBook, PaperFold
from sofia_streams.ops.replay.scored_book import Folded, ScoredBook
from sofia_streams.ops.replay.trade_book import TradeBook
from sofia_streams.settings import Settings
from sofia_streams.training.registry import Stored
from sofia_streams.venues.registry import VENUES

_COUNTS = ("frames", "trades", "duplicates", "stale", "snapshot_trades", "quarantined")


class Replay:
    """Folds captured frames, then `finish`. Read `book`, `scored` and `summary` afterwards.

    `model` scores every bar, and `paper` trades by its signals; None: there is none. Raises BadModel.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        keep_trades: bool = False,
        model: Stored | None = None,
        paper: PaperFold | None = None,
    ) -> None:
        chosen = settings or Settings()
        self.paper = paper
        self.book = BarBook()
        self._folded = Folded(chosen, model)
        self.scored = self._folded.book
        self.trades = TradeBook(chosen.lateness_ms * NS_PER_MS, keep=keep_trades)
        self._rules = Rules(chosen.lateness_ms * NS_PER_MS, kept_ns=2**64)  # nothing is ever too old here
        self._intake = _intake(chosen)
        self._rows: dict[str, Row] = {}
        self._offset = 0
        self._now_ns = 0

    def apply(self, frame: CapturedFrame) -> None:
        """One frame, in receive order."""
        self._now_ns = frame.received_ns
        self.fold(self._intake.captured(frame))

    def finish(self) -> None:
        """The recording is over: every feed ends, every window closes."""
        self.fold(self._intake.ended(self._now_ns))

    def fold(self, records: Iterable[Record]) -> None:
        """Records as they stand in the log."""
        for record in records:
            if self.paper is not None and not isinstance(record, Quarantined):
                self.paper.take(record)
            if not isinstance(record, TradeBatch | Punctuation | Gap):
                continue
            self.trades.add(record)
            step = candles.apply(self._rows, record, offset=self._offset, rules=self._rules)
            self._offset += 1
            for said in step.said:
                if isinstance(said, Bar):
                    self.book.add(said)
                signal = self._folded.take(said)
                if self.paper is not None and signal is not None:
                    self.paper.take(signal)
            candles.store(self._rows, step.rows)

    def summary(self) -> dict[str, object]:
        """What `sofia replay --in-process --json` prints: the streaming summary without what needs servers."""
        paper = None if self.paper is None else self.paper.book
        return summarised(self._intake.summary(), self.book, self.trades, self.scored, paper)


def summarised(
    counts: Mapping[str, Mapping[str, int]],
    book: BarBook,
    trades: TradeBook,
    scored: ScoredBook,
    paper: PaperBook | None = None,
) -> dict[str, object]:
    """Counts of ingest and bars as one summary; `counts` as `Intake.summary` gives them."""
    instruments = {name: found for name, found in sorted(counts.items()) if name.count("|") == 2}
    totals: Counter[str] = Counter()
    for found in instruments.values():
        totals.update(found)
    everything = counts.get("", {})
    return {
        "schema": 1,
        "frames": everything.get("frames", 0),
        "trades": totals["trades"],
        "duplicates": totals["duplicates"],
        "stale": totals["stale"],
        "late": trades.late.total(),
        "gaps": len(trades.gaps),
        "snapshot_trades": totals["snapshot_trades"],
        "quarantined": everything.get("quarantined", 0),
        "hashes": {"bars": book.sha256(), **scored.hashes(), **(paper.hashes() if paper is not None else {})},
        **({"paper": paper.counts()} if paper is not None else {}),
        "venues": {
            name: {what: found.get(what, 0) for what in ("frames", "quarantined")}
            for name, found in sorted(counts.items())
            if name in VENUES
        },
        "instruments": {
            name: {
                **{what: found.get(what, 0) for what in _COUNTS},
                "late": trades.late[name],
                **book.count(*name.split("|")),
            }
            for name, found in instruments.items()
        },
    }


def _intake(settings: Settings) -> Intake:
    return Intake(Limits.of(settings)._replace(ids_max=2**62, lines=1), Names(settings.listings()))


def with_instruments(paths: Sequence[Path], settings: Settings) -> Settings:
    """The settings of a paper account that waits for what these captures hold. Raises BadCapture."""
    found: dict[str, bool] = {}
    for record in records_of(paths, settings):
        if not isinstance(record, Quarantined):
            name = instrument_key(record.venue, record.market, record.symbol)
            found[name] = found.get(name, False) or isinstance(record, Ticker)
    names = tuple(f"{name}|tickers" if quoted else name for name, quoted in sorted(found.items()))
    return settings.model_copy(update={"paper_instruments": names})


def records_of(paths: Sequence[Path], settings: Settings) -> Iterator[Record]:
    """What ingest makes of these captures, in one merged receive order. Raises BadCapture."""
    intake, now_ns = _intake(settings), 0
    for frame in merged_frames(paths):
        now_ns = frame.received_ns
        yield from intake.captured(frame)
    yield from intake.ended(now_ns)


def replay_in_process(
    paths: Sequence[Path],
    settings: Settings | None = None,
    *,
    keep_trades: bool = False,
    model: Stored | None = None,
) -> Replay:
    """Fold these captures in one merged receive order; with a model, signals are traded.

    Raises BadCapture, BadModel.
    """
    chosen = settings or Settings()
    paper = PaperFold(with_instruments(paths, chosen)) if model is not None else None
    replay = Replay(chosen, keep_trades=keep_trades, model=model, paper=paper)
    for frame in merged_frames(paths):
        replay.apply(frame)
    replay.finish()
    return replay


def timed_summary(replay: Replay, began_s: float) -> dict[str, object]:
    """The summary with the pace since `began_s` of the monotonic clock."""
    return with_pace(replay.summary(), time.monotonic() - began_s)


def with_pace(summary: dict[str, object], elapsed_s: float) -> dict[str, object]:
    """The summary with how long it took and trades a second."""
    trades = summary["trades"]
    assert isinstance(trades, int)
    return {**summary, "elapsed_s": round(elapsed_s, 3), "trades_per_s": round(trades / max(elapsed_s, 1e-9), 1)}
