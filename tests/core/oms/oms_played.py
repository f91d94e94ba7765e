"""An engine with a quote, a print, a signal or an order by hand in one line each, for examples worked out by hand.

Times are seconds since 23:58:00 UTC of a day (`oms_world.T0`). What it does not do: check anything.
"""

from decimal import Decimal

import oms_world as world
from oms_world import T0, S

from sofia_streams.core.oms.desk import Request
from sofia_streams.core.oms.engine import BarSeen, Engine
from sofia_streams.core.oms.money import exact
from sofia_streams.core.oms.rules import Costs, Limits, Rules, Strategy
from sofia_streams.paper import Account, Fill, Order

WIDE = Limits(position_share=Decimal(10), gross_share=Decimal(10), order_notional_quote=Decimal(100_000))
"""Limits that are not in the way."""


def money(text):
    """A decimal."""
    return Decimal(str(text))


def rules(costs=None, limits=WIDE, strategy=None, **others):
    """Rules with some of their parts changed, by dicts; limits that are not in the way unless they are given."""
    return Rules(
        costs=Costs(**(costs or {})),
        limits=limits if isinstance(limits, Limits) else Limits(**limits),
        strategy=Strategy(**(strategy or {})),
        **others,
    )


class Played:
    """`orders` has the last revision by id, in the order they were placed; `fills`, `accounts` all."""

    def __init__(self, by=None, lots=None):
        self.engine = Engine(by if by is not None else rules(), lots or {})
        self.orders, self.fills, self.accounts, self.count = {}, [], [], 0

    def _take(self, call, *arguments, **others):
        with exact():
            found = call(*arguments, **others)
        for one in self.engine.take_said():
            if isinstance(one, Order):
                self.orders[one.order_id] = one
            elif isinstance(one, Fill):
                self.fills.append(one)
            elif isinstance(one, Account):
                self.accounts.append(one)
        return found

    def quote(self, at_s, bid, ask, size="1000", **others):
        at_ns = T0 + int(at_s * S)
        self._take(self.engine.ticker, world.ticker(at_ns, bid, ask, size, **others), at_ns)

    def print(self, at_s, price, quantity, side="buy", symbol="BTC/USDT", venue="binance"):
        at_ns = T0 + int(at_s * S)
        self._take(self.engine.trade, venue, "spot", symbol, world.trade(at_ns, price, quantity, side), at_ns)

    def signal(self, at_s, action="buy", late_s=0, **others):
        """So late behind the end of its bar; the order that it leads to, if any."""
        at_ns = T0 + int(at_s * S)
        return self._placed(self.engine.signal, world.signal(at_ns - late_s * S, action, **others), at_ns)

    def place(self, at_s, side, quantity, price=None, type="market", venue="binance", **others):
        """By hand; the order as it stands at once."""
        self.count += 1
        request = Request(
            venue, "spot", others.pop("symbol", "BTC/USDT"), side, "entry", money(quantity), f"by hand {self.count}",
            type, None if price is None else money(price), others.pop("time_in_force", "gtc"), **others,
        )  # fmt: skip
        return self._placed(self.engine._desk.place, request, T0 + int(at_s * S))

    def _placed(self, call, *arguments):
        before = set(self.orders)
        self._take(call, *arguments)
        placed = [one for name, one in self.orders.items() if name not in before]
        return placed[-1] if placed else None

    def command(self, at_s, action):
        at_ns = T0 + int(at_s * S)
        self._take(self.engine.command, world.command(at_ns, action, f"c{at_s}"), at_ns)

    def gap(self, at_s, state="open", until_s=None):
        at_ns = T0 + int(at_s * S)
        until_ns = None if until_s is None else T0 + int(until_s * S)
        self._take(self.engine.gap, world.gap(at_ns, state, until_ns), at_ns)

    def bar(self, at_s, opened, high, low, close, volume, size_s=60):
        prices = [money(one) for one in (opened, high, low, close)]
        bar = BarSeen("binance", "spot", "BTC/USDT", T0 + int(at_s * S), size_s * S, *prices, money(volume))
        self._take(self.engine.bar_opens, bar)
        self._take(self.engine.bar_closes, bar)

    def wait(self, at_s):
        self._take(self.engine.finish, T0 + int(at_s * S))

    def now(self, order):
        """An order as it stands."""
        return self.orders[order.order_id]

    def purposes(self, purpose):
        return [one for one in self.orders.values() if one.purpose == purpose]

    @property
    def cash(self):
        return self.engine.books.money.cash_quote

    @property
    def equity(self):
        return self.engine.books.money.equity_quote()

    @property
    def state(self):
        return self.engine.books.risk.state

    @property
    def held(self):
        return self.engine.books.money.holding("spot", "BTC/USDT")

    def buy(self, at_s, quantity, bid, ask):
        """Quantity at the ask: a market order, and the quote that it meets 1.25 s later."""
        self.quote(at_s, bid, ask, "1000000")
        order = self.place(at_s, "buy", quantity)
        self.quote(at_s + 1.25, bid, ask, "1000000")
        return self.now(order)

    def sell(self, at_s, quantity, bid, ask):
        """Quantity at the bid."""
        self.quote(at_s, bid, ask, "1000000")
        order = self.place(at_s, "sell", quantity)
        self.quote(at_s + 1.25, bid, ask, "1000000")
        return self.now(order)
