"""Where orders are placed, met by the market, filled and ended; every change is said. All state is in `Books`.

What it does not do: decide what to trade (`trading`), know how time passes (`engine`).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

import msgspec

from sofia_streams.core.oms import reasons
from sofia_streams.core.oms.account.holdings import Holding, Money
from sofia_streams.core.oms.account.risk import Risk, Standing, denial
from sofia_streams.core.oms.market.feed import Feed
from sofia_streams.core.oms.market.fees import schedule_of, schedules_of
from sofia_streams.core.oms.market.matching import Conditions, Execution, Print, match
from sofia_streams.core.oms.market.volatility import Volatility
from sofia_streams.core.oms.money import ZERO, bps_between, fee_of, is_quoted_in, tick_of, told, whole_steps, within
from sofia_streams.core.oms.orders import Working, filled, moved, order_id
from sofia_streams.core.oms.rules import Lot, Rules
from sofia_streams.model import NS_PER_DAY, Market, Side
from sofia_streams.paper import (
    TERMINAL,
    Fill,
    Order,
    OrderType,
    Paper,
    Purpose,
    Status,
    TimeInForce,
)
from sofia_streams.scored import Signal

NEVER_NS = 2**63 - 1
_NO_LOT = Lot()


class Books(msgspec.Struct, array_like=True):
    """Everything that is remembered: the account, open orders by id in their order, what is known of markets."""

    money: Money
    risk: Risk
    working: dict[str, Working] = {}
    feeds: dict[str, Feed] = {}
    """By "venue|market|symbol"."""
    volatilities: dict[str, Volatility] = {}
    """By "market|symbol"."""
    now_ns: int = -1
    serial: int = 0

    @classmethod
    def opened(cls, rules: Rules) -> Books:
        """Of a new account."""
        return cls(Money.opened(rules.start_quote), Risk.opened(rules.start_quote))


class Request(NamedTuple):
    """What is wanted of the desk. `cause` and `purpose` make the order's id; `ttl_ns` 0: until it is cancelled.

    Quantities go down to the lot's step, prices to its tick, so that a limit is no worse; what reduces goes whole.
    """

    venue: str
    market: Market
    symbol: str
    side: Side
    purpose: Purpose
    quantity: Decimal
    cause: str
    type: OrderType = "market"
    price: Decimal | None = None
    """Of a limit or a stop."""
    time_in_force: TimeInForce = "gtd"
    ttl_ns: int = 0
    reduce_only: bool = False
    signal: Signal | None = None
    is_synthetic: bool = False
    active_ns: int = 0
    """Of an order that takes the place of another at the venue; 0: once it has come there."""


class Desk:
    """`said` collects what changes, which the caller takes; `due_ns` is when the next open order expires."""

    def __init__(self, rules: Rules, lots: Mapping[tuple[str, str], Lot], books: Books) -> None:
        """`lots` by venue and symbol."""
        self.rules, self.books, self.said = rules, books, list[Paper]()
        self._lots, self._schedules = lots, schedules_of(rules)
        self.due_ns = self._soonest_ns()

    def feed(self, venue: str, market: Market, symbol: str) -> Feed:
        """What is known of an instrument."""
        key = f"{venue}|{market}|{symbol}"
        found = self.books.feeds.get(key)
        if found is None:
            found = self.books.feeds[key] = Feed()
        return found

    def volatility(self, market: Market, symbol: str) -> Volatility:
        """How much a symbol moves."""
        key = f"{market}|{symbol}"
        found = self.books.volatilities.get(key)
        if found is None:
            found = self.books.volatilities[key] = Volatility()
        return found

    def lot(self, venue: str, symbol: str) -> Lot:
        """How finely it trades there."""
        return self._lots.get((venue, symbol), _NO_LOT)

    def place(self, request: Request, at_ns: int, refusal: str | None = None) -> Order:
        """An order that is open from now on, or rejected; `refusal` rejects it whatever the market. What is open
        already, by its id, is not placed again.
        """
        feed = self.feed(request.venue, request.market, request.symbol)
        lot = self.lot(request.venue, request.symbol)
        order = self._order(request, feed, lot, at_ns)
        if (known := self.books.working.get(order.order_id)) is not None:
            return known.order
        cap_price = self._cap(order, feed.middle(), lot)
        valued_at = max(cap_price or ZERO, feed.middle() or ZERO)
        standing = self._standing(order, cap_price or ZERO, valued_at)
        unsound = refusal or self._unsound(order, feed, at_ns)
        risk, limits = self.books.risk, self.rules.limits
        why = denial(order, valued_at, standing, risk, limits, lot, at_ns, unsound)
        if why or cap_price is None:
            order = msgspec.structs.replace(order, status="rejected", reason=why or reasons.NO_QUOTE)
        else:
            if not request.active_ns:  # an amendment is no new order
                risk.accepted(at_ns)
            opening = ZERO if order.reduce_only else max(ZERO, order.quantity - standing.closable)
            self.books.working[order.order_id] = Working(order, cap_price, opening=opening, valued_at=valued_at)
            if 0 < order.expires_ns < self.due_ns:
                self.due_ns = order.expires_ns
        self.said.append(order)
        return order

    def _order(self, request: Request, feed: Feed, lot: Lot, at_ns: int) -> Order:
        signal, tif, price = request.signal, request.time_in_force, request.price
        quantity = request.quantity if request.reduce_only else whole_steps(request.quantity, lot)
        if price is not None and price > 0 and lot.price_tick is not None:
            price = within(price, request.side, lot.price_tick)
        is_undecided = request.type == "stop" or request.purpose == "take_profit"  # the market decides them later
        expires_ns = at_ns + request.ttl_ns if tif == "gtd" and request.ttl_ns else 0
        if tif == "day":
            expires_ns = (at_ns // NS_PER_DAY + 1) * NS_PER_DAY
        return Order(
            order_id=order_id(request.cause, request.purpose),
            venue=request.venue, market=request.market, symbol=request.symbol, side=request.side,
            type=request.type, time_in_force="gtc" if tif == "gtd" and not expires_ns else tif,
            purpose=request.purpose, quantity=quantity, status="new", created_ns=at_ns, at_ns=at_ns,
            limit_price=price if request.type == "limit" else None,
            stop_price=price if request.type == "stop" else None,
            decision_mid=None if is_undecided else feed.middle(),
            active_ns=request.active_ns or at_ns + self.rules.costs.latency_ns, expires_ns=expires_ns,
            reduce_only=request.reduce_only, is_synthetic=request.is_synthetic,
            signal_start_ns=signal.start_ns if signal else 0, signal_size_ns=signal.size_ns if signal else 0,
            signal_place=signal.place if signal else "", model_id=signal.model_id if signal else "",
        )  # fmt: skip

    def _cap(self, order: Order, middle: Decimal | None, lot: Lot) -> Decimal | None:
        """The worst price: a limit's own, else the collar around the middle, or around a stop's price."""
        if order.limit_price is not None:
            return order.limit_price
        near, collar = order.stop_price or middle, self.rules.limits.collar
        if near is None:
            return None
        return within(near * (1 + collar if order.side == "buy" else 1 - collar), order.side, tick_of(lot, near))

    def _unsound(self, order: Order, feed: Feed, at_ns: int) -> str | None:
        """What is wrong with the market, or with the order's price in it; what reduces waits for the market instead."""
        if not is_quoted_in(order.symbol, self.rules.currency):
            return reasons.reason(
                reasons.OTHER_CURRENCY, f"expected pairs in {self.rules.currency}, found {order.symbol}"
            )
        middle, price = feed.middle(), order.limit_price if order.type == "limit" else order.stop_price
        if order.type != "market" and (price is None or price <= 0):
            return reasons.reason(reasons.PRICE_OUTSIDE_COLLAR, f"expected a price above 0, found {price}")
        if order.reduce_only:
            return reasons.NO_QUOTE if middle is None else None
        if (trouble := feed.trouble(at_ns, self.rules.costs)) is not None:
            return trouble
        collar = self.rules.limits.collar
        if middle is not None and order.limit_price is not None and abs(order.limit_price - middle) > collar * middle:
            return reasons.reason(
                reasons.PRICE_OUTSIDE_COLLAR, f"{told(order.limit_price)}, where the middle is {told(middle)}"
            )
        return None

    def _standing(self, order: Order, cap_price: Decimal, valued_at: Decimal) -> Standing:
        money, buying, selling, others, reserved = self.books.money, ZERO, ZERO, ZERO, ZERO
        for working in self.books.working.values():
            one = working.order
            if one.side == "buy":
                reserved += self._to_pay(one, working.cap_price)
            if one.reduce_only:
                continue
            if (one.market, one.symbol) != (order.market, order.symbol):
                others += one.leaves_quantity * working.valued_at
            elif one.side == "buy":
                buying += one.leaves_quantity
            else:
                selling += one.leaves_quantity
        holding = money.holding(order.market, order.symbol)
        equity, _, gross = money.worth()
        others += gross - (abs(holding.value_quote()) if holding.quantity else ZERO)
        need = self._to_pay(order, cap_price if order.side == "buy" else valued_at)
        closing = ZERO if order.reduce_only else buying if order.side == "buy" else selling
        return Standing(
            equity, holding.quantity, buying, selling, max(ZERO, _against(holding, order) - closing), others,
            money.cash_quote - reserved, need, len(self.books.working),
        )  # fmt: skip

    def _to_pay(self, order: Order, price: Decimal) -> Decimal:
        """Cash that the rest of an order takes at a price, by the dearer fee; of a sale the fee alone."""
        schedule, left = schedule_of(self._schedules, order.venue), order.leaves_quantity * price
        fee = fee_of((order.notional_quote + left) * max(schedule.maker, schedule.taker)) - order.fees_quote
        return left + fee if order.side == "buy" else fee

    def end(self, working: Working, status: Status, at_ns: int, reason: str) -> None:
        """Cancelled or expired."""
        order = moved(working.order, status, at_ns, reason)
        self._forget(order)
        self.said.append(order)

    def _forget(self, order: Order) -> None:
        del self.books.working[order.order_id]
        if order.expires_ns == self.due_ns:
            self.due_ns = self._soonest_ns()

    def _soonest_ns(self) -> int:
        """When the next open order expires."""
        return min(
            (one.order.expires_ns for one in self.books.working.values() if one.order.expires_ns), default=NEVER_NS
        )

    def meet(self, working: Working, conditions: Conditions, printed: Print | None, place: str) -> bool:
        """An active order meets one market record; whether it was filled, in part or whole."""
        order, was_triggered = working.order, working.is_triggered
        closing = _against(self.books.money.holding(order.market, order.symbol), order)
        execution = match(working, conditions, printed, closing + working.opening)
        if working.is_triggered and not was_triggered:
            working.triggered_mid = conditions.feed.middle()
        elif not working.held_by and closing + working.opening == 0:
            working.held_by = reasons.reason(reasons.REDUCE_ONLY_WOULD_INCREASE, "what it was to reduce is gone")
        at_once = order.time_in_force in ("ioc", "fok") and (order.type != "stop" or was_triggered)
        if order.time_in_force == "fok" and execution is not None and execution.quantity < order.quantity:
            execution = None
        if execution is not None:
            trade_id = printed.trade_id if printed is not None else ""
            evidence = f"trade {trade_id}" if trade_id else conditions.feed.evidence
            working.opening -= max(ZERO, execution.quantity - closing)
            self._fill(working, execution, conditions, evidence, place)
        if at_once and working.order.status not in TERMINAL:
            self.end(working, "expired", conditions.at_ns, reasons.reason(reasons.NOT_FILLED_AT_ONCE, working.held_by))
        return execution is not None

    def _fill(self, working: Working, execution: Execution, conditions: Conditions, evidence: str, place: str) -> None:
        order, money, at_ns = working.order, self.books.money, conditions.at_ns
        quantity, price, liquidity = execution
        decided = working.triggered_mid if order.type == "stop" else order.decision_mid
        schedule = schedule_of(self._schedules, order.venue)
        rate = schedule.maker if liquidity == "maker" else schedule.taker
        working.fee_exact += quantity * price * rate
        fee = fee_of(working.fee_exact) - order.fees_quote  # in pieces it costs what it costs whole
        holding = money.holding(order.market, order.symbol)
        held, net = holding.quantity, holding.realised_quote - holding.fees_quote
        realised = money.settle(holding, order.side, quantity, price, fee, at_ns)
        if held and (holding.quantity == 0 or (holding.quantity > 0) is not (held > 0)):
            spent = fee if holding.quantity == 0 else fee - holding.fees_quote
            self.books.risk.closed(net + realised - spent, at_ns, self.rules.limits)
        holding.venue, holding.is_synthetic = order.venue, order.is_synthetic
        mark(holding, conditions.feed)
        working.order = filled(order, quantity, price, fee, at_ns)
        working.fills += 1
        if working.order.status == "filled":
            self._forget(order)
        fill = Fill(
            f"{order.order_id}-{working.fills}", order.order_id, order.venue, order.market, order.symbol, order.side,
            quantity, price, fee, rate, schedule.name, liquidity,
            "filled" if working.order.status == "filled" else "partially_filled", at_ns, realised, decided,
            working.arrival_mid, evidence=evidence, place=place, is_synthetic=order.is_synthetic,
            slippage_bps=bps_between(price, decided, order.side) if decided else None,
        )  # fmt: skip
        self.said += (fill, working.order)


def _against(holding: Holding, order: Order) -> Decimal:
    """How much of the position the order could reduce; 0 where it stands on the order's side."""
    return max(ZERO, -holding.quantity if order.side == "buy" else holding.quantity)


def mark(holding: Holding, feed: Feed) -> None:
    """A long is worth the best bid, a short the best ask; a quote that is crossed marks nothing."""
    if feed.bid is not None and feed.ask is not None and not feed.is_crossed():
        holding.mark = feed.bid if holding.quantity > 0 else feed.ask
