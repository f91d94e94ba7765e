"""What a simulated venue remembers of one instrument: its newest trades, candles folded from all of them, and its past.

A trade takes 33 bytes: whole ticks, lots, ids and times in arrays, decimals made again when asked for.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from decimal import Decimal

from sofia_streams.model import NS_PER_MS, ParsedTrade, Trade
from sofia_streams.simulator.candle import MINUTE_MS, SECOND_MS, Candle, Sums
from sofia_streams.simulator.history import PastCandles
from sofia_streams.simulator.instrument import SimulatedInstrument

TRADES_MAX = 200_000
_CANDLES_MAX = {MINUTE_MS: 3_000, SECOND_MS: 1_200}
"""Two days, and twenty minutes."""
_SPARE = 1.25
_LAST_MS = 1 << 62


class Memory:
    """Of one instrument, whose trades come in the order of their ids."""

    def __init__(self, instrument: SimulatedInstrument, past: PastCandles | None = None) -> None:
        """`past` has candles from before the first trade; None: there are none."""
        self._past = past
        self._listing = instrument.listing
        self._price_digits, self._lot_digits = instrument.price_digits, instrument.lot_digits
        self._ids, self._orders, self._times_ns = array("q"), array("q"), array("q")
        self._ticks, self._lots, self._is_buy = array("q"), array("q"), array("b")
        self._candles: dict[int, dict[int, Sums]] = {size_ms: {} for size_ms in _CANDLES_MAX}

    def add(self, trade: Trade) -> None:
        """One more trade, of which the oldest may be forgotten."""
        self._ids.append(int(trade.trade_id))
        self._orders.append(trade.order)
        self._times_ns.append(trade.exchange_ns)
        ticks, lots = int(trade.price.scaleb(self._price_digits)), int(trade.quantity.scaleb(self._lot_digits))
        is_buy = trade.taker_side == "buy"
        self._ticks.append(ticks)
        self._lots.append(lots)
        self._is_buy.append(is_buy)
        if len(self._ids) > TRADES_MAX * _SPARE:
            for kept in (self._ids, self._orders, self._times_ns, self._ticks, self._lots, self._is_buy):
                del kept[:-TRADES_MAX]
        at_ms = trade.exchange_ns // NS_PER_MS
        for size_ms, candles in self._candles.items():
            start_ms = at_ms - at_ms % size_ms
            found = candles.get(start_ms)
            if found is None:
                found = candles[start_ms] = Sums(ticks, ticks, ticks, ticks)
                if len(candles) > _CANDLES_MAX[size_ms]:
                    del candles[next(iter(candles))]
            found.add(ticks, lots, is_buy=is_buy)

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

    def newest_ms(self, size_ms: int) -> int:
        """The start of the newest candle that has a trade; 0 before there is one."""
        return max(self._candles[size_ms], default=0)

    def candles(
        self, size_ms: int, from_ms: int | None, to_ms: int | None, count: int, *, newest: bool = True
    ) -> list[Candle]:
        """At most `count` of those that start between, both ends inside, ascending; the newest or the oldest ones."""
        low, high = from_ms or 0, _LAST_MS if to_ms is None else to_ms
        printed = self._candles[size_ms]
        starts = [start_ms for start_ms in sorted(printed) if low <= start_ms <= high]
        live = starts[-count:] if newest else starts[:count]
        past: list[Candle] = []
        if self._past is not None and (len(live) < count or not newest):
            past = self._past.between(size_ms, low, high, count - len(live) if newest else count, newest=newest)
        found = [printed[start_ms].candle(start_ms, self._price_digits, self._lot_digits) for start_ms in live]
        return [*past, *found][-count:] if newest else [*past, *found][:count]
