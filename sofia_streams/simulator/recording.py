"""Serves recorded frames on `/replay`: one CapturedFrame a message, captures in one receive order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

import msgspec
from websockets.asyncio.server import ServerConnection

from sofia_streams.capture import CapturedFrame

_encoder = msgspec.json.Encoder()


async def serve_recording(
    socket: ServerConnection,
    frames: Callable[[], Iterable[CapturedFrame]],
    speed: float | None = None,
    gate: asyncio.Event | None = None,
) -> None:
    """Wait for "start", send every frame, then `{"end": true, "frames": N}`; back-pressure by the socket.

    `speed` is a multiple of the recorded pace; None is as fast as the other side reads. While `gate` is not set nothing
    is sent, and the pace goes on from there.
    """
    async for message in socket:
        if message == "start":
            sent, first_ns, began_s = 0, 0, time.monotonic()
            for frame in frames():
                if gate is not None and not gate.is_set():
                    held_s = time.monotonic()
                    await gate.wait()
                    began_s += time.monotonic() - held_s
                if speed is not None:
                    first_ns = first_ns or frame.received_ns
                    due_s = began_s + (frame.received_ns - first_ns) / 1e9 / speed
                    await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                await socket.send(_encoder.encode(frame))
                sent += 1
            await socket.send(_encoder.encode({"end": True, "frames": sent}))
