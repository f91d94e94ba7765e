"""What a simulated venue remembers of one instrument: its newest trades, and minutes folded from all of them.

A trade takes 33 bytes: whole ticks, lots, ids and times in arrays, decimals made again when asked for.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass
from decimal import Decimal

from sofia_streams.model import NS_PER_MINUTE, ParsedTrade, Trade
from sofia_streams.simulator.instrument import SimulatedInstrument

TRADES_MAX = 200_000
MINUTE_MS = 60_000
_MINUTES_MAX = 3_000
"""Two days."""
_SPARE = 1.25


@dataclass(slots=True)
class Minute:
    """One candle of a minute that has a trade."""

    start_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = Decimal(0)
    quote: Decimal = Decimal(0)
    bought: Decimal = Decimal(0)
    bought_quote: Decimal = Decimal(0)
    count: int = 0

    def add(self, price: Decimal, quantity: Decimal, *, is_buy: bool) -> None:
        """One more trade."""
        self.high, self.low, self.close = max(self.high, price), min(self.low, price), price
        self.volume += quantity
        self.quote += price * quantity
        self.count += 1
        if is_buy:
            self.bought += quantity
            self.bought_quote += price * quantity


class Memory:
    """Of one instrument, whose trades come in the order of their ids."""

    def __init__(self, instrument: SimulatedInstrument) -> None:
        self._listing = instrument.listing
        self._price_digits, self._lot_digits = instrument.price_digits, instrument.lot_digits
        self._ids, self._orders, self._times_ns = array("q"), array("q"), array("q")
        self._ticks, self._lots, self._is_buy = array("q"), array("q"), array("b")
        self.minutes: dict[int, Minute] = {}

    def add(self, trade: Trade) -> None:
        """One more trade, of which the oldest may be forgotten."""
        self._ids.append(int(trade.trade_id))
        self._orders.append(trade.order)
        self._times_ns.append(trade.exchange_ns)
        self._ticks.append(int(trade.price.scaleb(self._price_digits)))
        self._lots.append(int(trade.quantity.scaleb(self._lot_digits)))
        self._is_buy.append(trade.taker_side == "buy")
        if len(self._ids) > TRADES_MAX * _SPARE:
            for kept in (self._ids, self._orders, self._times_ns, self._ticks, self._lots, self._is_buy):
                del kept[:-TRADES_MAX]
        self._fold(trade)

    def _fold(self, trade: Trade) -> None:
        start_ms = trade.exchange_ns // NS_PER_MINUTE * MINUTE_MS
        minute = self.minutes.get(start_ms)
        if minute is None:
            minute = self.minutes[start_ms] = Minute(start_ms, trade.price, trade.price, trade.price, trade.price)
            if len(self.minutes) > _MINUTES_MAX:
                del self.minutes[next(iter(self.minutes))]
        minute.add(trade.price, trade.quantity, is_buy=trade.taker_side == "buy")

    def from_id(self, first_id: int, count: int) -> list[ParsedTrade]:
        """So many trades from this id on, ascending."""
        first = bisect_left(self._ids, first_id)
        return self._between(first, first + count)

    def before_id(self, end_id: int | None, count: int) -> list[ParsedTrade]:
        """The last so many trades below this id (None: the newest), ascending."""
        end = len(self._ids) if end_id is None else bisect_left(self._ids, end_id)
        return self._between(max(0, end - count), end)

    def from_time(self, start_ns: int, count: int) -> list[ParsedTrade]:
        """So many trades from this time on, ascending."""
        first = bisect_left(self._times_ns, start_ns)
        return self._between(first, first + count)

    def _between(self, first: int, end: int) -> list[ParsedTrade]:
        return [self._trade(place) for place in range(first, min(end, len(self._ids)))]

    def _trade(self, place: int) -> ParsedTrade:
        price = Decimal(self._ticks[place]).scaleb(-self._price_digits)
        quantity = Decimal(self._lots[place]).scaleb(-self._lot_digits)
        side, at_ns, order = "buy" if self._is_buy[place] else "sell", self._times_ns[place], self._orders[place]
        return ParsedTrade(self._listing, Trade(str(self._ids[place]), price, quantity, side, at_ns, order))  # type: ignore[arg-type]

    def minutes_between(self, from_ms: int | None, to_ms: int | None) -> list[Minute]:
        """Those that start between, both ends inside, ascending."""
        low, high = from_ms or 0, (1 << 62) if to_ms is None else to_ms
        return [self.minutes[start_ms] for start_ms in sorted(self.minutes) if low <= start_ms <= high]
