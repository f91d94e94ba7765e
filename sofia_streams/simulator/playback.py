"""Recorded frames as a venue sends them: by channel, on the path of their market, controls left out. No clock, no I/O.

A simulated venue acknowledges, pings and beats by itself, so what the recording has of that is not sent again. A frame
that two connections of the recording had alike is sent once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from hashlib import blake2b

from sofia_streams.capture import CapturedFrame
from sofia_streams.errors import BadFrame
from sofia_streams.model import Control, Parsed, ParsedTicker, ParsedTrade
from sofia_streams.simulator.channels import ADVANCED, carried
from sofia_streams.simulator.sent import Sent
from sofia_streams.venues.registry import VENUES

Listed = dict[tuple[str, str], frozenset[str]]
_TEXTS_MAX = 10_000
_RUN_GAP_NS = 1_000_000_000


def place_of(frame: CapturedFrame) -> tuple[str, str]:
    """The venue and what stands after it in the path."""
    return frame.venue, ADVANCED if frame.api == "advanced" else frame.market


def listed_in(frames: Iterable[CapturedFrame]) -> Listed:
    """Every instrument that a recording says anything of, by path. Raises what reading raises."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for frame in frames:
        for one in _records(frame) or []:
            if isinstance(one, ParsedTrade | ParsedTicker):
                found[place_of(frame)].add(one.venue_symbol)
    return {place: frozenset(names) for place, names in found.items()}


def played(frames: Iterable[CapturedFrame]) -> Iterator[Sent]:
    """What is to be sent, at the recorded times. A frame that nobody understands goes to every subscriber."""
    once = _Once()
    for frame in frames:
        records = _records(frame)
        if records is None or (records and all(isinstance(one, Control) for one in records)) or once.had(frame):
            continue
        venue, market = place_of(frame)
        prints = [one for one in records if isinstance(one, ParsedTrade)]
        last = prints[-1] if prints else None
        yield Sent(
            frame.received_ns,
            venue,
            market,
            [(frame.frame, carried(venue, frame.frame))],
            listing=last.venue_symbol if last else "",
            last_id=last.trade.trade_id if last else "",
            trades=len(prints),
        )


def paced(recording: Iterable[Sent], start_ns: int, speed: float | None) -> Iterator[Sent]:
    """The same from `start_ns` on, at a multiple of its pace; None: everything is due at once."""
    first_ns: int | None = None
    for sent in recording:
        first_ns = sent.at_ns if first_ns is None else first_ns
        elapsed_ns = 0 if speed is None else int((sent.at_ns - first_ns) / speed)
        yield sent._replace(at_ns=start_ns + elapsed_ns)


def in_a_row(runs: Iterable[Iterable[Sent]]) -> Iterator[Sent]:
    """One run after the other, a second between them; only the times at which frames are due change."""
    last_ns: int | None = None
    for run in runs:
        shift_ns: int | None = None
        for sent in run:
            if shift_ns is None:
                shift_ns = 0 if last_ns is None else last_ns + _RUN_GAP_NS - sent.at_ns
            last_ns = sent.at_ns + shift_ns
            yield sent._replace(at_ns=last_ns)


class _Once:
    """Remembers the frames seen lately and who had them."""

    def __init__(self) -> None:
        self._connections: dict[bytes, str] = {}

    def had(self, frame: CapturedFrame) -> bool:
        """Whether another connection had this very frame."""
        text = "\0".join((*place_of(frame), frame.frame)).encode("utf-8", "surrogatepass")
        first = self._connections.setdefault(blake2b(text, digest_size=16).digest(), frame.connection)
        if len(self._connections) > _TEXTS_MAX:
            del self._connections[next(iter(self._connections))]
        return first != frame.connection


def _records(frame: CapturedFrame) -> list[Parsed] | None:
    """What the frame says; [] where nobody understands it, None for what the recorder itself sent."""
    if frame.direction == "out":
        return None
    try:
        return VENUES[frame.venue].parse(frame.data(), received_ns=frame.received_ns)
    except BadFrame:
        return []
