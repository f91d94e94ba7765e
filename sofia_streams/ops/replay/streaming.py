"""Recordings through the whole pipeline: simulator socket, ingest, log, workers, sinks; then everything is counted.

Each replay has a namespace of its own in every store, and removes it afterwards. Its topics are stamped by the broker,
since receipts are as old as the recording: `latency` says what that gives.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from websockets.asyncio.server import serve

from sofia_streams import codec, topics
from sofia_streams.capture import CapturedFrame, merged_frames
from sofia_streams.core.bars.windows import SIZES_NS
from sofia_streams.embedded import process
from sofia_streams.embedded.ports import HOST, pick_ports
from sofia_streams.errors import DependencyDown
from sofia_streams.logread import DECODE, places, reader, whole_topic
from sofia_streams.model import NS_PER_MS, Progress
from sofia_streams.ops.latency import Buckets, quantiles, read_stages
from sofia_streams.ops.namespaces import remove_namespace
from sofia_streams.ops.replay.bar_book import BarBook
from sofia_streams.ops.replay.export import write_replay
from sofia_streams.ops.replay.in_process import summarised, with_instruments, with_pace
from sofia_streams.ops.replay.paper_book import PaperBook
from sofia_streams.ops.replay.scored_book import ScoredBook
from sofia_streams.ops.replay.trade_book import TradeBook
from sofia_streams.ops.topics import apply_topics
from sofia_streams.ops.workers import (
    REPLAYED,
    STOP_GRACE_S,
    check_alive,
    start_worker,
    wait_drained,
    wait_joined,
    worker_of,
)
from sofia_streams.settings import Settings
from sofia_streams.simulator.recording import serve_recording
from sofia_streams.stores.base import TABLES
from sofia_streams.stores.questdb import QuestDb
from sofia_streams.stores.redis_streams import RedisStreams
from sofia_streams.training.activation import activate
from sofia_streams.training.registry import Stored

_INGEST, _STORING, _BRIDGE, _PAPER = "crypto_ws", "timeseries_writer", "redis_bridge", "paper_oms"
_INGEST_S, _JOIN_S, _STALLED_S = 900.0, 60.0, 120.0
_SINCE_BAR_END = "bar_to_prediction"
_OWN: dict[str, object] = {
    "topic_retention_hours": 0, "redis_maxlen": 2**40, "dedup_ids_max": 10_000_000, "retention_trades_days": 0,
    "retention_bars_1s_days": 0, "retention_tickers_days": 0,
}  # fmt: skip
"""Settings of every replay: nothing of a recording expires, however old it is."""
Say = Callable[[str], None]


class _Run(NamedTuple):
    """What is known of a run whose workers are done."""

    settings: Settings
    progress: Progress
    elapsed_s: float


class Hooks(NamedTuple):
    """For tests of recovery. `meddle` may start a task that hurts workers while the replay runs; `inspect` looks at the
    namespace before it is removed; frames are sent while `gate` is set."""

    meddle: Callable[[Settings, list[process.Child]], asyncio.Task[None]] | None = None
    inspect: Callable[[Settings], Awaitable[None]] | None = None
    gate: asyncio.Event | None = None


async def replay_streaming(
    paths: Sequence[Path],
    settings: Settings,
    data_dir: Path,
    say: Say,
    speed: float | None = None,
    out: Path | None = None,
    hooks: Hooks = Hooks(),  # noqa: B008
    readers: Sequence[str] = REPLAYED,
    model: Stored | None = None,
) -> dict[str, object]:
    """The summary of one replay (docs/cli.md). `settings` has the addresses of a running broker and stores.

    `out` is a folder for trades, bars and what was said behind them as Parquet, read from the log. `model`, in the
    registry of the settings, is in force from the first bar on, and traded by. A worker that stands several times in
    `readers` runs in as many processes. Raises BadCapture, BadModel, DependencyDown.
    """
    began_s: list[float] = []

    def frames() -> Iterable[CapturedFrame]:
        began_s.append(time.monotonic())  # ingest asks once it is ready
        return merged_frames(paths)

    async with serve(lambda socket: serve_recording(socket, frames, speed, hooks.gate), HOST, 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        own = {"namespace": f"replay-{uuid.uuid4().hex[:8]}", "replay_url": f"ws://{HOST}:{port}/replay"}
        settings = settings.model_copy(update=_OWN | own)
        if model is not None:  # without signals nothing is traded
            readers, settings = (*readers, _PAPER), with_instruments(paths, settings)
        await _prepare(settings, readers)
        children: list[process.Child] = []
        try:
            await _put_in_force(settings, model)
            run = await _run_through(settings, data_dir, children, say, hooks, readers, began_s)
            if hooks.inspect:
                await hooks.inspect(settings)
            return await _summary(run, children, out)
        finally:
            process.stop(children, grace_s=STOP_GRACE_S)
            await remove_namespace(settings, readers)


async def _put_in_force(settings: Settings, model: Stored | None) -> None:
    """Before any bar is in the log. Raises BadModel."""
    if model is not None:
        await activate(settings, model, reason="replay", from_ns=0)


async def _prepare(settings: Settings, readers: Sequence[str]) -> None:
    """Make the topics. Raises DependencyDown now, rather than wait for a worker that waits for its store."""
    if _STORING in readers:
        await asyncio.to_thread(QuestDb(settings.questdb_address()).query, "SELECT 1")
    if _BRIDGE in readers:
        await _redis_entries(settings)
    await apply_topics(settings)


async def _redis_entries(settings: Settings) -> dict[str, int]:
    streams = RedisStreams(settings.redis_address(), settings.redis_maxlen)
    try:
        return await streams.counts(settings.stream_prefix())
    finally:
        await streams.close()


async def _run_through(
    settings: Settings, data_dir: Path, children: list[process.Child], say: Say, hooks: Hooks, readers: Sequence[str],
    began_s: Sequence[float],
) -> _Run:  # fmt: skip
    """Start the workers into `children` and wait until all of them are done; `began_s` is when ingest asked first."""
    children += _start(readers, settings, data_dir)
    await wait_joined(settings, children, timeout_s=_JOIN_S)  # else their start would count as latency
    children += _start([_INGEST], settings, data_dir)
    task = hooks.meddle(settings, children) if hooks.meddle else None
    try:
        say("replaying")
        progress = await _wait_finished(settings, children)
        say("ingest is done; waiting for the workers")
        if task:
            await task
        await wait_drained(settings, children, stalled_after_s=_STALLED_S)
        return _Run(settings, progress, time.monotonic() - began_s[0])
    finally:
        if task:
            task.cancel()


def _start(names: Sequence[str], settings: Settings, data_dir: Path) -> list[process.Child]:
    copies: Counter[str] = Counter()
    children = []
    for name, port in zip(names, pick_ports([0] * len(names)), strict=True):
        copies[name] += 1
        own = settings.model_copy(update={"web_port": port})
        children.append(start_worker(name, own, data_dir, copy=copies[name]))
    return children


async def _wait_finished(settings: Settings, children: list[process.Child]) -> Progress:
    deadline_s = time.monotonic() + _INGEST_S
    async with reader(settings) as consumer:
        consumer.assign(places(settings, topics.HEALTH))
        while time.monotonic() < deadline_s:
            for messages in (await consumer.getmany(timeout_ms=500)).values():
                for message in messages:
                    progress = codec.decode_progress(message.value)
                    if progress.finished:
                        return progress
            check_alive(children)
    raise DependencyDown(f"crypto_ws: expected to finish within {_INGEST_S:.0f} s. Its log says why not.")


async def read_bars(settings: Settings) -> BarBook:
    """Every bar of the log, the last revision of each window."""
    book = BarBook()
    async for value in whole_topic(settings, topics.BARS):
        if (bar := codec.decode_bar(value)) is not None:
            book.add(bar)
    return book


async def read_trades(settings: Settings, *, keep: bool) -> TradeBook:
    """The trades of the log."""
    book = TradeBook(settings.lateness_ms * NS_PER_MS, keep=keep)
    async for value in whole_topic(settings, topics.TRADES):
        book.add(codec.decode_trades(value))
    return book


async def read_scored(settings: Settings) -> ScoredBook:
    """Features and predictions of the log."""
    book = ScoredBook(SIZES_NS[settings.signals_bar_size])
    for topic in (topics.FEATURES, topics.PREDICTIONS):
        async for value in whole_topic(settings, topic):
            book.add(codec.decode_scored(value))
    return book


async def read_paper(settings: Settings) -> PaperBook:
    """Orders, fills and the account of the log."""
    book = PaperBook()
    for topic in (topics.ORDERS, topics.FILLS, topics.ACCOUNT):
        async for value in whole_topic(settings, topic):
            book.add(DECODE[topic](value))
    return book


async def _summary(run: _Run, children: Sequence[process.Child], out: Path | None) -> dict[str, object]:
    settings = run.settings
    stages = await asyncio.to_thread(lambda: {one.name: read_stages(one.port) for one in children if one.port})
    book, trades = await read_bars(settings), await read_trades(settings, keep=out is not None)
    scored = await read_scored(settings)
    ran = [worker_of(one) for one in children]
    paper = await read_paper(settings) if _PAPER in ran else None
    if out is not None:
        await asyncio.to_thread(write_replay, out, book, trades, scored, paper)
    return {
        **with_pace(summarised(run.progress.counts, book, trades, scored, paper), run.elapsed_s),
        "latency_ms": _latency(stages.values()),
        "workers": {name: {stage: max(one.values()) for stage, one in found.items()} for name, found in stages.items()},
        "questdb_rows": await settled_counts(settings) if _STORING in ran else {},
        "redis_entries": await _redis_entries(settings) if _BRIDGE in ran else {},
    }


def _latency(stages: Iterable[Mapping[str, Buckets]]) -> dict[str, dict[str, float]]:
    """Quantiles by stage, over all copies of a worker; of one that was started again, since then.

    Without the time since a bar's end, which is that of the recording.
    """
    together: dict[str, Counter[float]] = {}
    for one in stages:
        for stage, found in sorted(one.items()):
            together.setdefault(stage, Counter()).update(found)
    return {stage: quantiles(found) for stage, found in together.items() if stage != _SINCE_BAR_END}


async def settled_counts(settings: Settings) -> dict[str, int]:
    """Row counts of QuestDB once the write-ahead log is applied."""
    store = QuestDb(settings.questdb_address(), settings.table_prefix())
    while True:
        pending = await asyncio.to_thread(
            store.query, "SELECT name FROM wal_tables() WHERE sequencerTxn != writerTxn AND NOT suspended"
        )
        if not [row for row in pending if row[0] in {store.table(name) for name in TABLES}]:
            return {name: await asyncio.to_thread(store.count, name) for name in TABLES}
        await asyncio.sleep(0.05)
