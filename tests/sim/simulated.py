"""Shared by the simulator's tests: a server on a free port, a client that subscribes as ingest does."""

import asyncio
import contextlib
from contextlib import asynccontextmanager

import websockets

from sofia_streams.model import ParsedTrade
from sofia_streams.ops.simulate import simulate
from sofia_streams.venues.registry import VENUES

PATIENCE_S = 60.0


@asynccontextmanager
async def serving(source, faults=None, seed=1, **more):
    """The port of a simulator of `source`, and the task that ends with it."""
    opened = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(
        simulate(
            source, port=0, faults=faults or {}, seed=seed, say=lambda text: None, opened=opened.set_result, **more
        )
    )
    await asyncio.wait([opened, running], return_when=asyncio.FIRST_COMPLETED)
    try:
        yield opened.result() if opened.done() else running.result(), running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def trades_of(venue, frame):
    """The trades in a frame as (listing, trade)."""
    found = VENUES[venue].parse(frame.encode(), received_ns=0)
    return [(one.venue_symbol, one.trade) for one in found if isinstance(one, ParsedTrade)]


async def read(port, place, requests, enough=lambda frames: False):
    """The frames a client gets on this path until `enough` or the server ends."""
    frames, url = [], f"ws://127.0.0.1:{port}/{place}"
    async with asyncio.timeout(PATIENCE_S), websockets.connect(url, max_queue=None) as socket:
        for request in requests:
            await socket.send(request)
        with contextlib.suppress(websockets.ConnectionClosed):
            async for frame in socket:
                frames.append(frame)
                if enough(frames):
                    break
    return frames
