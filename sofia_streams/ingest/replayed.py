"""Recorded frames from the simulator's `/replay` socket into the log. The capture is the clock (D13)."""

from __future__ import annotations

import msgspec
import websockets

from sofia_streams.capture import CapturedFrame
from sofia_streams.codec import Progress
from sofia_streams.errors import DependencyDown
from sofia_streams.ingest.intake import Intake, Line
from sofia_streams.ingest.trade_log import TradeLog
from sofia_streams.obs import metrics


class End(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last message of `/replay`: how many frames were sent."""

    end: bool
    frames: int


_frame = msgspec.json.Decoder(CapturedFrame)
_end = msgspec.json.Decoder(End)


async def replay(url: str, intake: Intake, log: TradeLog) -> None:
    """Take every frame, end every feed, report. Raises DependencyDown where the socket ends before the recording."""
    now_ns = 0
    received = 0
    async with websockets.connect(url, max_size=32 * 1024 * 1024, compression=None) as socket:
        await socket.send("start")
        async for message in socket:
            text = message.encode() if isinstance(message, str) else message
            if text.startswith(b'{"end"'):
                sent = _end.decode(text).frames
                if sent != received:
                    raise DependencyDown(f"replay: expected {sent} frames, found {received}. Start it again.")
                break
            received += 1
            now_ns = await _take(_frame.decode(text), intake, log)
        else:
            raise DependencyDown(f"replay: expected the end of the recording, found the socket closed after {received}")
    for record in intake.ended(now_ns):
        await log.put(record)
    await log.drain()
    await log.report(Progress("crypto_ws", now_ns, intake.summary(), finished=True))
    await log.drain()


async def _take(frame: CapturedFrame, intake: Intake, log: TradeLog) -> int:
    line = Line(frame.venue, frame.market, frame.connection)
    now_ns = frame.received_ns
    if frame.direction == "out":
        intake.requested(line, now_ns)
        return now_ns
    metrics.FRAMES.labels(frame.venue).inc()
    records, _ = intake.take(line, frame.frame.encode("utf-8", "surrogatepass"), now_ns)
    for record in (*records, *intake.tick(now_ns)):
        await log.put(record)
    return now_ns
