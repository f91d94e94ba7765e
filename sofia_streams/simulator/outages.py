"""What goes wrong at a venue itself, the same for all its clients: lost trades, a silent feed, REST in trouble.

Seeded where it is left to chance (`gap`), exact where it was asked for (`control`). No socket, no clock of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec

from sofia_streams.simulator.faults import BUSY, GAP, Fault
from sofia_streams.simulator.rest import Reply, too_many
from sofia_streams.simulator.rest.replies import json_reply
from sofia_streams.simulator.sent import Sent

TROUBLES = ("429", "418", "403", "500", "html", "cut", "empty")
"""Statuses; a page that is no JSON; half a body; a good answer in which there is nothing."""
_HELD_MAX = 100_000
_CUT_BYTES = 100


@dataclass(slots=True)
class _Stall:
    """Of a listing, or ("") of the whole venue; what would have been sent waits in `held`."""

    listing: str
    until_s: float
    held: deque[Sent]


@dataclass(slots=True)
class Trouble:
    """What the next `left` requests get, or (None) those before `until_s`."""

    kind: str
    left: int | None
    until_s: float
    retry_after_s: int | None = None


class Outages:
    """Faults by venue; counts in `fired` by kind: `gap` trades, `stall` frames, `rest_*` answers."""

    def __init__(self, faults: Mapping[str, Fault], seed: int, fired: dict[str, int]) -> None:
        self._gap, self._busy, self._fired = faults.get(GAP), faults.get(BUSY), fired
        self._random = Random(seed)  # noqa: S311
        self._drops: dict[tuple[str, str], int] = {}
        self._stalls: dict[str, _Stall] = {}
        self._troubles: dict[str, Trouble] = {}

    def drop(self, venue: str, listing: str, trades: int) -> None:
        """Lose the next so many trades of a listing."""
        self._drops[venue, listing] = self._drops.get((venue, listing), 0) + trades

    def stall(self, venue: str, listing: str, until_s: float) -> None:
        """Send nothing of a listing ("": of the venue, heartbeats included) until then, and everything afterwards.

        Raises ValueError while another stall of this venue lasts.
        """
        if venue in self._stalls:
            raise ValueError(f"expected no stall of {venue} to last already")
        self._stalls[venue] = _Stall(listing, until_s, deque())

    def trouble(self, venue: str, trouble: Trouble) -> None:
        """Answer REST so, instead of any trouble from before."""
        self._troubles[venue] = trouble

    def is_silent(self, venue: str) -> bool:
        """Whether the whole venue is stalled."""
        return venue in self._stalls and not self._stalls[venue].listing

    def passed(self, sent: Sent) -> bool:
        """Whether these frames go out now; else they are lost, or held until `released`."""
        if self._loses(sent):
            self._fired["gap"] += sent.trades
            return False
        stall = self._stalls.get(sent.venue)
        if stall is None or stall.listing not in ("", sent.listing):
            return True
        self._fired["stall"] += len(sent.frames)
        if len(stall.held) == _HELD_MAX:
            self._fired["gap"] += stall.held.popleft().trades
        stall.held.append(sent)
        return False

    def released(self, now_s: float) -> list[Sent]:
        """What was held and goes out now, in order."""
        over = [venue for venue, stall in self._stalls.items() if stall.until_s <= now_s]
        return [sent for venue in over for sent in self._stalls.pop(venue).held]

    def _loses(self, sent: Sent) -> bool:
        if not sent.trades:
            return False
        name = (sent.venue, sent.listing)
        if name not in self._drops and self._gap and self._random.random() < self._gap.share:
            self._drops[name] = self._gap.trades
        left = self._drops.pop(name, 0)
        if left > sent.trades:
            self._drops[name] = left - sent.trades
        return left > 0

    def answered(self, venue: str, reply: Reply, now_s: float) -> Reply:
        """The answer, or what trouble makes of it."""
        if self._busy and self._random.random() < self._busy.share:
            self._fired[BUSY] += 1
            return too_many(self._busy.seconds)
        trouble = self._troubles.get(venue)
        if trouble is None:
            return reply
        if trouble.left is not None:
            trouble.left -= 1
        is_over = trouble.left < 0 if trouble.left is not None else trouble.until_s <= now_s
        if is_over:
            del self._troubles[venue]
            return reply
        self._fired[f"rest_{trouble.kind}"] += 1
        return _troubled(trouble, reply)


def _troubled(trouble: Trouble, reply: Reply) -> Reply:
    if trouble.kind == "html":
        return Reply(200, "<html><body>Sign in to the network</body></html>", {"Content-Type": "text/html"})
    if trouble.kind == "cut":
        return reply._replace(body=reply.body + " " * _CUT_BYTES, cut=_CUT_BYTES + len(reply.body.encode()) // 2)
    if trouble.kind == "empty":
        return json_reply(_emptied(msgspec.json.decode(reply.body)), reply.status)
    after_s = trouble.retry_after_s
    headers = {} if after_s is None else {"Retry-After": str(after_s)}
    return json_reply({"code": -1003, "msg": f"simulated trouble {trouble.kind}"}, int(trouble.kind), headers)


def _emptied(answer: Any) -> Any:
    """An answer of the same shape without its rows."""
    if isinstance(answer, dict):
        return {name: _emptied(value) for name, value in answer.items()}
    return [] if isinstance(answer, list) else answer
