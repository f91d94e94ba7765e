"""Serves recorded frames on `/replay`: one CapturedFrame a message, captures in one receive order, at full speed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
from websockets.asyncio.server import ServerConnection

from sofia_streams.capture import CapturedFrame

_encoder = msgspec.json.Encoder()


async def serve_recording(socket: ServerConnection, frames: Callable[[], Iterable[CapturedFrame]]) -> None:
    """Wait for "start", send every frame, then `{"end": true, "frames": N}`; back-pressure by the socket."""
    async for message in socket:
        if message == "start":
            sent = 0
            for frame in frames():
                await socket.send(_encoder.encode(frame))
                sent += 1
            await socket.send(_encoder.encode({"end": True, "frames": sent}))
