"""Four exchanges on one port: `ws://host:port/<venue>/<market>`, each in its own protocol, from one market.

Clients subscribe as they would at the venue and get the channels they asked for. A client that reads too slowly is cut
off, as venues do. `http://host:port/stats` counts, and `http://host:port/<venue>/` has the venue's REST (`rest`).
`/replay` serves recordings in their own order (`recording`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from random import Random
from typing import Any, NamedTuple

import msgspec
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from sofia_streams.model import ParsedTrade
from sofia_streams.simulator import channels
from sofia_streams.simulator.faults import BUSY, Fault, Faults, Hurt
from sofia_streams.simulator.market import Event
from sofia_streams.simulator.rest import Reply, Rest, too_many
from sofia_streams.venues.registry import VENUES

_FRAMES_WAITING_MAX = 20_000
_SLICE_S = 0.005
_FRAMES_A_TURN = 256
"""Frames sent at once before others get a turn."""
_SETTLED_S = 1.0
_encoder = msgspec.json.Encoder()


class Sent(NamedTuple):
    """Frames of a venue, each with its channels (none: every subscriber), due at `at_ns`.

    `market` is what stands after the venue in the path; `trades` of `listing` are in the frames, the last is `last_id`.
    """

    at_ns: int
    venue: str
    market: str
    frames: list[tuple[str, frozenset[str]]]
    listing: str = ""
    last_id: str = ""
    trades: int = 0
    said: ParsedTrade | None = None
    """The trade itself, of a made market."""


def encoded(events: Iterable[Event]) -> Iterator[Sent]:
    """A market in the venues' own words."""
    for at_ns, venue, said in events:
        if isinstance(said, ParsedTrade):
            texts, listing, last_id = [VENUES[venue].encode_trade(said)], said.venue_symbol, said.trade.trade_id
        else:
            texts, listing, last_id = VENUES[venue].encode_ticker(said), said.venue_symbol, ""
        trade = said if isinstance(said, ParsedTrade) else None
        frames = [(text, channels.carried(venue, text)) for text in texts]
        yield Sent(at_ns, venue, "spot", frames, listing, last_id, 1 if trade else 0, trade)


class _Client:
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
            self.socket.transport.abort()

    def _offer_late(self, frame: str) -> None:
        self._late -= 1
        self.offer(frame, may_hurt=False)


class Exchanges:
    """Serves clients; `run` sends what the market says, when it is due.

    sent       trades that the market had, by "venue|market|listing"
    fired      faults that happened, by kind
    skew_ns    how far the exchanges' clocks are ahead, for what they say by themselves
    rest       answers plain HTTP
    """

    def __init__(
        self,
        listed: Mapping[tuple[str, str], frozenset[str]],
        faults: Mapping[str, Fault] = {},
        seed: int = 1,
        skew_ns: int = 0,
        rest: Rest | None = None,
    ) -> None:
        self._rest, self._random = rest or Rest(), Random(seed)  # noqa: S311
        self._listed, self._faults, self._seed, self._skew_ns = dict(listed), dict(faults), seed, skew_ns
        self._clients: set[_Client] = set()
        self._served = 0
        self._subscribed = asyncio.Event()
        self._subscribed_s = 0.0
        self._last_ids: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        self.sent: dict[str, int] = defaultdict(int)
        self.fired: dict[str, int] = dict.fromkeys(faults, 0)

    def stats(self) -> dict[str, Any]:
        """Counts since the start."""
        return {"clients": len(self._clients), "served": self._served, "sent": dict(self.sent), "fired": self.fired}

    def plain_http(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answers `/stats` and REST; for `serve(..., process_request=)`."""
        is_stats = request.path == "/stats"
        reply = Reply(200, _encoder.encode(self.stats()).decode()) if is_stats else self._rest.answer(request.path)
        if reply is None:
            return None
        busy = self._faults.get(BUSY)
        if busy and not is_stats and self._random.random() < busy.share:
            self.fired[BUSY] += 1
            reply = too_many(busy.seconds)
        response = connection.respond(HTTPStatus(reply.status), reply.body)
        del response.headers["Content-Type"]
        response.headers.update(reply.headers)
        if reply.cut:
            response.body = response.body[: -reply.cut]
        return response

    async def serve(self, socket: ServerConnection) -> None:
        """One client until it goes."""
        path = socket.request.path.partition("?")[0] if socket.request else ""
        venue, _, market = path.strip("/").partition("/")
        if (venue, market) not in self._listed:
            known = ", ".join(f"/{name}/{kind}" for name, kind in sorted(self._listed))
            await socket.close(1008, f"expected one of {known}"[:120])
            return
        client = _Client(socket, venue, market, Faults(self._faults, self._seed + self._served, self.fired))
        self._served += 1
        self._clients.add(client)
        writer = asyncio.create_task(client.write())
        try:
            async for message in socket:
                await self._take(client, message if isinstance(message, str) else message.decode("utf-8", "replace"))
        except ConnectionClosed:
            pass
        finally:
            self._clients.discard(client)
            writer.cancel()

    async def _take(self, client: _Client, text: str) -> None:
        answer = channels.answer(client.venue, client.market, text, self._listed[client.venue, client.market])
        for frame in answer.frames:
            await client.socket.send(frame)
        if answer.symbols:
            client.listings.update(answer.symbols)
            wanted = channels.asked(client.venue, text)
            client.channels.update(one.channel for one in wanted if one.listing in client.listings)
            self._subscribed_s = time.monotonic()
            self._subscribed.set()

    async def settled(self) -> None:
        """Until a client has subscribed, and none has asked for more for a second."""
        await self._subscribed.wait()
        await _until(lambda: time.monotonic() - self._subscribed_s >= _SETTLED_S)

    async def run(
        self, market: Iterable[Sent], clock_ns: Callable[[], int] = time.time_ns, *, patient: bool = False
    ) -> None:
        """Send everything when it is due by the clock; ends when a market that ends has been read by all.

        `patient` waits for slow clients instead of cutting them off.
        """
        heartbeats = asyncio.create_task(self._beat(clock_ns))
        try:
            for number, sent in enumerate(market):
                early_s = (sent.at_ns - clock_ns()) / 1e9
                if early_s > 0 or number % _FRAMES_A_TURN == 0:
                    await asyncio.sleep(max(early_s, _SLICE_S) if early_s > 0 else 0)
                if patient:
                    await _until(lambda: not any(client.waiting.full() for client in self._clients))
                self._deliver(sent)
            await _until(lambda: not any(client.busy for client in self._clients))
        finally:
            heartbeats.cancel()

    def _deliver(self, sent: Sent) -> None:
        if sent.said is not None:
            self._rest.add(sent.venue, sent.said)
        if sent.trades:
            self._last_ids[sent.venue, sent.market][sent.listing] = sent.last_id
            self.sent[f"{sent.venue}|{sent.market}|{sent.listing}"] += sent.trades
        for client in list(self._clients):
            if client.venue == sent.venue and client.market == sent.market:
                for frame, carried in sent.frames:
                    if client.wants(carried):
                        client.offer(frame)

    async def _beat(self, clock_ns: Callable[[], int]) -> None:
        while True:
            await asyncio.sleep(1.0)
            for client in list(self._clients):
                if client.market == channels.ADVANCED:
                    continue
                last_ids = self._last_ids[client.venue, client.market]
                last = {name: last_ids.get(name, "0") for name in client.listings}
                for frame in VENUES[client.venue].heartbeat(clock_ns() + self._skew_ns, last):
                    if client.wants(channels.carried(client.venue, frame)):
                        client.offer(frame)


async def _until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110  many queues, none of which tells when it moves
        await asyncio.sleep(_SLICE_S)
