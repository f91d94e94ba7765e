"""Four exchanges on one port: `ws://host:port/<venue>/<market>`, each in its own protocol, from one market.

Clients subscribe as they would at the venue. A client that reads too slowly is cut off, as venues do. `/replay` serves
recordings in their own order (`recording`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from sofia_streams.model import Market as MarketName
from sofia_streams.model import ParsedTrade
from sofia_streams.simulator.faults import Faults
from sofia_streams.simulator.market import Event
from sofia_streams.venues.registry import VENUES

_FRAMES_WAITING_MAX = 20_000
_SLICE_S = 0.005
_BUSY = 256
"""Frames sent at once before others get a turn."""


class Sent(NamedTuple):
    """Frames of one instrument (None: for every subscriber of the venue), due at `at_ns`."""

    at_ns: int
    venue: str
    market: MarketName
    listing: str | None
    frames: list[str]
    last_id: str = ""


def encoded(events: Iterable[Event]) -> Iterator[Sent]:
    """A generated market in the venues' own words."""
    for at_ns, venue, said in events:
        if isinstance(said, ParsedTrade):
            frames = [VENUES[venue].encode_trade(said)]
            yield Sent(at_ns, venue, "spot", said.venue_symbol, frames, said.trade.trade_id)
        else:
            yield Sent(at_ns, venue, "spot", said.venue_symbol, VENUES[venue].encode_ticker(said))


class _Client:
    def __init__(self, socket: ServerConnection, venue: str, market: str, faults: Faults) -> None:
        self.socket, self.venue, self.market, self.faults = socket, venue, market, faults
        self.listings: set[str] = set()
        self.waiting: asyncio.Queue[str] = asyncio.Queue(_FRAMES_WAITING_MAX)

    def offer(self, frame: str) -> bool:
        """Whether there was room."""
        with contextlib.suppress(asyncio.QueueFull):
            self.waiting.put_nowait(frame)
            return True
        return False


class Exchanges:
    """Serves clients; `run` sends what the market says, when it is due."""

    def __init__(
        self, listed: Mapping[tuple[str, str], frozenset[str]], faults: Mapping[str, float] = {}, seed: int = 1
    ) -> None:
        self._listed, self._faults, self._seed = dict(listed), dict(faults), seed
        self._clients: set[_Client] = set()
        self._last_ids: dict[str, dict[str, str]] = defaultdict(dict)
        self.sent: dict[str, int] = defaultdict(int)

    async def serve(self, socket: ServerConnection) -> None:
        """One client until it goes."""
        path = socket.request.path.partition("?")[0] if socket.request else ""
        venue, _, market = path.strip("/").partition("/")
        if (venue, market) not in self._listed:
            known = ", ".join(f"/{name}/{kind}" for name, kind in sorted(self._listed))
            await socket.close(1008, f"expected one of {known}"[:120])
            return
        client = _Client(socket, venue, market, Faults(self._faults, self._seed + len(self.sent)))
        self._clients.add(client)
        writer = asyncio.create_task(self._write(client))
        try:
            async for message in socket:
                text = message if isinstance(message, str) else message.decode("utf-8", "replace")
                answer = VENUES[venue].answer(text, self._listed[venue, market])
                for frame in answer.frames:
                    await socket.send(frame)
                client.listings.update(answer.symbols)
        except ConnectionClosed:
            pass
        finally:
            self._clients.discard(client)
            writer.cancel()

    async def run(self, market: Iterator[Sent], clock_ns: Callable[[], int] = time.time_ns) -> None:
        """Send everything when it is due by the clock; ends with the market."""
        heartbeats = asyncio.create_task(self._beat(clock_ns))
        try:
            for number, sent in enumerate(market):
                early_s = (sent.at_ns - clock_ns()) / 1e9
                if early_s > 0 or number % _BUSY == 0:
                    await asyncio.sleep(max(early_s, _SLICE_S) if early_s > 0 else 0)
                self._deliver(sent)
        finally:
            heartbeats.cancel()

    def _deliver(self, sent: Sent) -> None:
        if sent.last_id and sent.listing:
            self._last_ids[sent.venue][sent.listing] = sent.last_id
            self.sent[f"{sent.venue}|{sent.listing}"] += 1
        for client in list(self._clients):
            if client.venue != sent.venue or client.market != sent.market:
                continue
            if sent.listing in client.listings if sent.listing else client.listings:
                for frame in sent.frames:
                    if not client.offer(frame):
                        client.socket.transport.abort()  # a slow consumer

    async def _write(self, client: _Client) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                hurt = client.faults.apply(await client.waiting.get())
                if hurt.stall_s:
                    await asyncio.sleep(hurt.stall_s)
                for frame in hurt.frames:
                    await client.socket.send(frame)
                if hurt.disconnect:
                    client.socket.transport.abort()

    async def _beat(self, clock_ns: Callable[[], int]) -> None:
        while True:
            await asyncio.sleep(1.0)
            for client in list(self._clients):
                last = {name: self._last_ids[client.venue].get(name, "0") for name in client.listings}
                for frame in VENUES[client.venue].heartbeat(clock_ns(), last):
                    client.offer(frame)
