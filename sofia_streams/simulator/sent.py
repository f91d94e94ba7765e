"""What a simulated venue sends: frames with their channels, when they are due, and the trades in them. No socket."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sofia_streams.model import ParsedTrade
from sofia_streams.simulator import channels
from sofia_streams.simulator.market import Event
from sofia_streams.venues.registry import VENUES


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
            texts, trade, last_id = [VENUES[venue].encode_trade(said)], said, said.trade.trade_id
        else:
            texts, trade, last_id = VENUES[venue].encode_ticker(said), None, ""
        frames = [(text, channels.carried(venue, text)) for text in texts]
        yield Sent(at_ns, venue, "spot", frames, said.venue_symbol, last_id, 1 if trade else 0, trade)
