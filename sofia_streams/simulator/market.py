"""A generated market, seeded: one mid price a symbol, every venue close to it, bursts, quiet spells, large trades.

Pure: the start time is a parameter; the same seed gives the same market. Nothing here is data of a real exchange.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from random import Random
from typing import NamedTuple

from sofia_streams.model import ParsedTicker, ParsedTrade, Side, Trade
from sofia_streams.venues.bybit.parse import TRADES_PER_FRAME_MAX
from sofia_streams.venues.registry import VENUES

_PRICES = {"BTC": 64_000.0, "ETH": 3_100.0, "SOL": 145.0, "XRP": 0.52, "DOGE": 0.12}
_OTHER_PRICE = 10.0
_TICKER_EVERY_NS = 500_000_000
_VOLATILITY = 0.000_02  # of the mid, a trade
_LARGE_ONE_IN, _LARGE_TIMES = 2_000, 200
_SPELL_S = 20.0
_SPELLS = (0.15, 1.0, 1.0, 1.0, 4.0)
"""Rates of a venue relative to its own, one drawn for each spell."""
_NS_PER_MS = 1_000_000


class Event(NamedTuple):
    """What a venue says of one instrument, at `at_ns`."""

    at_ns: int
    venue: str
    said: ParsedTrade | ParsedTicker


class Plan(NamedTuple):
    """What to generate. `rate` is trades a second and venue; `even` leaves bursts and quiet spells out."""

    venues: Sequence[str]
    symbols: Sequence[str]
    rate: float
    seed: int = 1
    even: bool = False


class _Instrument:
    """One symbol on one venue: its listing, its last id, its 24 h statistics."""

    def __init__(self, venue: str, symbol: str, first_id: int, price: Decimal) -> None:
        self.venue = venue
        self.listing = VENUES[venue].to_listing(symbol, "spot")
        self.trade_id = first_id
        self.open = self.high = self.low = self.last = price
        self.volume = self.quote_volume = Decimal(0)

    def print(self, at_ns: int, price: Decimal, quantity: Decimal, side: Side) -> ParsedTrade:
        """The next trade."""
        self.trade_id += 1
        self.last, self.high, self.low = price, max(self.high, price), min(self.low, price)
        self.volume += quantity
        self.quote_volume += price * quantity
        order = self.trade_id * TRADES_PER_FRAME_MAX if self.venue == "bybit" else self.trade_id
        return ParsedTrade(self.listing, Trade(str(self.trade_id), price, quantity, side, at_ns, order))

    def ticker(self, at_ns: int, tick: Decimal, lots: int) -> ParsedTicker:
        """Its ticker now."""
        fields = {
            "last": self.last,
            "bid": self.last - tick,
            "bid_quantity": Decimal(lots).scaleb(-5),
            "ask": self.last + tick,
            "ask_quantity": Decimal(lots + 1).scaleb(-5),
            "open_24h": self.open,
            "high_24h": self.high,
            "low_24h": self.low,
            "volume_24h": self.volume,
            "quote_volume_24h": self.quote_volume,
        }
        return ParsedTicker(self.listing, fields, at_ns)


class Market:
    """Generates events for ever. `start_ns` is the time of the first; ids begin at its microseconds."""

    def __init__(self, plan: Plan, start_ns: int) -> None:
        self._plan, self._start_ns = plan, start_ns - start_ns % _NS_PER_MS
        self._random = Random(plan.seed)  # noqa: S311
        self._digits = {symbol: _digits(_price(symbol)) for symbol in plan.symbols}
        self._mids = {symbol: _price(symbol) for symbol in plan.symbols}
        self._offsets = {venue: self._random.uniform(-0.0001, 0.0001) for venue in plan.venues}
        self.instruments = {
            (venue, symbol): _Instrument(venue, symbol, start_ns // 1_000, self._rounded(symbol, _price(symbol)))
            for venue in plan.venues
            for symbol in plan.symbols
        }

    def events(self) -> Iterator[Event]:
        """In time order."""
        waiting: list[tuple[float, int, str, str]] = []
        for number, venue in enumerate(self._plan.venues):
            waiting.append((self._random.expovariate(self._plan.rate), number, venue, ""))
        for number, (venue, symbol) in enumerate(self.instruments):
            waiting.append((self._random.uniform(0, 0.5), len(self._plan.venues) + number, venue, symbol))
        heapq.heapify(waiting)
        while True:
            at_s, number, venue, symbol = waiting[0]
            at_ns = self._start_ns + int(at_s * 1_000) * _NS_PER_MS
            if symbol:
                tick = Decimal(1).scaleb(-self._digits[symbol])
                said = self.instruments[venue, symbol].ticker(at_ns, tick, self._random.randrange(1_000, 500_000))
                yield Event(at_ns, venue, said)
                heapq.heapreplace(waiting, (at_s + _TICKER_EVERY_NS / 1e9, number, venue, symbol))
            else:
                yield Event(at_ns, venue, self._trade(venue, at_ns))
                rate = self._plan.rate * self._spell(venue, at_s)
                heapq.heapreplace(waiting, (at_s + self._random.expovariate(rate), number, venue, ""))

    def _spell(self, venue: str, at_s: float) -> float:
        if self._plan.even:
            return 1.0
        return Random(f"{self._plan.seed}|{venue}|{int(at_s / _SPELL_S)}").choice(_SPELLS)  # noqa: S311

    def _trade(self, venue: str, at_ns: int) -> ParsedTrade:
        draw = self._random
        symbol = self._plan.symbols[int(len(self._plan.symbols) * draw.random() ** 1.5)]
        self._mids[symbol] *= math.exp(draw.gauss(0.0, _VOLATILITY))
        side: Side = "buy" if draw.random() < 0.5 else "sell"
        half_spread = 0.00002 if side == "buy" else -0.00002
        price = self._rounded(symbol, self._mids[symbol] * (1 + self._offsets[venue] + half_spread))
        notional = math.exp(draw.gauss(5.5, 1.6)) * (_LARGE_TIMES if draw.randrange(_LARGE_ONE_IN) == 0 else 1)
        quantity = Decimal(max(1, round(notional / float(price) * 1e5))).scaleb(-5)
        return self.instruments[venue, symbol].print(at_ns, price, quantity, side)

    def _rounded(self, symbol: str, price: float) -> Decimal:
        digits = self._digits[symbol]
        return Decimal(max(1, round(price * 10**digits))).scaleb(-digits)


def _price(symbol: str) -> float:
    return _PRICES.get(symbol.partition("/")[0], _OTHER_PRICE)


def _digits(price: float) -> int:
    """Digits behind the point: about a basis point of a basis point of the price, as venues choose ticks."""
    return 2 if price >= 100 else 5
