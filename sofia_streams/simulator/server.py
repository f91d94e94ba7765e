"""Four exchanges on one port: `ws://host:port/<venue>/<market>`, each in its own protocol, from one market.

Clients subscribe as they would at the venue and get the channels they asked for. A client that reads too slowly is cut
off, as venues do. `http://host:port/stats` counts, and `http://host:port/<venue>/` has the venue's REST (`rest`).
`/control` makes faults on demand, where that was allowed (`control`); `/replay` serves recordings (`recording`).
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from sofia_streams.simulator import channels
from sofia_streams.simulator.client import Client
from sofia_streams.simulator.control import PATH, Control
from sofia_streams.simulator.faults import Fault, Faults
from sofia_streams.simulator.ledger import Ledger
from sofia_streams.simulator.outages import Outages
from sofia_streams.simulator.rest import Reply, Rest
from sofia_streams.simulator.rest.replies import json_reply
from sofia_streams.simulator.sent import Sent
from sofia_streams.venues.registry import VENUES

_SLICE_S, _RELEASE_S = 0.005, 0.05
_FRAMES_A_TURN = 256
"""Frames sent at once before others get a turn."""
_SETTLED_S = 1.0
_encoder = msgspec.json.Encoder()


class Exchanges:
    """Serves clients; `run` sends what the market says, when it is due.

    sent       trades that the market had, by "venue|market|listing"
    fired      faults that happened, by kind
    skew_ns    how far each venue's clock is ahead, for what it says by itself; `control` changes it
    rest       answers plain HTTP
    control    whether `/control` is served
    ledger     where every printed trade is written down
    """

    def __init__(
        self,
        listed: Mapping[tuple[str, str], frozenset[str]],
        faults: Mapping[str, Fault] = {},
        seed: int = 1,
        skew_ns: dict[str, int] | None = None,
        rest: Rest | None = None,
        *,
        control: bool = False,
        ledger: Ledger | None = None,
    ) -> None:
        self._rest, self._ledger, self._skew_ns = rest or Rest(), ledger, {} if skew_ns is None else skew_ns
        self._listed, self._faults, self._seed = dict(listed), dict(faults), seed
        self._clients: set[Client] = set()
        self._served = 0
        self._subscribed = asyncio.Event()
        self._subscribed_s = 0.0
        self._last_ids: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        self.sent: dict[str, int] = defaultdict(int)
        self.fired: dict[str, int] = defaultdict(int, dict.fromkeys(faults, 0))
        self._outages = Outages(faults, seed, self.fired)
        names: dict[str, set[str]] = defaultdict(set)
        for (venue, _), listings in listed.items():
            names[venue] |= listings
        actions = Control(names, self._outages, self._disconnect, self._skew_ns, time.monotonic)
        self._control = actions if control else None

    def stats(self) -> dict[str, Any]:
        """Counts since the start."""
        counts = {"clients": len(self._clients), "served": self._served, "sent": dict(self.sent)}
        return {**counts, "fired": dict(self.fired), "asked": self._rest.asked}

    def plain_http(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answers `/stats`, `/control` and REST; for `serve(..., process_request=)`."""
        reply = self._reply(request.path)
        if reply is None:
            return None
        response = connection.respond(HTTPStatus(reply.status), reply.body)
        del response.headers["Content-Type"]
        response.headers.update(reply.headers)
        if reply.cut:
            response.body = response.body[: -reply.cut]
        return response

    def _reply(self, target: str) -> Reply | None:
        path = target.partition("?")[0]
        if path == "/stats":
            return Reply(200, _encoder.encode(self.stats()).decode())
        if path == PATH:
            refused = json_reply({"error": "start the simulator with --control"}, 404)
            return refused if self._control is None else self._control.answer(target)
        reply = self._rest.answer(target)
        venue = path.strip("/").partition("/")[0]
        return None if reply is None else self._outages.answered(venue, reply, time.monotonic())

    def _disconnect(self, venue: str) -> int:
        found = [client for client in self._clients if client.venue == venue]
        for client in found:
            client.cut_off()
        self.fired["disconnect"] += len(found)
        return len(found)

    async def serve(self, socket: ServerConnection) -> None:
        """One client until it goes."""
        path = socket.request.path.partition("?")[0] if socket.request else ""
        venue, _, market = path.strip("/").partition("/")
        if (venue, market) not in self._listed:
            known = ", ".join(f"/{name}/{kind}" for name, kind in sorted(self._listed))
            await socket.close(1008, f"expected one of {known}"[:120])
            return
        client = Client(socket, venue, market, Faults(self._faults, self._seed + self._served, self.fired))
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

    async def _take(self, client: Client, text: str) -> None:
        answer = channels.answer(client.venue, client.market, text, self._listed[client.venue, client.market])
        for frame in answer.frames:
            await client.socket.send(frame)
        if answer.stopped:
            wanted = channels.asked(client.venue, text)
            client.channels.difference_update(one.channel for one in wanted if one.listing in answer.stopped)
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
        others = [asyncio.create_task(self._beat(clock_ns)), asyncio.create_task(self._release())]
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
            for task in others:
                task.cancel()

    def _deliver(self, sent: Sent) -> None:
        if sent.said is not None:
            self._rest.add(sent.venue, sent.said)
            if self._ledger:
                self._ledger.add(sent)
        if sent.trades:
            self._last_ids[sent.venue, sent.market][sent.listing] = sent.last_id
            self.sent[f"{sent.venue}|{sent.market}|{sent.listing}"] += sent.trades
        if self._outages.passed(sent):
            self._offer(sent)

    def _offer(self, sent: Sent) -> None:
        for client in list(self._clients):
            if client.venue == sent.venue and client.market == sent.market:
                for frame, carried in sent.frames:
                    if client.wants(carried):
                        client.offer(frame)

    async def _release(self) -> None:
        """What a stall held back, when that is over."""
        while True:
            await asyncio.sleep(_RELEASE_S)
            for sent in self._outages.released(time.monotonic()):
                self._offer(sent)

    async def _beat(self, clock_ns: Callable[[], int]) -> None:
        while True:
            await asyncio.sleep(1.0)
            if self._ledger:
                self._ledger.flush()
            for client in list(self._clients):
                if client.market == channels.ADVANCED or self._outages.is_silent(client.venue):
                    continue
                now_ns = clock_ns() + self._skew_ns.get(client.venue, 0)
                last_ids = self._last_ids[client.venue, client.market]
                last = {name: last_ids.get(name, "0") for name in client.listings}
                for frame in VENUES[client.venue].heartbeat(now_ns, last):
                    if client.wants(channels.carried(client.venue, frame)):
                        client.offer(frame)


async def _until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110  many queues, none of which tells when it moves
        await asyncio.sleep(_SLICE_S)
