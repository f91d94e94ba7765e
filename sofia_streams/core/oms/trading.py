"""From a signal to orders, and from a position to the orders that end it: what the desk is asked for.

Entries follow the policy's target; a position that is on the right side and not far from it is left alone. Take-profit
rests as a limit, stop-loss as a stop, both for what is held; one that fills takes the other with it. What it does not
do: check risk, fill anything (`desk`).
"""

from __future__ import annotations

from decimal import Decimal

from sofia_streams.core.oms import reasons
from sofia_streams.core.oms.desk import Desk, Request
from sofia_streams.core.oms.holdings import Holding
from sofia_streams.core.oms.money import BPS, ZERO, tick_of, whole_steps, within
from sofia_streams.core.oms.policies import POLICIES
from sofia_streams.core.oms.policies.base import View
from sofia_streams.core.oms.seen import Feed
from sofia_streams.model import Market, Side
from sofia_streams.paper import Order, Purpose
from sofia_streams.scored import Signal

_EXITS: tuple[Purpose, ...] = ("take_profit", "stop_loss")


class Trader:
    """Asks `desk` for orders."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._strategy = desk, desk.rules.strategy
        self._policy = POLICIES[self._strategy.policy]

    def signal(self, signal: Signal, at_ns: int) -> None:
        """A signal, at its moment."""
        desk, swing = self._desk, self._desk.swing(signal.market, signal.symbol)
        swing.add(signal.close, signal.size_ns)
        holding = desk.books.money.holding(signal.market, signal.symbol)
        if holding.quantity:
            holding.opened_bars += 1
        bars_max = self._strategy.time_exit_bars
        if holding.quantity and bars_max and holding.opened_bars >= bars_max:
            self._flatten(holding, "time_exit", signal, at_ns)
            return
        venue, feed = self._venue(signal.market, signal.symbol, at_ns)
        equity, middle = desk.books.money.equity_quote(), feed.middle()
        held_share = holding.value_quote() / equity if holding.quantity and equity > 0 else ZERO
        volatility = swing.daily(desk.rules.costs)
        view = View(held_share, holding.opened_bars, volatility, desk.rules.limits.short_enabled)
        share = self._policy(signal, view, self._strategy)
        if share is None:
            return
        if share == 0:
            self._leave(holding, signal, at_ns)
        else:
            target = (
                ZERO if middle is None else whole_steps(abs(share) * equity / middle, desk.lot(venue, signal.symbol))
            )
            self._approach(holding, venue, feed, target if share > 0 else -target, signal, at_ns)

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

    def _approach(self, holding: Holding, venue: str, feed: Feed, target: Decimal, signal: Signal, at_ns: int) -> None:
        """Towards a target that is not flat: open entries of the other side are withdrawn, the rest is asked for."""
        side: Side = "buy" if target > 0 else "sell"
        self._withdraw(holding, "sell" if side == "buy" else "buy", at_ns)
        pending = sum((one.leaves_quantity for one in self._entries(holding, side)), ZERO)
        missing = abs(target - holding.quantity) - pending
        is_right = holding.quantity != 0 and (holding.quantity > 0) is (target > 0)
        if is_right and abs(missing) <= abs(target) / 2:
            return
        if is_right and abs(holding.quantity) > abs(target):
            self._ask(holding, "exit", "sell" if side == "buy" else "buy", missing, signal, at_ns)
            return
        if target and missing <= 0:
            return
        is_limit, strategy = self._strategy.order_type == "limit", self._strategy
        price = (feed.bid if side == "buy" else feed.ask) if is_limit else None
        refusal = self._refusal(feed, signal, at_ns)
        request = Request(
            venue, signal.market, signal.symbol, side, "entry", max(ZERO, missing), _cause(signal),
            type="limit" if price is not None else "market", price=price, ttl_ns=strategy.order_ttl_ns, signal=signal,
            is_synthetic=signal.is_synthetic,
        )  # fmt: skip
        self._desk.place(request, at_ns, refusal)

    def _refusal(self, feed: Feed, signal: Signal, at_ns: int) -> str | None:
        late_ns = at_ns - signal.end_ns
        if late_ns > self._desk.rules.limits.signal_age_ns_max:
            return reasons.reason(reasons.STALE_SIGNAL, f"{late_ns} ns behind the end of its bar")
        if feed.quoted_ns < 0 and feed.bid is None:
            return reasons.reason(reasons.UNKNOWN_SYMBOL, f"no venue has quoted or traded {signal.symbol} yet")
        return None

    def _leave(self, holding: Holding, signal: Signal, at_ns: int) -> None:
        self._withdraw(holding, "buy", at_ns)
        self._withdraw(holding, "sell", at_ns)
        if holding.quantity:
            self._flatten(holding, "exit", signal, at_ns)

    def _flatten(self, holding: Holding, purpose: Purpose, signal: Signal, at_ns: int) -> None:
        side: Side = "sell" if holding.quantity > 0 else "buy"
        leaving = [one for one in self._open(holding) if one.purpose in ("exit", "time_exit")]
        if not leaving:
            self._ask(holding, purpose, side, abs(holding.quantity), signal, at_ns)

    def _ask(
        self, holding: Holding, purpose: Purpose, side: Side, quantity: Decimal, signal: Signal, at_ns: int
    ) -> None:
        request = Request(
            holding.venue, holding.market, holding.symbol, side, purpose, quantity, _cause(signal),
            ttl_ns=self._strategy.order_ttl_ns, reduce_only=True, signal=signal, is_synthetic=signal.is_synthetic,
        )  # fmt: skip
        self._desk.place(request, at_ns)

    def _withdraw(self, holding: Holding, side: Side, at_ns: int) -> None:
        for order in self._entries(holding, side):
            self._desk.end(self._desk.books.working[order.order_id], "cancelled", at_ns, reasons.REPLACED)

    def _entries(self, holding: Holding, side: Side) -> list[Order]:
        return [one for one in self._open(holding) if one.side == side and not one.reduce_only]

    def _open(self, holding: Holding) -> list[Order]:
        name = holding.market, holding.symbol
        orders = (working.order for working in self._desk.books.working.values())
        return [one for one in orders if (one.market, one.symbol) == name]

    def guard(self, holding: Holding, cause: str, at_ns: int) -> None:
        """Behind a fill: exits by price are for what is held now, at its average price; none where nothing is."""
        guards = [one for one in self._open(holding) if one.reduce_only]
        if holding.quantity == 0:
            for order in guards:
                self._desk.end(self._desk.books.working[order.order_id], "cancelled", at_ns, reasons.POSITION_CLOSED)
            return
        for purpose in _EXITS:
            bps = self._strategy.take_profit_bps if purpose == "take_profit" else self._strategy.stop_loss_bps
            if bps:
                self._guard_by(holding, purpose, bps, cause, at_ns)

    def _guard_by(self, holding: Holding, purpose: Purpose, bps: Decimal, cause: str, at_ns: int) -> None:
        is_long, average = holding.quantity > 0, holding.average()
        side: Side = "sell" if is_long else "buy"
        is_up = is_long is (purpose == "take_profit")
        price = average * (1 + bps * BPS if is_up else 1 - bps * BPS)
        price = within(price, side, tick_of(self._desk.lot(holding.venue, holding.symbol), price))
        for order in self._open(holding):
            if order.purpose != purpose:
                continue
            same = price == (order.stop_price or order.limit_price) and order.side == side
            if same and order.leaves_quantity == abs(holding.quantity):
                return
            self._desk.end(self._desk.books.working[order.order_id], "cancelled", at_ns, reasons.REPLACED)
        request = Request(
            holding.venue, holding.market, holding.symbol, side, purpose, abs(holding.quantity), cause,
            type="limit" if purpose == "take_profit" else "stop", price=price, time_in_force="gtc", reduce_only=True,
            is_synthetic=holding.is_synthetic,
        )  # fmt: skip
        self._desk.place(request, at_ns)


def _cause(signal: Signal) -> str:
    return f"{signal.market}|{signal.symbol}|{signal.size_ns}|{signal.start_ns}"
