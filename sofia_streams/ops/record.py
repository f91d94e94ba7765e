"""`sofia capture`: live sockets into a capture file, over the same connections as ingest. Parses only for control."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from sofia_streams.capture import CapturedFrame, CaptureWriter
from sofia_streams.errors import BadFrame, DependencyDown
from sofia_streams.ingest.connection import Feed, Pace
from sofia_streams.ingest.intake import Line
from sofia_streams.ingest.live import shards
from sofia_streams.ingest.names import Names
from sofia_streams.model import Control
from sofia_streams.settings import Settings
from sofia_streams.venues.registry import VENUES


class Recorder:
    """A desk that writes every frame down, in both directions."""

    def __init__(self, writer: CaptureWriter) -> None:
        self._writer = writer
        self.frames: Counter[str] = Counter()

    async def requested(self, line: Line, text: str, now_ns: int) -> None:
        """Write down what was sent."""
        self._write(line, text, now_ns, "out")

    async def take(self, line: Line, frame: bytes, now_ns: int) -> list[Control]:
        """Write down what came in; the controls in it."""
        self._write(line, frame.decode("utf-8", "surrogatepass"), now_ns, "in")
        self.frames[line.venue] += 1
        try:
            parsed = VENUES[line.venue].parse(frame, received_ns=now_ns)
        except BadFrame:
            return []  # it stands in the capture; whoever reads it will quarantine it
        return [found for found in parsed if isinstance(found, Control)]

    def closed(self, line: Line) -> None:
        """Nothing to forget."""

    def _write(self, line: Line, text: str, now_ns: int, direction: str) -> None:
        self._writer.write(CapturedFrame(now_ns, line.venue, line.market, line.connection, direction, text))  # type: ignore[arg-type]


async def record(settings: Settings, path: Path, seconds: float, say: Callable[[str], None]) -> dict[str, int]:
    """Record for `seconds`; frames by venue. Raises DependencyDown where no venue sent anything."""
    with CaptureWriter(path) as writer:
        recorder = Recorder(writer)
        paces: dict[str, Pace] = {
            venue: Pace(VENUES[venue].limits.connects_per_s) for venue in settings.crypto_exchanges
        }
        feeds = [Feed(shard, recorder, paces[shard.venue]) for shard in shards(settings, Names(settings.listings()))]
        tasks = [asyncio.create_task(feed.run()) for feed in feeds]
        try:
            for left in range(int(seconds), 0, -1):
                if left % 10 == 0:
                    say(f"{recorder.frames.total()} frames, {left} s to go")
                await asyncio.sleep(min(1.0, seconds))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    if not recorder.frames:
        raise DependencyDown(
            f"expected frames within {seconds:.0f} s, found none. `sofia doctor` checks the exchanges."
        )
    return dict(recorder.frames)
