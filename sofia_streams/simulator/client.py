"""One client of a simulated exchange: what it subscribed to, what waits for its socket, what faults make of it."""

from __future__ import annotations

import asyncio
import contextlib

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from sofia_streams.simulator.faults import Faults, Hurt

_FRAMES_WAITING_MAX = 20_000


class Client:
    """Frames are offered; `write` sends them, hurt as asked, as fast as the socket takes them."""

    def __init__(self, socket: ServerConnection, venue: str, market: str, faults: Faults) -> None:
        self.socket, self.venue, self.market, self.faults = socket, venue, market, faults
        self.listings: set[str] = set()
        self.channels: set[str] = set()
        self.waiting: asyncio.Queue[tuple[str, bool]] = asyncio.Queue(_FRAMES_WAITING_MAX)
        self._writing, self._late = False, 0

    def offer(self, frame: str, *, may_hurt: bool = True) -> None:
        """Send when the socket is ready; a client with too much waiting is cut off."""
        try:
            self.waiting.put_nowait((frame, may_hurt))
        except asyncio.QueueFull:
            self.cut_off()

    def cut_off(self) -> None:
        """End the connection without a closing handshake."""
        self.socket.transport.abort()

    def wants(self, carried: frozenset[str]) -> bool:
        """Whether it subscribed to any of these channels."""
        return not self.channels.isdisjoint(carried) if carried else bool(self.channels)

    @property
    def busy(self) -> bool:
        """Whether anything is still on its way."""
        return self._writing or self._late > 0 or not self.waiting.empty()

    async def write(self) -> None:
        """Send what waits, hurt as asked, until the client goes."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                frame, may_hurt = await self.waiting.get()
                self._writing = True
                await self._send(self.faults.apply(frame) if may_hurt else Hurt([frame]))
                self._writing = False

    async def _send(self, hurt: Hurt) -> None:
        for late in hurt.late:
            self._late += 1
            asyncio.get_running_loop().call_later(hurt.late_s, self._offer_late, late)
        if hurt.stall_s:
            await asyncio.sleep(hurt.stall_s)
        for frame in hurt.frames:
            await self.socket.send(frame)
        if hurt.disconnect:
            self.cut_off()

    def _offer_late(self, frame: str) -> None:
        self._late -= 1
        self.offer(frame, may_hurt=False)
