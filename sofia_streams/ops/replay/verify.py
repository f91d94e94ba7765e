"""`sofia replay --verify`: the same recordings in several ways that may change no bar, compared bar by bar.

What is kept in all of them: every log record as ingest made it, its receipt time too, and the order of the records of
one venue. What is varied, and may change nothing in the last revision of a bar:

in process  the order in which venues reach the log: one venue after another, then seeded orders in which venues take
            turns of random length and some run far ahead of others
streaming   ingest, the log and one `ohlcv` worker, and with three that share thrice as many partitions

What it does not vary: the order within a venue (a venue's own lateness and ids go by it), and receipt times (staleness
and plausibility go by them). Compares the last revision of each bar, without its revision and quality.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec

from sofia_streams.core.bars.windows import SIZE_NAME
from sofia_streams.ingest.intake import Record
from sofia_streams.model import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND, Bar, Gap, Punctuation, TradeBatch
from sofia_streams.ops.replay.bar_book import BarBook, Difference
from sofia_streams.ops.replay.in_process import Replay, records_of
from sofia_streams.ops.replay.streaming import Hooks, Say, read_bars, replay_streaming
from sofia_streams.settings import Settings

SEEDS = (0, 1, 2, 3, 4)
"""0 is one venue after another; the others are drawn."""
OHLCV_COPIES = (1, 3)
_TURN_RECORDS_MAX = 200
_SHORT_NS = 2 * NS_PER_HOUR
_PARTITIONS_MAX = 64


class Run(NamedTuple):
    """One way to run the recordings, and what came of it."""

    name: str
    book: BarBook
    trades: int
    elapsed_s: float
    workers: Mapping[str, float] = {}
    """How many records each copy of the ohlcv worker applied."""


def folded(paths: Sequence[Path], settings: Settings, seed: int | None = None) -> Run:
    """In this process, venues in receive order (None) or as `seed` orders them. Raises BadCapture."""
    began_s, replay, trades = time.monotonic(), Replay(settings), 0
    records = records_of(paths, settings) if seed is None else interleaved(_by_venue(paths, settings), seed)
    for record in records:
        trades += len(record.trades) if isinstance(record, TradeBatch) else 0
        replay.fold([record])
    name = "in process, in receive order" if seed is None else f"in process, venues in another order ({seed})"
    return Run(name, replay.book, trades, time.monotonic() - began_s)


def _by_venue(paths: Sequence[Path], settings: Settings) -> dict[str, Iterator[Record]]:
    """The records of each venue. The recordings are read once a venue, so that none needs to be kept."""
    venues = {record.venue for record in records_of(paths, settings) if isinstance(record, TradeBatch)}

    def of(venue: str) -> Iterator[Record]:
        for record in records_of(paths, settings):
            if isinstance(record, TradeBatch | Punctuation | Gap) and record.venue == venue:
                yield record

    return {venue: of(venue) for venue in sorted(venues)}


def interleaved(feeds: Mapping[str, Iterator[Record]], seed: int) -> Iterator[Record]:
    """The records of all feeds, each feed in its own order; 0: the last feed by name first, then the one before it."""
    if seed == 0:
        for name in sorted(feeds, reverse=True):
            yield from feeds[name]
        return
    draw = Random(seed)  # noqa: S311  the same order each time
    left = {name: (draw.random() ** 2, feeds[name]) for name in sorted(feeds)}
    while left:
        name = draw.choices([*left], [weight + 0.01 for weight, _ in left.values()])[0]
        for _ in range(draw.randint(1, _TURN_RECORDS_MAX)):
            record = next(left[name][1], None)
            if record is None:
                del left[name]
                break
            yield record


async def streamed(
    paths: Sequence[Path],
    settings: Settings,
    data_dir: Path,
    say: Say,
    copies: int,
    hooks: Hooks = Hooks(),  # noqa: B008
) -> Run:
    """Through ingest, the log and so many `ohlcv` workers: nothing that follows from bars is compared.

    Raises BadCapture, DependencyDown.
    """
    books: list[BarBook] = []

    async def keep(found: Settings) -> None:
        books.append(await read_bars(found))
        if hooks.inspect:
            await hooks.inspect(found)

    # Faust fills one worker after another up to partitions / workers, rounded up: only a multiple is shared by all
    own = settings.model_copy(update={"topic_partitions": min(copies * settings.topic_partitions, _PARTITIONS_MAX)})
    say(f"streaming with {copies} ohlcv worker{'s' if copies > 1 else ''}")
    summary: Any = await replay_streaming(
        paths, own, data_dir, say, hooks=hooks._replace(inspect=keep), readers=["ohlcv"] * copies
    )
    applied = {
        name: found.get("applied", 0.0) for name, found in summary["workers"].items() if name.startswith("ohlcv")
    }
    name = f"streaming, {copies} ohlcv worker{'s' if copies > 1 else ''}"
    return Run(name, books[0], summary["trades"], summary["elapsed_s"], applied)


async def verify_streaming(paths: Sequence[Path], settings: Settings, data_dir: Path, say: Say) -> dict[str, Any]:
    """All of `verify_in_process`, and through the log with each of `OHLCV_COPIES`. Raises as `streamed`."""
    comparison = _in_process(paths, settings, say)
    for copies in OHLCV_COPIES:
        comparison.add(await streamed(paths, settings, data_dir, say, copies))
    return comparison.result()


def verify_in_process(paths: Sequence[Path], settings: Settings, say: Say) -> dict[str, Any]:
    """What `sofia replay --verify --in-process --json` prints (docs/cli.md). Raises BadCapture."""
    return _in_process(paths, settings, say).result()


def _in_process(paths: Sequence[Path], settings: Settings, say: Say) -> Comparison:
    say("folding in this process")
    comparison = Comparison(folded(paths, settings))
    if len(comparison.venues) < 2:
        say("the recordings have one venue: there is no order of venues to vary")
        return comparison
    for seed in SEEDS:
        comparison.add(folded(paths, settings, seed))
    return comparison


class Comparison:
    """Compares runs with the first one; keeps no other."""

    def __init__(self, first: Run) -> None:
        self._first = first
        self._span_ns = NS_PER_MINUTE if first.book.length_ns() < _SHORT_NS else NS_PER_HOUR
        self._hashes = first.book.hashes(self._span_ns)
        self._rows: list[dict[str, Any]] = []
        self.venues = first.book.venues()
        self.add(first)

    def add(self, run: Run) -> None:
        """One more run; the first record that differs is kept with it."""
        is_equal = run.book.hashes(self._span_ns) == self._hashes
        row = {"run": run.name, "equal": is_equal, "bars": len(run.book), "trades": run.trades}
        row |= {"elapsed_s": round(run.elapsed_s, 3), "sha256": run.book.sha256()}
        if run.workers:
            row["applied"] = dict(run.workers)
        if not is_equal:
            difference = self._first.book.first_difference(run.book)
            assert difference is not None
            row["difference"] = _said(difference, self._first.name, run.name)
        self._rows.append(row)

    def result(self) -> dict[str, Any]:
        """Whether all are equal, each run, and the hashes of the first by minute or hour."""
        return {
            "equal": all(row["equal"] for row in self._rows),
            "venues": self.venues,
            "runs": self._rows,
            "span": "minute" if self._span_ns == NS_PER_MINUTE else "hour",
            "hashes": {_moment(start_ns): found for start_ns, found in self._hashes.items()},
        }


def _said(found: Difference, one: str, other: str) -> dict[str, Any]:
    """The first record that differs, and which fields of it do."""
    first, second = _plain(found.one), _plain(found.other)
    return {
        "instrument": f"{found.venue}|{found.market}|{found.symbol}",
        "size": SIZE_NAME[found.size_ns],
        "start_ns": found.start_ns,
        "start": _moment(found.start_ns),
        "fields": [name for name in first | second if first.get(name) != second.get(name)],
        one: first or None,
        other: second or None,
    }


def _plain(bar: Bar | None) -> dict[str, Any]:
    """The fields that are compared; none for a bar that is not there."""
    if bar is None:
        return {}
    skipped = ("kind", "venue", "market", "symbol", "size_ns", "start_ns", "revision", "quality")
    return {name: value for name, value in msgspec.to_builtins(bar).items() if name not in skipped}


def _moment(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
