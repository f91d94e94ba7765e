"""`sofia capture`: live sockets into a capture file, over the same connections as ingest. Parses only for control."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from sofia_streams.capture import CapturedFrame, CaptureWriter
from sofia_streams.errors import BadFrame, DependencyDown
from sofia_streams.ingest.line import Line
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.sockets.connection import Feed
from sofia_streams.ingest.sockets.pace import Pace
from sofia_streams.ingest.sockets.shards import shards
from sofia_streams.model import Control
from sofia_streams.settings import Settings
from sofia_streams.venues.registry import VENUES

_FLUSH_S, _SAY_EVERY = 1.0, 10


class Recorder:
    """A desk that writes every frame down, in both directions."""

    def __init__(self, writer: CaptureWriter) -> None:
        self._writer = writer
        self.frames: Counter[str] = Counter()

    async def requested(self, line: Line, text: str, now_ns: int) -> None:
        """Write down what was sent."""
        self._write(line, text, now_ns, "out")

    async def take(self, line: Line, frame: bytes, now_ns: int) -> list[Control]:
        """Write down what came in; the controls in it. Bytes that are no text are written with marks in their place."""
        self._write(line, frame.decode("utf-8", "replace"), now_ns, "in")
        self.frames[line.venue] += 1
        try:
            parsed = VENUES[line.venue].parse(frame, received_ns=now_ns)
        except BadFrame:
            return []  # it stands in the capture; whoever reads it will quarantine it
        return [found for found in parsed if isinstance(found, Control)]

    def closed(self, line: Line) -> None:
        """Nothing to forget."""

    def _write(self, line: Line, text: str, now_ns: int, direction: Literal["in", "out"]) -> None:
        api: Literal["exchange"] | None = "exchange" if line.venue == "coinbase" else None
        self._writer.write(CapturedFrame(now_ns, line.venue, line.market, line.connection, direction, text, api))  # type: ignore[arg-type]  # a known venue


async def record(
    settings: Settings, path: Path, seconds: float, say: Callable[[str], None], *, replace: bool = False
) -> dict[str, int]:
    """Record for `seconds`, or until SIGINT or SIGTERM; frames by venue.

    The file is whole either way; each second it is handed to the operating system. Raises BadCapture where it exists
    already (unless `replace`) or cannot be written, DependencyDown where no venue sent anything; then no file is left.
    """
    wanted = shards(settings, Names(settings.listings()))
    paces = {shard.venue: Pace(VENUES[shard.venue].limits.connects_per_s) for shard in wanted}
    with CaptureWriter(path, replace=replace) as writer:
        recorder = Recorder(writer)
        feeds = [Feed(shard, recorder, paces[shard.venue]) for shard in wanted]
        tasks = [asyncio.create_task(feed.run()) for feed in feeds]
        tasks.append(asyncio.create_task(_flushed(writer, recorder, seconds, say)))
        try:
            await _until_stopped(tasks, seconds)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    if not recorder.frames:
        writer.discard()
        raise DependencyDown(
            f"expected frames within {seconds:.0f} s, found none. `sofia doctor` checks the exchanges."
        )
    return dict(recorder.frames)


async def _until_stopped(tasks: list[asyncio.Task[None]], seconds: float) -> None:
    """Until the time is over or a signal came; an error of a task is raised at once."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    stopped = asyncio.create_task(stop.wait())
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        done, _ = await asyncio.wait([*tasks, stopped], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        stopped.cancel()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _flushed(writer: CaptureWriter, recorder: Recorder, seconds: float, say: Callable[[str], None]) -> None:
    for passed in range(1, int(seconds) + 1):
        await asyncio.sleep(_FLUSH_S)
        writer.flush()
        if passed % _SAY_EVERY == 0:
            say(f"{recorder.frames.total()} frames, {seconds - passed:.0f} s to go")
    await asyncio.Event().wait()  # the one who counts the time ends this
