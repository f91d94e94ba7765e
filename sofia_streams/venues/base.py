"""What every venue module gives: one object of pure functions and limits. No socket, no clock.

Ingest and the simulator use venues only through it; `venues.registry` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from sofia_streams.model import Market, Parsed, ParsedTicker, ParsedTrade, Trade


class Parse(Protocol):
    """Frame in, records out, in the venue's time order. Raises BadFrame, nothing else, whatever the bytes."""

    def __call__(self, frame: bytes, *, received_ns: int) -> list[Parsed]: ...  # noqa: D102


class Answer(NamedTuple):
    """What a venue does with a client's frame: what it sends back, whose data it sends from now on, or no more."""

    frames: list[str]
    symbols: Sequence[str] = ()
    stopped: Sequence[str] = ()


_CANCELS = {"SUBSCRIBE": "UNSUBSCRIBE", "subscribe": "unsubscribe"}


def cancelling(request: str) -> str:
    """The request that takes a subscription back: the same, with the opposite word. Every venue here has one."""
    found = msgspec.json.decode(request)
    words = {name: _CANCELS.get(value, value) if isinstance(value, str) else value for name, value in found.items()}
    return msgspec.json.encode(words).decode()


class Limits(NamedTuple):
    """What the venue allows and expects of one connection.

    ping             the text a client must send when idle; None where protocol-level pings suffice
    ping_every_s     how often
    silence_s        nothing received for so long means that the connection is dead
    age_s_max        planned reconnect before this age
    connects_per_s   new connections a second
    symbols_max      instruments one connection carries
    requests_per_s   client messages a second
    """

    ping: str | None
    ping_every_s: float
    silence_s: float
    age_s_max: float
    connects_per_s: float
    symbols_max: int
    requests_per_s: float


class Venue(NamedTuple):
    """One venue's protocol as pure functions.

    parse           one received frame to records
    url             the public market-data WebSocket of a market; raises UnknownSymbol for a market we do not read
    requests        subscribe frames for these listings: trades, ticker, best bid and ask
    answers         how many answers (yes or no) one of these requests gets
    sent_as         the name under which a listing's data comes, where the venue joins two books
    to_listing      unified symbol and market to the venue's own name
    from_listing    the venue's name to (unified symbol, guessed); raises UnknownSymbol
    encode_trade    the wire frame that parses back to exactly this trade (for the simulator)
    encode_ticker   wire frames that together parse back to these ticker fields
    read_trade      a row of its REST trades to a trade; raises ValueError
    write_trade     the row that reads back to exactly this trade (for the simulator)
    answer          what the venue answers to a client's frame, given the names it lists
    heartbeat       what the venue sends by itself each second: (now_ns, {listing: last trade id})
    ids_count       whether the trade ids of an instrument rise by one, so that a missing one shows
    places_a_sequence  where several frames may share a sequence: a trade's `order` is the sequence times so many
                    places, plus its own; None where every trade has an order of its own
    """

    parse: Parse
    url: Callable[[Market], str]
    requests: Callable[[Sequence[str], Market], list[str]]
    answers: Callable[[str], int]
    sent_as: Callable[[str], str]
    to_listing: Callable[[str, Market], str]
    from_listing: Callable[[str, Market], tuple[str, bool]]
    encode_trade: Callable[[ParsedTrade], str]
    encode_ticker: Callable[[ParsedTicker], list[str]]
    read_trade: Callable[[Mapping[str, Any]], Trade]
    write_trade: Callable[[ParsedTrade], dict[str, Any]]
    answer: Callable[[str, frozenset[str]], Answer]
    heartbeat: Callable[[int, Mapping[str, str]], list[str]]
    limits: Limits
    ids_count: bool = True
    places_a_sequence: int | None = None
