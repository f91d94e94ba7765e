"""Keeps one shard of a venue connected: subscribes, answers pings, notices silence, renews before the venue cuts.

A planned renewal closes the old connection only once the new one is live, and keeps it when there is none to be had.
After a failure the pause grows, with full jitter, and begins anew after a minute live. Frames that the desk has no
time for wait in the socket, a bounded number, then in the venue's own. Does not parse: the desk does.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
from websockets.exceptions import WebSocketException

from sofia_streams.ingest.line import Line
from sofia_streams.ingest.sockets.clock import CLOCK
from sofia_streams.ingest.sockets.opening import open_socket, unreadable
from sofia_streams.ingest.sockets.pace import Pace, wait_s, words_of
from sofia_streams.ingest.sockets.session import Session, Silent, Unanswered
from sofia_streams.ingest.sockets.shards import Shard
from sofia_streams.model import Control
from sofia_streams.obs import metrics
from sofia_streams.venues.base import cancelling
from sofia_streams.venues.registry import VENUES

_log = structlog.get_logger("connection")
_HANDOVER_S, _LOOK_S = 30.0, 1.0
_ANSWER_S = 10.0
"""A subscription that is not answered by then is as good as a dead connection."""
_STEADY_S = 60.0

Refuse = Callable[[Line, str, int], Awaitable[None]]
_TROUBLES = (OSError, WebSocketException, TimeoutError)


class Desk(Protocol):
    """Where the connections hand their frames in."""

    async def requested(self, line: Line, text: str, now_ns: int) -> None:
        """A frame was sent."""

    async def take(self, line: Line, frame: bytes, now_ns: int) -> list[Control]:
        """A frame came in; waits while the log is behind, and so does the socket."""

    def closed(self, line: Line) -> None:
        """The connection is gone."""


class Feed:
    """One shard, kept connected for ever. `down_since_s` (monotonic) is None while it is live.

    `refuse` is told of frames that could not even be taken: too large, no UTF-8.
    """

    def __init__(self, shard: Shard, desk: Desk, connects: Pace, refuse: Refuse | None = None) -> None:
        self.shard, self._desk, self._connects, self._refuse = shard, desk, connects, refuse
        self._limits = VENUES[shard.venue].limits
        self._age_s_max = self._limits.age_s_max * random.uniform(0.95, 1.0)  # noqa: S311  not all at once
        self._opened = 0
        self._session: Session | None = None
        self.down_since_s: float | None = time.monotonic()
        self.heard_ns = self.first_heard_ns = 0
        self.drops = 0
        """How often a connection ended with none to take over."""
        self.dropped_ns = 0
        """When the last one of those was heard last."""

    @property
    def reconnects(self) -> int:
        """Connections opened after the first."""
        return max(0, self._opened - 1)

    @property
    def rejected(self) -> dict[str, str]:
        """Listings that the venue refused on the present connection, and its words."""
        return self._session.rejected if self._session else {}

    @property
    def waiting(self) -> int:
        """Frames received and not read yet."""
        return self._session.waiting if self._session else 0

    async def run(self) -> None:
        """Connect, and again after every end; errors of the desk are raised."""
        failures = 0
        try:
            while True:
                try:
                    if self._session is None:
                        self._session = await self._open()
                    self._session = await self._watch(self._session)
                except _TROUBLES as error:
                    failures = 0 if self._was_steady() else failures + 1
                    await self._note_unreadable(error)
                    self.drops, self.dropped_ns = self.drops + (self._session is not None), self.heard_ns
                    await self._drop()
                    await self._pause(error, failures)
        finally:
            await self._drop()

    async def resubscribe(self, listing: str) -> None:
        """Ask for one listing again on the present connection; harmless where there is none."""
        session = self._session
        if session is None:
            return
        venue, requests = VENUES[self.shard.venue], Pace(self._limits.requests_per_s)
        with contextlib.suppress(*_TROUBLES):  # then the reader finds the same and opens another
            for text in venue.requests([listing], self.shard.market):
                for request in (cancelling(text), text):
                    await requests.turn()
                    await self._send(session, request)

    def renew(self) -> None:
        """Replace the connection by a new one soon."""
        if self._session is not None:
            self._session.renew = True

    def moved(self, by_ns: int) -> None:
        """The receiver's clock was set."""
        for name in ("heard_ns", "first_heard_ns", "dropped_ns"):
            at_ns = getattr(self, name)
            setattr(self, name, at_ns and at_ns + by_ns)

    def _was_steady(self) -> bool:
        live_s = self._session.live_s if self._session else None
        return live_s is not None and time.monotonic() - live_s >= _STEADY_S

    async def _open(self) -> Session:
        await self._connects.turn()
        shard, limits = self.shard, self._limits
        socket = await open_socket(shard.url, limits.ping_every_s if limits.ping is None else None)
        self._opened += 1
        if self._opened > 1:
            metrics.RECONNECTS.labels(shard.venue).inc()
        line = Line(shard.venue, shard.market, f"{shard.name}.{self._opened}", shard.group)
        session = Session(socket, line, shard.listings)
        session.reader = asyncio.create_task(self._read(session))
        try:
            await self._subscribe(session)
        except BaseException:
            await self._end(session)
            raise
        return session

    async def _subscribe(self, session: Session) -> None:
        venue, requests = VENUES[self.shard.venue], Pace(self._limits.requests_per_s)
        for text in venue.requests(self.shard.listings, self.shard.market):
            await requests.turn()
            session.asked(venue.answers(text))
            await self._send(session, text)
        session.all_asked()

    async def _send(self, session: Session, text: str) -> None:
        await self._desk.requested(session.line, text, CLOCK.now_ns())
        await session.socket.send(text)

    async def _read(self, session: Session) -> None:
        async for message in session.socket:
            self.heard_ns, session.heard_s = CLOCK.now_ns(), time.monotonic()
            self.first_heard_ns = self.first_heard_ns or self.heard_ns
            frame = message.encode("utf-8", "surrogatepass") if isinstance(message, str) else message
            async with session.taking:
                controls = await self._desk.take(session.line, frame, self.heard_ns)
            session.heard_s = time.monotonic()  # while the log was behind, nobody listened
            for control in controls:
                await self._obey(session, control)
            if session.live_s is not None:
                self.down_since_s = None
        raise ConnectionError(f"closed by the venue: {session.socket.close_code} {session.socket.close_reason}")

    async def _obey(self, session: Session, control: Control) -> None:
        venue, detail = self.shard.venue, control.detail[:300]
        if control.reply is not None:
            await self._send(session, control.reply)
        if control.reconnect:
            session.renew = True
        if control.kind == "ack":
            session.answered()
        if control.kind == "error":
            refused = session.answered(control.detail)
            _log.warning("the venue refuses", venue=venue, listings=refused, detail=detail)
        if control.kind == "notice":
            _log.warning("the venue says", venue=venue, detail=detail)

    async def _watch(self, session: Session) -> Session:
        """Until the connection fails (raises) or is replaced by a new one (returns it)."""
        assert session.reader is not None
        while True:
            done, _ = await asyncio.wait([session.reader], timeout=_LOOK_S)
            if done:
                session.reader.result()
            now_s = time.monotonic()
            if session.live_s is None and now_s - session.asked_s > _ANSWER_S:
                raise Unanswered(f"{session.unanswered()} answers to our subscriptions are missing")
            if not session.taking.locked() and now_s - session.heard_s > self._limits.silence_s:
                raise Silent(f"nothing came for {now_s - session.heard_s:.0f} s")
            if self._limits.ping is not None and now_s - session.pinged_s >= self._limits.ping_every_s:
                session.pinged_s = now_s
                await self._send(session, self._limits.ping)
            is_due = session.renew or now_s - session.opened_s >= self._age_s_max
            if is_due and now_s >= session.renew_at_s:
                successor = await self._successor(session)
                if successor is not None:
                    await self._end(session)
                    return successor

    async def _successor(self, session: Session) -> Session | None:
        """A live connection to take over; None where there is none to be had now: the old one goes on meanwhile."""
        _log.info("renewing a connection", venue=self.shard.venue, shard=self.shard.name)
        successor: Session | None = None
        trouble: Exception = TimeoutError("the new connection did not become live")
        try:
            successor = await self._open()
            await self._handover(successor, session)
            if successor.live_s is not None:
                return successor
        except _TROUBLES as error:
            trouble = error
        except BaseException:
            await self._end(successor)
            raise
        await self._end(successor)
        session.renew_failures += 1
        session.renew_at_s = time.monotonic() + wait_s(trouble, session.renew_failures)
        _log.warning("no new connection yet, the old one goes on", venue=self.shard.venue, error=str(trouble)[:300])
        return None

    async def _handover(self, successor: Session, session: Session) -> None:
        """Until the successor is live, or either of the two ended, or it took too long."""
        assert successor.reader is not None and session.reader is not None
        live = asyncio.create_task(successor.ready.wait())
        try:
            watched = [live, successor.reader, session.reader]
            await asyncio.wait(watched, timeout=_HANDOVER_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            live.cancel()

    async def _note_unreadable(self, error: Exception) -> None:
        found = unreadable(error)
        if found is not None and self._refuse is not None and self._session is not None:
            await self._refuse(self._session.line, f"{self.shard.venue}: {found}", CLOCK.now_ns())

    async def _drop(self) -> None:
        session, self._session = self._session, None
        await self._end(session)

    async def _end(self, session: Session | None) -> None:
        if session is not None:
            await session.close()
            self._desk.closed(session.line)

    async def _pause(self, error: Exception, failures: int) -> None:
        self.down_since_s = self.down_since_s or time.monotonic()
        seconds = wait_s(error, failures)
        _log.warning(
            "no connection, trying again",
            venue=self.shard.venue,
            shard=self.shard.name,
            error=words_of(error),
            pause_s=round(seconds, 1),
        )
        await asyncio.sleep(seconds)
