"""From a signal to orders, and from a position to the orders that end it: what the desk is asked for.

Entries follow the policy's target; a position that is on the right side and not far from it is left alone. Take-profit
rests as a limit, stop-loss as a stop, both for what is held; one that fills takes the other with it. What it does not
do: check risk, fill anything (`desk`).
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from sofia_streams.core.oms import reasons
from sofia_streams.core.oms.account.holdings import Holding
from sofia_streams.core.oms.desk import Desk, Request
from sofia_streams.core.oms.market.feed import Feed
from sofia_streams.core.oms.money import BPS, ZERO, tick_of, whole_steps, within
from sofia_streams.core.oms.policies import policy_of
from sofia_streams.core.oms.policies.base import View
from sofia_streams.model import Market, Side
from sofia_streams.paper import Order, Purpose
from sofia_streams.scored import Signal

_EXITS: tuple[Purpose, ...] = ("take_profit", "stop_loss")
_SIDES: tuple[Side, Side] = ("sell", "buy")


class Trader:
    """Asks `desk` for orders."""

    def __init__(self, desk: Desk) -> None:
        """Raises ConfigError for a policy that there is not."""
        self._desk, self._strategy = desk, desk.rules.strategy
        self._policy, self._sure = policy_of(self._strategy.policy), float(self._strategy.confidence_min)

    def signal(self, signal: Signal, at_ns: int) -> None:
        """A signal, at its moment."""
        desk, key = self._desk, f"{signal.market}|{signal.symbol}"
        volatility = desk.books.volatilities.get(key) or desk.volatility(signal.market, signal.symbol)
        if not volatility.is_new(signal.start_ns, signal.size_ns):
            return
        volatility.add(signal.close, signal.size_ns)
        money = desk.books.money
        holding = money.holdings.get(key) or money.holding(signal.market, signal.symbol)
        if holding.quantity:
            holding.held_bars += 1
        bars_max = self._strategy.time_exit_bars
        if holding.quantity and bars_max and holding.held_bars >= bars_max:
            self._leave(holding, "time_exit", signal, at_ns)
            return
        sure, is_idle = signal.confidence, signal.action == "hold"
        if not is_idle and not (sure is not None and sure >= self._sure):
            signal = msgspec.structs.replace(signal, action="hold")
        held_share = ZERO
        if holding.quantity and (equity := money.equity_quote()) > 0:
            held_share = holding.value_quote() / equity
        view = View(
            held_share, holding.held_bars, volatility.daily(desk.rules.costs), desk.rules.limits.short_enabled
        )  # fmt: skip
        share = self._policy(signal, view, self._strategy)
        if share:
            self._aim(holding, share, signal, at_ns)
        elif share is not None:
            self._leave(holding, "exit", signal, at_ns)

    def _aim(self, holding: Holding, share: Decimal, signal: Signal, at_ns: int) -> None:
        """For a share of equity that is not 0."""
        desk, side = self._desk, _SIDES[share > 0]
        venue, feed = self._venue(signal.market, signal.symbol, at_ns)
        equity, middle = desk.books.money.equity_quote(), feed.middle()
        if middle is None:
            self._enter(venue, feed, side, ZERO, signal, at_ns)  # which says why not
            return
        size = whole_steps(abs(share) * max(ZERO, equity) / middle, desk.lot(venue, signal.symbol))
        self._approach(holding, venue, feed, side, size, signal, at_ns)

    def _venue(self, market: Market, symbol: str, at_ns: int) -> tuple[str, Feed]:
        """The first venue, in the order of preference, where all is well; else the first that ever quoted."""
        desk, known = self._desk, list[str]()
        for venue in desk.rules.venues:
            feed = desk.books.feeds.get(f"{venue}|{market}|{symbol}")
            if feed is None:
                continue
            if feed.trouble(at_ns, desk.rules.costs) is None:
                return venue, feed
            known.append(venue)
        venue = known[0] if known else desk.rules.venues[0]
        return venue, desk.feed(venue, market, symbol) if known else Feed()

    def _approach(
        self, holding: Holding, venue: str, feed: Feed, side: Side, size: Decimal, signal: Signal, at_ns: int
    ) -> None:
        """Towards `size` on a side: open entries of the other are withdrawn, what is missing is asked for, what is far
        too much is withdrawn or given back. Held and asked for within half of the size is near enough.
        """
        other: Side = "sell" if side == "buy" else "buy"
        held, pending = holding.quantity if side == "buy" else -holding.quantity, ZERO
        if self._desk.books.working:
            self._withdraw(holding, other, at_ns)
            pending = sum((one.leaves_quantity for one in self._entries(holding, side)), ZERO)
        if pending and held + pending > size * 3 / 2:
            self._withdraw(holding, side, at_ns)
            pending = ZERO
        if held + pending > 0 and abs(size - held - pending) <= size / 2:
            return
        if held < 0 and self._desk.books.risk.state == "REDUCING":  # through flat is not to be had
            self._leave(holding, "exit", signal, at_ns)
            return
        missing = size - held - pending
        if held > size:
            self._give_back(holding, other, held - size, signal, at_ns)
        elif missing > 0 or not size:
            self._enter(venue, feed, side, missing, signal, at_ns)

    def _enter(self, venue: str, feed: Feed, side: Side, quantity: Decimal, signal: Signal, at_ns: int) -> None:
        is_limit = self._strategy.order_type == "limit"
        price = (feed.bid if side == "buy" else feed.ask) if is_limit else None
        request = Request(
            venue, signal.market, signal.symbol, side, "entry", quantity, _cause(signal),
            type="limit" if price is not None else "market", price=price, ttl_ns=self._strategy.order_ttl_ns,
            signal=signal, is_synthetic=signal.is_synthetic,
        )  # fmt: skip
        self._desk.place(request, at_ns, self._refusal(feed, signal, at_ns))

    def _give_back(self, holding: Holding, side: Side, quantity: Decimal, signal: Signal, at_ns: int) -> None:
        if not self._leaving(holding):
            self._ask(holding, "exit", side, quantity, signal, at_ns)

    def _refusal(self, feed: Feed, signal: Signal, at_ns: int) -> str | None:
        late_ns = at_ns - signal.end_ns
        if late_ns > self._desk.rules.limits.signal_age_ns_max:
            return reasons.reason(reasons.STALE_SIGNAL, f"{late_ns} ns behind the end of its bar")
        if feed.quoted_ns < 0 and feed.bid is None:
            return reasons.reason(reasons.UNKNOWN_SYMBOL, f"no venue has quoted or traded {signal.symbol} yet")
        return None

    def _leave(self, holding: Holding, purpose: Purpose, signal: Signal, at_ns: int) -> None:
        """Flat: entries are withdrawn, and what no exit is under way for is asked for."""
        if not (holding.quantity or self._desk.books.working):
            return
        self._withdraw(holding, "buy", at_ns)
        self._withdraw(holding, "sell", at_ns)
        left = abs(holding.quantity) - self._leaving(holding)
        if left > 0:
            self._ask(holding, purpose, "sell" if holding.quantity > 0 else "buy", left, signal, at_ns)

    def _leaving(self, holding: Holding) -> Decimal:
        """What exits that are under way would take."""
        exits = (one for one in self._open(holding) if one.purpose in ("exit", "time_exit"))
        return sum((one.leaves_quantity for one in exits), ZERO)

    def _ask(
        self, holding: Holding, purpose: Purpose, side: Side, quantity: Decimal, signal: Signal, at_ns: int
    ) -> None:
        request = Request(
            holding.venue, holding.market, holding.symbol, side, purpose, quantity, _cause(signal),
            reduce_only=True, signal=signal, is_synthetic=signal.is_synthetic,
        )  # fmt: skip
        self._desk.place(request, at_ns)

    def _withdraw(self, holding: Holding, side: Side, at_ns: int) -> None:
        for order in self._entries(holding, side):
            self._end(order, at_ns, reasons.REPLACED)

    def _entries(self, holding: Holding, side: Side) -> list[Order]:
        return [one for one in self._open(holding) if one.side == side and not one.reduce_only]

    def _open(self, holding: Holding) -> list[Order]:
        working, market, symbol = self._desk.books.working, holding.market, holding.symbol
        if not working:
            return []
        return [one.order for one in working.values() if one.order.symbol == symbol and one.order.market == market]

    def guard(self, holding: Holding, cause: str, at_ns: int, by: Order | None = None) -> None:
        """Behind a fill of `by`: exits by price are for what is held now, at its average price. Where nothing is, they
        go, and where an exit closed it, what is left of the entries into it too.
        """
        if holding.quantity == 0:
            if by is not None and by.reduce_only:
                self.stop_entries(by, at_ns)
            for order in self._open(holding):
                if order.reduce_only:
                    self._end(order, at_ns, reasons.POSITION_CLOSED)
            return
        for purpose in _EXITS:
            bps = self._strategy.take_profit_bps if purpose == "take_profit" else self._strategy.stop_loss_bps
            if bps:
                self._guard_by(holding, purpose, bps, cause, at_ns)

    def stop_entries(self, by: Order, at_ns: int) -> None:
        """An exit has closed a position, or a stop of one is set off: nothing more is to go into it."""
        holding = self._desk.books.money.holding(by.market, by.symbol)
        for order in self._entries(holding, "sell" if by.side == "buy" else "buy"):
            self._end(order, at_ns, reasons.POSITION_CLOSED)

    def _end(self, order: Order, at_ns: int, reason: str) -> None:
        self._desk.end(self._desk.books.working[order.order_id], "cancelled", at_ns, reason)

    def _guard_by(self, holding: Holding, purpose: Purpose, bps: Decimal, cause: str, at_ns: int) -> None:
        is_long, average = holding.quantity > 0, holding.average()
        side: Side = "sell" if is_long else "buy"
        is_up = is_long is (purpose == "take_profit")
        price = average * (1 + bps * BPS if is_up else 1 - bps * BPS)
        if price <= 0:  # so far below that it is never met
            return
        price = within(price, side, tick_of(self._desk.lot(holding.venue, holding.symbol), price))
        active_ns = 0
        for order in self._open(holding):
            if order.purpose != purpose:
                continue
            active_ns = max(at_ns, order.active_ns)  # amended, it stands all the while
            if order.side == side and self._desk.books.working[order.order_id].is_triggered:
                return  # it is on its way out
            same = price == (order.stop_price or order.limit_price) and order.side == side
            if same and order.leaves_quantity == abs(holding.quantity):
                return
            self._end(order, at_ns, reasons.REPLACED)
        request = Request(
            holding.venue, holding.market, holding.symbol, side, purpose, abs(holding.quantity), cause,
            type="limit" if purpose == "take_profit" else "stop", price=price, time_in_force="gtc", reduce_only=True,
            is_synthetic=holding.is_synthetic, active_ns=active_ns,
        )  # fmt: skip
        self._desk.place(request, at_ns)


def _cause(signal: Signal) -> str:
    return f"{signal.market}|{signal.symbol}|{signal.size_ns}|{signal.start_ns}"
