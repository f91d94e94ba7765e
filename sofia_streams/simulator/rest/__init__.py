"""The REST of four exchanges, as far as instruments, klines and trades go, each in its own paths, shapes and errors.

Klines and trades are what this simulator printed, whether or not a fault kept it from the sockets; a window without a
trade has no kline (the real venues but Coinbase repeat the last price). Klines from before it began are made up
(`history`), where a path is given. Knows spot only. No socket: `server` carries the answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import parse_qs, urlsplit

from sofia_streams.model import ParsedTrade
from sofia_streams.simulator.history import PastCandles, Path
from sofia_streams.simulator.instrument import SimulatedInstrument
from sofia_streams.simulator.rest import binance, bybit, coinbase, okx
from sofia_streams.simulator.rest.memory import Memory
from sofia_streams.simulator.rest.replies import Reply, json_reply, too_many

__all__ = ["Reply", "Rest", "too_many"]
_ROOTS = {"binance": ("/api/", "/fapi/", "/dapi/"), "okx": ("/api/",), "coinbase": ("/products",), "bybit": ("/v5/",)}
Listed = Mapping[str, tuple[SimulatedInstrument, Memory]]
_VENUES: dict[str, Callable[[Listed, str, Mapping[str, str]], Reply]] = {
    "binance": binance.answer,
    "okx": okx.answer,
    "coinbase": coinbase.answer,
    "bybit": bybit.answer,
}


class Rest:
    """Answers for these instruments. What stands in `instead` is answered first, once each: a venue in trouble."""

    def __init__(self, instruments: Iterable[SimulatedInstrument] = (), paths: Mapping[str, Path] = {}) -> None:
        """`paths` has what was before, by symbol."""
        self._listed: dict[str, dict[str, tuple[SimulatedInstrument, Memory]]] = {venue: {} for venue in _VENUES}
        for one in instruments:
            past = PastCandles(one, paths[one.symbol]) if one.symbol in paths else None
            self._listed[one.venue][one.listing] = (one, Memory(one, past))
        self.instead: deque[Reply] = deque()
        self.asked = dict.fromkeys(_VENUES, 0)
        """How many requests came, by venue, whatever the answer."""

    def add(self, venue: str, said: ParsedTrade) -> None:
        """A trade that was printed: it is in the trades and klines from now on."""
        if found := self._listed[venue].get(said.venue_symbol):
            found[1].add(said.trade)

    def answer(self, target: str) -> Reply | None:
        """What a GET of this path and query gets; None for what is no REST path of a venue."""
        try:
            parts = urlsplit(target)
        except ValueError:  # a target that names a host, and that one badly
            return None
        venue, _, path = parts.path.strip("/").partition("/")
        if venue not in _ROOTS or not f"/{path}".startswith(_ROOTS[venue]):
            return None
        self.asked[venue] += 1
        if self.instead:
            return self.instead.popleft()
        if not any(self._listed.values()):
            return json_reply({"code": 404, "message": "a recording has no REST"}, 404)
        asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        return _VENUES[venue](self._listed[venue], path, asked)
