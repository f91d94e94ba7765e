"""What every venue module gives: one object of pure functions. No socket, no clock.

Ingest and the simulator use venues only through it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from sofia_streams.model import Market, Parsed, ParsedTicker, ParsedTrade


class UnifiedSymbol(NamedTuple):
    """A symbol as ccxt writes it; `guessed` when a joined name was split at the longest known quote."""

    symbol: str
    guessed: bool = False


class Parse(Protocol):
    """Frame in, records out, in the venue's time order. Raises BadFrame, nothing else, whatever the bytes."""

    def __call__(self, frame: bytes, *, received_ns: int) -> list[Parsed]: ...  # noqa: D102


class Venue(NamedTuple):
    """One venue's protocol as pure functions.

    url             the public market-data WebSocket of a market
    requests        subscribe frames for these venue symbols (trades, ticker, best bid/ask), within the venue's limits
    parse           one received frame to records
    encode_trades   wire frames that parse back to exactly these trades (for the simulator)
    encode_tickers  wire frames that parse back to these ticker fields
    acknowledge     what the venue answers to a client's frame (acks, errors for symbols not in `listed`, pongs)
    to_venue        unified symbol and market to the venue's name; raises UnknownSymbol
    from_venue      the venue's name to the unified symbol; raises UnknownSymbol
    ping            the text the client must send when idle, or None where protocol-level pings suffice
    ping_interval_s how long a connection may idle before `ping`
    heartbeat       what the server sends by itself each second, given (now_ns, venue symbols, {symbol: last trade id})
    connection_age_max_s  planned reconnect before this age
    connects_per_s  new connections a second the venue allows
    symbols_per_connection  instruments one connection carries at most
    requests_per_s  client messages a second the venue allows
    """

    name: str
    url: Callable[[Market], str]
    requests: Callable[[Sequence[str], Market], list[str]]
    parse: Parse
    encode_trades: Callable[[Sequence[ParsedTrade], Market], list[str]]
    encode_tickers: Callable[[Sequence[ParsedTicker], Market], list[str]]
    acknowledge: Callable[[str, frozenset[str]], list[str]]
    to_venue: Callable[[str, Market], str]
    from_venue: Callable[[str, Market], UnifiedSymbol]
    ping: str | None
    ping_interval_s: float
    heartbeat: Callable[[int, Sequence[str], dict[str, str]], list[str]]
    connection_age_max_s: float
    connects_per_s: float
    symbols_per_connection: int
    requests_per_s: float
