"""One open connection: what was asked and answered, when it was heard, what the venue refused. Opens nothing itself."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Sequence

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from sofia_streams.ingest.line import Line

CLOSE_S = 2.0


class Silent(ConnectionError):
    """Nothing came for longer than the venue's own heartbeats allow."""


class Unanswered(ConnectionError):
    """The venue took the connection and did not answer the subscriptions."""


class Session:
    """A connection from its opening to its close.

    LIVE begins when every subscription was answered, with yes or no; `live_s` (monotonic) is None until then.
    `rejected` has the listings that the venue refused, and its words.
    """

    def __init__(self, socket: ClientConnection, line: Line, listings: Sequence[str]) -> None:
        self.socket, self.line = socket, line
        self.opened_s = self.asked_s = self.heard_s = self.pinged_s = time.monotonic()
        self.ready = asyncio.Event()
        self.live_s: float | None = None
        self.rejected: dict[str, str] = {}
        self.renew = False
        self.renew_failures = 0
        self.renew_at_s = 0.0
        self.reader: asyncio.Task[None] | None = None
        self.taking = asyncio.Lock()
        """Held while a frame is taken: its ids are known before its trades are in the log."""
        self._listings = listings
        self._asked = self._answered = 0
        self._all_asked = False

    @property
    def waiting(self) -> int:
        """Frames received and not read yet."""
        return len(self.socket.recv_messages.frames)

    def asked(self, answers: int) -> None:
        """A request was sent that gets so many answers."""
        self._asked += answers
        self.asked_s = time.monotonic()

    def all_asked(self) -> None:
        """Every request was sent."""
        self._all_asked = True
        self._check_live()

    def answered(self, refusal: str | None = None) -> list[str]:
        """An answer came: yes, or a refusal in the venue's words. The listings it newly refuses."""
        self._answered += 1
        named = [name for name in self._listings if refusal and _names(refusal, name) and name not in self.rejected]
        for name in named:
            self.rejected[name] = refusal or ""
        self._check_live()
        return named

    def unanswered(self) -> int:
        """How many answers are still to come."""
        return max(0, self._asked - self._answered)

    def _check_live(self) -> None:
        if self._all_asked and self.live_s is None and not self.unanswered():
            self.live_s = time.monotonic()
            self.ready.set()

    async def close(self) -> None:
        """Close politely, read out what had come, then stop; a frame that is being taken is taken to its end."""
        with contextlib.suppress(TimeoutError, OSError, WebSocketException):
            await asyncio.wait_for(self.socket.close(), CLOSE_S)
        if self.reader:
            await asyncio.wait([self.reader], timeout=CLOSE_S)
            async with self.taking:
                self.reader.cancel()
            await asyncio.gather(self.reader, return_exceptions=True)


def _names(text: str, listing: str) -> bool:
    """Whether a venue's words name this listing, and not only a longer one that holds it."""
    return re.search(rf"(?<![A-Za-z0-9-]){re.escape(listing)}(?![A-Za-z0-9-])", text) is not None
