"""Recorded frames from the simulator's `/replay` socket into the log. The capture is the clock."""

from __future__ import annotations

import msgspec
import websockets

from sofia_streams.capture import CapturedFrame
from sofia_streams.errors import DependencyDown
from sofia_streams.ingest.intake import Intake
from sofia_streams.ingest.trade_log import TradeLog
from sofia_streams.model import Progress
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
            frame = _frame.decode(text)
            now_ns = frame.received_ns
            metrics.FRAMES.labels(frame.venue).inc()
            for record in intake.captured(frame):
                await log.put(record)
        else:
            raise DependencyDown(f"replay: expected the end of the recording, found the socket closed after {received}")
    for record in intake.ended(now_ns):
        await log.put(record)
    await log.drain()
    await log.report(Progress("crypto_ws", now_ns, intake.summary(), finished=True))
    await log.drain()
