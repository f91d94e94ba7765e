"""Keeps one shard of a venue connected: subscribes, answers pings, notices silence, renews before the venue cuts.

A planned renewal opens the new connection before it closes the old one. After a failure the pause grows, with full
jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). Does not parse: the desk does.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import structlog
import websockets
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus, WebSocketException

from sofia_streams.ingest.intake import Line
from sofia_streams.model import Control, Market
from sofia_streams.obs import metrics
from sofia_streams.venues.registry import VENUES

_log = structlog.get_logger("connection")
_OPEN_S, _HANDOVER_S, _CLOSE_S = 10.0, 30.0, 2.0
_PAUSE_S_FIRST, _PAUSE_S_MAX, _STEADY_S = 1.0, 60.0, 60.0
_REFUSED_PAUSE_S = 600.0
"""After HTTP 403 or 451, which mean geography or a ban: asking again soon makes it worse."""
_REFUSED = (403, 418, 429, 451)
FRAME_BYTES_MAX = 8 * 1024 * 1024
_FRAMES_WAITING_MAX = 1_024


class Shard(NamedTuple):
    """The instruments of a venue that share a connection, by the venue's own names, and where to connect."""

    venue: str
    market: Market
    name: str
    listings: Sequence[str]
    url: str


class Desk(Protocol):
    """Where the connections hand their frames in."""

    async def requested(self, line: Line, text: str, now_ns: int) -> None:
        """A frame was sent."""

    async def take(self, line: Line, frame: bytes, now_ns: int) -> list[Control]:
        """A frame came in; waits while the log is behind, and so does the socket."""

    def closed(self, line: Line) -> None:
        """The connection is gone."""


class Silent(ConnectionError):
    """Nothing came for longer than the venue's own heartbeats allow."""


class Pace:
    """At most `per_s` turns a second."""

    def __init__(self, per_s: float) -> None:
        self._every_s, self._next_s = 1.0 / per_s, 0.0

    async def turn(self) -> None:
        """Wait for the next turn."""
        now_s = time.monotonic()
        at_s = max(now_s, self._next_s)
        self._next_s = at_s + self._every_s
        await asyncio.sleep(at_s - now_s)


def pause_s(failures: int) -> float:
    """A random pause up to 1, 2, 4, ... 60 s: full jitter, so that clients do not come back together."""
    return random.uniform(0.0, min(_PAUSE_S_MAX, _PAUSE_S_FIRST * 2.0 ** min(failures, 10)))  # noqa: S311


class _Session:
    """One open connection and the task that reads it."""

    def __init__(self, socket: ClientConnection, line: Line) -> None:
        self.socket, self.line = socket, line
        self.opened_s = self.heard_s = self.pinged_s = time.monotonic()
        self.heard = asyncio.Event()
        self.renew = False
        self.reader: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Stop reading, then close politely for a moment."""
        if self.reader:
            self.reader.cancel()
            await asyncio.gather(self.reader, return_exceptions=True)
        with contextlib.suppress(TimeoutError, OSError, WebSocketException):
            await asyncio.wait_for(self.socket.close(), _CLOSE_S)


class Feed:
    """One shard, kept connected for ever. `down_since_s` (monotonic) is None while frames come in."""

    def __init__(self, shard: Shard, desk: Desk, connects: Pace) -> None:
        self.shard, self._desk, self._connects = shard, desk, connects
        self._limits = VENUES[shard.venue].limits
        self._age_s_max = self._limits.age_s_max * random.uniform(0.95, 1.0)  # noqa: S311  not all at once
        self._opened = 0
        self.down_since_s: float | None = time.monotonic()
        self.heard_ns = self.first_heard_ns = 0

    @property
    def reconnects(self) -> int:
        """Connections opened after the first."""
        return max(0, self._opened - 1)

    async def run(self) -> None:
        """Connect, and again after every end; errors of the desk are raised."""
        failures, session, began_s = 0, None, time.monotonic()
        try:
            while True:
                try:
                    if session is None:
                        began_s = time.monotonic()
                        session = await self._open()
                    session = await self._watch(session)
                except (OSError, WebSocketException, TimeoutError) as error:
                    await self._end(session)
                    session = None
                    failures = 0 if time.monotonic() - began_s >= _STEADY_S else failures + 1
                    await self._pause(error, failures)
        finally:
            await self._end(session)

    async def _open(self) -> _Session:
        await self._connects.turn()
        shard, limits = self.shard, self._limits
        by_protocol = limits.ping_every_s if limits.ping is None else None
        socket = await websockets.connect(
            shard.url,
            open_timeout=_OPEN_S,
            close_timeout=_CLOSE_S,
            ping_interval=by_protocol,
            ping_timeout=by_protocol,
            max_size=FRAME_BYTES_MAX,
            max_queue=_FRAMES_WAITING_MAX,
            compression=None,
            user_agent_header="sofia-streams",
        )
        self._opened += 1
        if self._opened > 1:
            metrics.RECONNECTS.labels(shard.venue).inc()
        session = _Session(socket, Line(shard.venue, shard.market, f"{shard.name}.{self._opened}", shard.name))
        session.reader = asyncio.create_task(self._read(session))
        try:
            await self._subscribe(session)
        except BaseException:
            await self._end(session)
            raise
        return session

    async def _subscribe(self, session: _Session) -> None:
        requests = Pace(self._limits.requests_per_s)
        for text in VENUES[self.shard.venue].requests(self.shard.listings, self.shard.market):
            await requests.turn()
            await self._send(session, text)

    async def _send(self, session: _Session, text: str) -> None:
        await self._desk.requested(session.line, text, time.time_ns())
        await session.socket.send(text)

    async def _read(self, session: _Session) -> None:
        async for message in session.socket:
            self.heard_ns = time.time_ns()
            self.first_heard_ns = self.first_heard_ns or self.heard_ns
            session.heard_s = time.monotonic()
            self.down_since_s = None
            session.heard.set()
            frame = message.encode("utf-8", "surrogatepass") if isinstance(message, str) else message
            for control in await self._desk.take(session.line, frame, self.heard_ns):
                await self._obey(session, control)
        raise ConnectionError(f"closed by the venue: {session.socket.close_code} {session.socket.close_reason}")

    async def _obey(self, session: _Session, control: Control) -> None:
        if control.reply is not None:
            await self._send(session, control.reply)
        if control.reconnect:
            session.renew = True
        if control.kind in ("error", "notice"):
            _log.warning("the venue says", venue=self.shard.venue, kind=control.kind, detail=control.detail[:300])

    async def _watch(self, session: _Session) -> _Session:
        """Until the connection fails (raises) or is replaced by a new one (returns it)."""
        assert session.reader is not None
        while True:
            done, _ = await asyncio.wait([session.reader], timeout=1.0)
            if done:
                session.reader.result()
            now_s = time.monotonic()
            if now_s - session.heard_s > self._limits.silence_s:
                raise Silent(f"nothing came for {now_s - session.heard_s:.0f} s")
            if self._limits.ping is not None and now_s - session.pinged_s >= self._limits.ping_every_s:
                session.pinged_s = now_s
                await self._send(session, self._limits.ping)
            if session.renew or now_s - session.opened_s >= self._age_s_max:
                return await self._replace(session)

    async def _replace(self, session: _Session) -> _Session:
        _log.info("renewing a connection", venue=self.shard.venue, shard=self.shard.name)
        successor = await self._open()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(successor.heard.wait(), _HANDOVER_S)
        await self._end(session)
        return successor

    async def _end(self, session: _Session | None) -> None:
        if session is not None:
            await session.close()
            self._desk.closed(session.line)

    async def _pause(self, error: Exception, failures: int) -> None:
        self.down_since_s = self.down_since_s or time.monotonic()
        refused = isinstance(error, InvalidStatus) and error.response.status_code in _REFUSED
        wait_s = _REFUSED_PAUSE_S if refused else pause_s(failures)
        _log.warning(
            "no connection, trying again",
            venue=self.shard.venue,
            shard=self.shard.name,
            error=f"{type(error).__name__}: {error}"[:300],
            pause_s=round(wait_s, 1),
        )
        await asyncio.sleep(wait_s)
