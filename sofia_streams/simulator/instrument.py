"""One instrument as a simulated venue lists it: tick and lot size, ids that rise by one, running statistics.

Sizes are close to what the venues use; they are made for simulation, so never take them for instrument data.
"""

from __future__ import annotations

import math
from decimal import Decimal
from random import Random

from sofia_streams.model import NS_PER_DAY, NS_PER_MS, NS_PER_SECOND, ParsedTicker, ParsedTrade, Side, Trade
from sofia_streams.venues.bybit.parse import TRADES_PER_FRAME_MAX
from sofia_streams.venues.registry import VENUES

_PRICES = {
    "BTC": 64_000.0, "ETH": 3_100.0, "SOL": 145.0, "XRP": 0.52, "DOGE": 0.12, "ADA": 0.38, "AVAX": 26.0, "LINK": 11.2,
    "DOT": 5.1, "LTC": 66.0, "TRX": 0.13, "BCH": 340.0, "BNB": 540.0, "SUI": 0.94, "TON": 6.4,
}  # fmt: skip
_CASH = frozenset({"USDT", "USDC", "USD", "FDUSD", "TUSD", "BUSD", "EUR", "GBP", "DAI"})
_TICK_DIGITS = {
    "binance": {"BTC": 2, "ETH": 2, "SOL": 2},
    "okx": {"BTC": 1, "ETH": 2, "SOL": 2},
    "coinbase": {"BTC": 2, "ETH": 2, "SOL": 2},
    "bybit": {"BTC": 1, "ETH": 2, "SOL": 2},
}
_LOT_DIGITS = {"binance": 5, "okx": 8, "coinbase": 8, "bybit": 6}
_SIGNIFICANT, _DIGITS_MAX = 5, 12
_ID_EVERY_NS = {"binance": 1_000, "okx": 10_000, "coinbase": 100_000, "bybit": 1_000}
"""The first id is the start time in these units: a later run begins above an earlier one, at any sane rate."""
_BYBIT_IDS_FROM = 2_290_000_000_000_000_000
"""Nineteen digits, as the venue's spot ids have."""
_TRADE_QUOTE = 1_000.0
"""About the mean of a generated trade, in dollars."""
_TIME_UNIT_NS = {"coinbase": 1_000}


def price_of(symbol: str) -> float:
    """A plausible price; of an unknown asset any between 0.01 and 100, always the same one."""
    base, _, quote = symbol.partition("/")
    return _worth(base) / (1.0 if quote in _CASH else _worth(quote))


def _worth(asset: str) -> float:
    if asset in _CASH:
        return 1.0
    return _PRICES.get(asset) or 10.0 ** Random(asset).uniform(-2.0, 2.0)  # noqa: S311


def time_of(venue: str, at_ns: int) -> int:
    """The time as finely as the venue says it, never later than `at_ns`."""
    return at_ns - at_ns % _TIME_UNIT_NS.get(venue, NS_PER_MS)


class SimulatedInstrument:
    """`symbol` on `venue`. The price it opens at is `price`; `start_ns` makes its first id; its last 24 hours begin
    with a day of `rate` trades a second.
    """

    def __init__(
        self, venue: str, symbol: str, start_ns: int, price: float | None = None, *, rate: float = 0.0
    ) -> None:
        price = price_of(symbol) if price is None else price
        self.opens_at = price
        self.venue, self.symbol = venue, symbol
        self.listing = VENUES[venue].to_listing(symbol, "spot")
        self.price_digits = _price_digits(venue, symbol, price)
        self.lot_digits = _LOT_DIGITS[venue]
        self.quote_worth = _worth(symbol.partition("/")[2])
        self.tick = Decimal(1).scaleb(-self.price_digits)
        self._ticks_a_unit, self._lots_a_unit = 10.0**self.price_digits, 10.0**self.lot_digits
        self.number = start_ns // _ID_EVERY_NS[venue]
        self.side: Side = "buy"
        self.open = self.high = self.low = self.last = self.price(price)
        day_quote = rate * (NS_PER_DAY / NS_PER_SECOND) * _TRADE_QUOTE / self.quote_worth
        self.volume = Decimal(round(day_quote / price * self._lots_a_unit)).scaleb(-self.lot_digits)
        self.quote_volume = self.volume * self.last

    def price(self, value: float) -> Decimal:
        """The nearest tick, at least one."""
        return Decimal(self.ticks(value)).scaleb(-self.price_digits)

    def ticks(self, value: float) -> int:
        """The same in ticks."""
        return max(1, round(value * self._ticks_a_unit))

    def lots(self, quantity: float) -> int:
        """The nearest whole number of lots, at least one."""
        return max(1, round(quantity * self._lots_a_unit))

    def print(self, exchange_ns: int, price: Decimal, lots: int, side: Side) -> ParsedTrade:
        """The next trade."""
        self.number += 1
        quantity = Decimal(lots).scaleb(-self.lot_digits)
        self.last, self.high, self.low, self.side = price, max(self.high, price), min(self.low, price), side
        self.volume += quantity
        self.quote_volume += price * quantity
        is_bybit = self.venue == "bybit"
        trade_id = str(self.number + _BYBIT_IDS_FROM if is_bybit else self.number)
        order = self.number * TRADES_PER_FRAME_MAX if is_bybit else self.number
        return ParsedTrade(self.listing, Trade(trade_id, price, quantity, side, exchange_ns, order))

    def ticker(self, exchange_ns: int, depth_quote: float, spread_ticks: int = 1) -> ParsedTicker:
        """Its ticker now: the last trade was at the ask where a buyer took it, else at the bid.

        `depth_quote` is what stands at either, in the quote currency.
        """
        lots = self.lots(depth_quote / float(self.last))
        spread = self.tick * spread_ticks
        bid = max(self.tick, self.last - spread if self.side == "buy" else self.last)
        fields: dict[str, Decimal | None] = {
            "last": self.last,
            "bid": bid,
            "bid_quantity": Decimal(lots).scaleb(-self.lot_digits),
            "ask": max(bid + self.tick, self.last if self.side == "buy" else self.last + spread),
            "ask_quantity": Decimal(lots + 1).scaleb(-self.lot_digits),
            "open_24h": self.open,
            "high_24h": self.high,
            "low_24h": self.low,
            "volume_24h": self.volume,
            "quote_volume_24h": self.quote_volume,
        }
        return ParsedTicker(self.listing, fields, exchange_ns)


def _price_digits(venue: str, symbol: str, price: float) -> int:
    base, _, quote = symbol.partition("/")
    if quote in _CASH and base in _TICK_DIGITS[venue]:
        return _TICK_DIGITS[venue][base]
    return min(_DIGITS_MAX, max(0, _SIGNIFICANT - math.floor(math.log10(price))))
