"""The paper OMS: market records and signals in event-time order in; orders, fills and the account out.

The same object runs in the live worker, in a replay and in a backtest: what it says follows from what it is given and
in which order, and from nothing else. Its state is `books`, plain, and an engine made from stored books goes on as if
never stopped. Call everything inside `money.exact()`. It does not put inputs in order (`sequence`), nor read a log.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from sofia_streams.core.oms import reasons
from sofia_streams.core.oms.desk import Books, Desk, mark
from sofia_streams.core.oms.market.feed import Feed
from sofia_streams.core.oms.market.matching import Conditions, Print
from sofia_streams.core.oms.money import ZERO
from sofia_streams.core.oms.orders import Working
from sofia_streams.core.oms.rules import Lot, Rules
from sofia_streams.core.oms.trading import Trader
from sofia_streams.model import NS_PER_MINUTE, Gap, Market, Ticker, Trade
from sofia_streams.paper import Account, AccountCause, Command, Paper
from sofia_streams.scored import Signal

_OPENING = 20
"""The open of a bar stands for its first twentieth: longer latencies meet what comes after."""


class BarSeen(NamedTuple):
    """A bar instead of the trades in it, for backtests on bars. `volume` in the base currency."""

    venue: str
    market: Market
    symbol: str
    start_ns: int
    size_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class Engine:
    """One account."""

    def __init__(self, rules: Rules, lots: Mapping[tuple[str, str], Lot] = {}, books: Books | None = None) -> None:
        """`lots` by venue and symbol. Raises LedgerUnbalanced for books that are damaged."""
        self.books = books if books is not None else Books.opened(rules)
        self.books.money.check()
        self._rules, self._desk = rules, Desk(rules, lots, self.books)
        self._trader = Trader(self._desk)
        now_ns = self.books.now_ns
        self._minute_ns = now_ns - now_ns % NS_PER_MINUTE + NS_PER_MINUTE if now_ns >= 0 else 0

    def take_said(self) -> list[Paper]:
        """What was said since the last call, in order: orders, fills, the account."""
        found, self._desk.said = self._desk.said, []
        return found

    def ticker(self, ticker: Ticker, at_ns: int, place: str = "") -> None:
        """A quote of a venue, or that the last one still stands. It is as old as its receipt, however late it comes."""
        self._pass(at_ns)
        feed, seen_ns = self._desk.feed(ticker.venue, ticker.market, ticker.symbol), min(at_ns, ticker.received_ns)
        if feed.quote(ticker, seen_ns):
            self._met(ticker.venue, ticker.market, ticker.symbol, feed, at_ns, place=place, active_by_ns=seen_ns)
            self._mark(ticker.venue, ticker.market, ticker.symbol, feed, at_ns)

    def trade(self, venue: str, market: Market, symbol: str, trade: Trade, at_ns: int, place: str = "") -> None:
        """A print of a venue; history, what was fetched later, what was stale when it came, and what does not stand
        behind the prints before it are no evidence. Nor is one for orders that were not active when it was made.
        """
        if trade.snapshot or trade.backfilled or trade.stale:
            return
        self._pass(at_ns)
        feed, made_ns = self._desk.feed(venue, market, symbol), min(at_ns, trade.exchange_ns)
        if not feed.is_new(made_ns, trade.order):
            return
        feed.trade(trade.price, trade.quantity, made_ns, self._rules.costs)
        if self.books.working:
            printed = Print(trade.price, trade.quantity, trade.taker_side, trade.trade_id)
            self._met(venue, market, symbol, feed, at_ns, printed, place, active_by_ns=made_ns)
        self._mark(venue, market, symbol, feed, at_ns)

    def gap(self, gap: Gap, at_ns: int) -> None:
        """A hole in a venue's trades opens or is closed: nothing is filled there while it is open."""
        self._pass(at_ns)
        self._desk.feed(gap.venue, gap.market, gap.symbol).gap(gap)

    def signal(self, signal: Signal, at_ns: int) -> None:
        """What the model says of a bar, at the bar's end."""
        self._pass(at_ns)
        self._trader.signal(signal, at_ns)

    def command(self, command: Command, at_ns: int) -> None:
        """Somebody halts or resumes; every one is said in the account."""
        self._pass(at_ns)
        risk, text = self.books.risk, f"{command.by}: {command.reason}"
        if command.action == "halt":
            if risk.halt(text):
                self._cancel_all(at_ns, reasons.HALTED_BY_COMMAND)
        else:
            risk.resume(self.books.money.equity_quote())
        self._say(at_ns, "control", text)
        if command.action == "resume":  # the halt cancelled exits by price
            for key, holding in sorted(self.books.money.holdings.items()):
                if holding.quantity:
                    self._trader.guard(holding, f"{command.command_id}|{self.books.serial}|{key}", at_ns)

    def bar_opens(self, bar: BarSeen) -> None:
        """The open of a bar, taken a twentieth of it later: what was decided before meets a quote around that price,
        and may have its share of the whole bar. In a bar without volume nobody traded: time passes, and that is all.
        Where no order is open, nobody looks.
        """
        if not self.books.working:
            return
        at_ns = bar.start_ns + bar.size_ns // _OPENING
        self._pass(at_ns)
        if not bar.volume:
            return
        feed = self._desk.feed(bar.venue, bar.market, bar.symbol)
        feed.around(bar.open, at_ns, self._rules.costs, bar.volume)
        feed.evidence = f"bar {bar.start_ns}"
        self._met_in(bar, feed, at_ns, at_ns)

    def bar_closes(self, bar: BarSeen) -> None:
        """The rest of a bar, at its last moment: open, low, high, close as prints where it rose, high before low where
        it fell, a quarter of the volume each, and stops at their price on the way. An order that became active within
        the bar meets the close alone, which also marks positions: what they were worth on the way nobody knows.
        """
        at_ns = bar.start_ns + bar.size_ns - 1
        self._pass(at_ns)
        if not bar.volume:
            return
        feed = self._desk.feed(bar.venue, bar.market, bar.symbol)
        if self._waits(bar):
            feed.evidence = f"bar {bar.start_ns}"
            self._walk(bar, feed, at_ns)
        feed.around(bar.close, at_ns, self._rules.costs)
        feed.add_volume(bar.volume, bar.start_ns)
        self._mark(bar.venue, bar.market, bar.symbol, feed, at_ns)

    def _waits(self, bar: BarSeen) -> bool:
        """Whether an order of the bar's instrument is open that has not had its share."""
        for working in self.books.working.values():
            order = working.order
            is_here = order.symbol == bar.symbol and order.venue == bar.venue and order.market == bar.market
            if is_here and working.shared_ns != bar.start_ns:
                return True
        return False

    def _walk(self, bar: BarSeen, feed: Feed, at_ns: int) -> None:
        opened_ns, before = bar.start_ns + bar.size_ns // _OPENING, bar.open
        turns = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
        for price, active_by_ns in zip((bar.open, *turns, bar.close), (*[opened_ns] * 3, at_ns), strict=True):
            for stop_price in self._stops_between(bar, before, price, opened_ns):
                self._print(bar, feed, stop_price, ZERO, at_ns, opened_ns)
            self._print(bar, feed, price, bar.volume / 4, at_ns, active_by_ns)
            before = price

    def _stops_between(self, bar: BarSeen, before: Decimal, price: Decimal, active_by_ns: int) -> list[Decimal]:
        """Prices of stops that a bar meets on its way, in that order."""
        orders = (one.order for one in self.books.working.values() if not one.is_triggered)
        found = {
            order.stop_price: None
            for order in orders
            if order.stop_price is not None
            and (order.venue, order.market, order.symbol) == (bar.venue, bar.market, bar.symbol)
            and order.active_ns <= active_by_ns
            and min(before, price) < order.stop_price < max(before, price)
            and (order.side == "buy") is (price > before)
        }
        return sorted(found, reverse=price < before)

    def _print(
        self, bar: BarSeen, feed: Feed, price: Decimal, quantity: Decimal, at_ns: int, active_by_ns: int
    ) -> None:
        """One point of a bar: a print, and the quote around it for the stops that it sets off."""
        feed.around(price, at_ns, self._rules.costs, bar.volume)
        printed = Print(price, quantity, "buy" if price >= bar.open else "sell", "")
        self._met_in(bar, feed, at_ns, active_by_ns, printed)
        if any(one.is_triggered and one.allowance is None for one in self.books.working.values()):
            self._met_in(bar, feed, at_ns, active_by_ns)

    def _met_in(
        self, bar: BarSeen, feed: Feed, at_ns: int, active_by_ns: int, printed: Print | None = None
    ) -> None:
        """Orders meet a point of a bar. One that takes where it arrives has had its share of all of the bar then."""
        coming = [one for one in self.books.working.values() if one.allowance is None]
        self._met(
            bar.venue, bar.market, bar.symbol, feed, at_ns, printed, active_by_ns=active_by_ns, start_ns=bar.start_ns
        )
        for one in coming:
            if one.allowance is not None and (one.fills or one.order.type != "limit"):
                one.shared_ns = bar.start_ns

    def finish(self, at_ns: int) -> None:
        """Time passes to `at_ns` without a record."""
        self._pass(at_ns)

    def _pass(self, at_ns: int) -> None:
        """Time passes: orders expire, full minutes are said, days begin."""
        books = self.books
        if at_ns <= books.now_ns:
            return
        if at_ns >= self._minute_ns or at_ns >= self._desk.due_ns:
            minute_ns = at_ns - at_ns % NS_PER_MINUTE
            self._expire(min(at_ns, minute_ns))
            if at_ns >= self._minute_ns:
                if books.now_ns >= 0:
                    self._say(minute_ns, "minute")
                if books.risk.new_day(at_ns, books.money.equity_quote()):
                    self._say(at_ns, "state")
                self._minute_ns = minute_ns + NS_PER_MINUTE
            self._expire(at_ns)
        books.now_ns = at_ns

    def _expire(self, until_ns: int) -> None:
        while (due_ns := self._desk.due_ns) <= until_ns:
            for working in [one for one in self.books.working.values() if one.order.expires_ns == due_ns]:
                reason = reasons.reason(reasons.TIME_IN_FORCE_ENDED, working.held_by)
                self._desk.end(working, "expired", due_ns, reason)

    def _met(
        self, venue: str, market: Market, symbol: str, feed: Feed, at_ns: int, printed: Print | None = None,
        place: str = "", active_by_ns: int | None = None, start_ns: int | None = None,
    ) -> None:  # fmt: skip
        """Active orders of the instrument meet a record; `start_ns` of the bar that it is a point of."""
        last_ns = at_ns if active_by_ns is None else active_by_ns
        due = [
            one
            for one in self.books.working.values()
            if one.order.symbol == symbol
            and one.order.venue == venue
            and one.order.market == market
            and one.order.active_ns <= last_ns
            and (start_ns is None or one.shared_ns != start_ns)
        ]
        if due:
            volatility = self._desk.volatility(market, symbol).daily(self._rules.costs)
            conditions = Conditions(feed, self._desk.lot(venue, symbol), self._rules.costs, volatility, at_ns)
            for working in sorted(due, key=_exits_first):
                if working.order.order_id in self.books.working:  # a fill before may have ended it
                    self._meet(working, conditions, printed, place)

    def _meet(self, working: Working, conditions: Conditions, printed: Print | None, place: str) -> None:
        is_filled, order = self._desk.meet(working, conditions, printed, place), working.order
        if order.type == "stop" and order.reduce_only and working.is_triggered:
            self._trader.stop_entries(order, conditions.at_ns)
        if not is_filled:
            return
        holding = self.books.money.holding(order.market, order.symbol)
        self._trader.guard(holding, f"{order.order_id}-{working.fills}", conditions.at_ns, by=order)
        self._say(conditions.at_ns, "fill")
        self._watch(conditions.at_ns)

    def _mark(self, venue: str, market: Market, symbol: str, feed: Feed, at_ns: int) -> None:
        """A position is worth what it was traded for last at its venue."""
        holding = self.books.money.holdings.get(f"{market}|{symbol}")
        if holding is None or not holding.quantity or holding.venue != venue:
            return
        before = holding.mark
        mark(holding, feed)
        if holding.mark != before:
            self._watch(at_ns)

    def _watch(self, at_ns: int) -> None:
        """The equity has changed: a limit may be reached."""
        risk = self.books.risk
        if risk.watch(self.books.money.equity_quote(), self._rules.limits):
            if risk.state == "HALTED":
                self._cancel_all(at_ns, risk.reason)
            self._say(at_ns, "state")

    def _cancel_all(self, at_ns: int, reason: str) -> None:
        for working in [*self.books.working.values()]:
            self._desk.end(working, "cancelled", at_ns, reason)

    def _say(self, at_ns: int, cause: AccountCause, text: str = "") -> None:
        books = self.books
        money, risk = books.money, books.risk
        balances = money.balances
        held = sorted([key for key, one in money.holdings.items() if one.quantity])
        equity, unrealised, gross = money.worth()
        account = Account(
            books.serial, at_ns, money.cash_quote, equity, money.start_quote, -balances["realised"], unrealised,
            balances["fees"], risk.peak_quote, risk.day_start_quote, gross, len(books.working), risk.state, cause,
            reason=text or risk.reason,
            positions=[money.holdings[key].shown() for key in held],
        )  # fmt: skip
        books.serial += 1
        self._desk.said.append(account)


def _exits_first(working: Working) -> bool:
    """An entry that a print fills must not keep a stop from seeing that print."""
    return not working.order.reduce_only
