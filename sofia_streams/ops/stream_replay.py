"""Recordings through the whole pipeline: simulator socket, ingest, log, workers, sinks; then everything is counted.

Each replay has a namespace of its own in every store, and removes it afterwards.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from websockets.asyncio.server import serve

from sofia_streams import codec, topics
from sofia_streams.capture import CapturedFrame
from sofia_streams.embedded import process
from sofia_streams.errors import DependencyDown
from sofia_streams.ops.replay import BarBook, merged_frames, summarised
from sofia_streams.ops.topics import apply_topics, bootstrap, delete_namespace
from sofia_streams.ops.workers import STOP_GRACE_S, check_alive, start_worker, wait_drained
from sofia_streams.settings import Settings
from sofia_streams.simulator.recording import serve_recording
from sofia_streams.stores.questdb import SCHEMA, QuestDb
from sofia_streams.stores.redis_streams import RedisStreams

_NAMES = ("ohlcv", "timeseries_writer", "redis_bridge", "crypto_ws")
_TIMEOUT_S = 900.0
Say = Callable[[str], None]


async def replay_streaming(
    paths: Sequence[Path],
    settings: Settings,
    data_dir: Path,
    say: Say,
    speed: float | None = None,
    meddle: Callable[[Settings, list[process.Child]], asyncio.Task[None]] | None = None,
) -> dict[str, object]:
    """The summary of one replay (architecture §6). `settings` has the addresses of a running broker and stores.

    `meddle` may start a task that hurts workers while the replay runs: for tests of recovery.
    Raises BadCapture, DependencyDown.
    """

    def frames() -> Iterable[CapturedFrame]:
        return merged_frames(paths)

    namespace = f"replay-{uuid.uuid4().hex[:8]}"
    async with serve(lambda socket: serve_recording(socket, frames, speed), "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        url = f"ws://127.0.0.1:{port}/replay"
        chosen = {
            "namespace": namespace, "replay_url": url, "topic_retention_hours": 0, "redis_maxlen": 2**40,
            "dedup_ids_max": 10_000_000, "retention_trades_days": 0, "retention_bars_1s_days": 0,
            "retention_tickers_days": 0,
        }  # fmt: skip
        settings = settings.model_copy(update=chosen)
        await apply_topics(settings)
        began_s = time.monotonic()
        children = [start_worker(name, settings, data_dir) for name in _NAMES]
        task = meddle(settings, children) if meddle else None
        try:
            say("replaying")
            progress = await _wait_finished(settings, children)
            taken_s = time.monotonic() - began_s
            say(f"ingest is done after {taken_s:.1f} s; waiting for the workers")
            if task:
                await task
            await wait_drained(settings, children, timeout_s=_TIMEOUT_S)
            elapsed_s = time.monotonic() - began_s
            return await _summary(settings, progress, elapsed_s)
        finally:
            process.stop(children, grace_s=STOP_GRACE_S)
            await remove_namespace(settings)


async def _wait_finished(settings: Settings, children: list[process.Child]) -> codec.Progress:
    name = topics.wire_name(topics.HEALTH, settings.namespace)
    deadline_s = time.monotonic() + _TIMEOUT_S
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap(settings), auto_offset_reset="earliest") as consumer:
        consumer.assign([TopicPartition(name, 0)])
        while time.monotonic() < deadline_s:
            for messages in (await consumer.getmany(timeout_ms=500)).values():
                for message in messages:
                    progress = codec.decode_progress(message.value)
                    if progress.finished:
                        return progress
            check_alive(children)
    raise DependencyDown(f"crypto_ws: expected to finish within {_TIMEOUT_S:.0f} s. Its log says why not.")


async def read_bars(settings: Settings) -> BarBook:
    """Every bar of the log, the last revision of each window."""
    book = BarBook()
    name = topics.wire_name(topics.BARS, settings.namespace)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap(settings)) as consumer:
        places = [TopicPartition(name, number) for number in range(settings.topic_partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        waiting = {place for place in places if ends[place] > 0}
        while waiting:
            for place, messages in (await consumer.getmany(*waiting, timeout_ms=500)).items():
                for message in messages:
                    book.add(codec.decode_bar(message.value))
                if await consumer.position(place) >= ends[place]:
                    waiting.discard(place)
    return book


async def _summary(settings: Settings, progress: codec.Progress, elapsed_s: float) -> dict[str, object]:
    book = await read_bars(settings)
    store = QuestDb(settings.questdb_address(), settings.table_prefix())
    streams = RedisStreams(settings.redis_address(), settings.redis_maxlen)
    questdb_rows = await _settled_counts(store)
    redis_entries = await streams.counts(settings.stream_prefix())
    await streams.close()
    trades = sum(found.get("trades", 0) for found in progress.counts.values())
    return {
        **summarised(progress.counts, book),
        "elapsed_s": round(elapsed_s, 3),
        "trades_per_s": round(trades / elapsed_s, 1),
        "questdb_rows": questdb_rows,
        "redis_entries": redis_entries,
    }


async def _settled_counts(store: QuestDb) -> dict[str, int]:
    """Row counts once the write-ahead log is applied."""
    while True:
        pending = await asyncio.to_thread(
            store.query, "SELECT name FROM wal_tables() WHERE sequencerTxn != writerTxn AND NOT suspended"
        )
        if not [row for row in pending if row[0] in {store.table(name) for name in SCHEMA}]:
            return {name: await asyncio.to_thread(store.count, name) for name in SCHEMA}
        await asyncio.sleep(0.05)


async def remove_namespace(settings: Settings) -> None:
    """Delete everything of a namespace: streams, tables, topics. Raises ValueError for the live (empty) one."""
    streams = RedisStreams(settings.redis_address(), settings.redis_maxlen)
    try:
        await streams.delete(settings.stream_prefix())
        await asyncio.to_thread(QuestDb(settings.questdb_address(), settings.table_prefix()).drop_tables)
        await delete_namespace(settings)
    finally:
        await streams.close()
