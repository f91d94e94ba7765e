"""Before every order: is trading on, is the market known, is the order sound, can the account bear it. Pure checks.

The order of checks is that of docs/paper_trading.md; the first that fails gives the reason. What reduces a position
passes those that bound exposure. States: ACTIVE; REDUCING, where only that is taken; HALTED, where nothing is.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import msgspec

from sofia_streams.core.oms import reasons
from sofia_streams.core.oms.money import ZERO, told
from sofia_streams.core.oms.rules import Limits, Lot
from sofia_streams.model import NS_PER_DAY, NS_PER_MINUTE, NS_PER_SECOND
from sofia_streams.paper import Order, TradingState

HALT_TIMES = Decimal("1.5")
"""How many daily loss limits halt."""


class Risk(msgspec.Struct, array_like=True):
    """What is remembered between orders, changed in place."""

    peak_quote: Decimal
    day_start_quote: Decimal
    day: int = -1
    state: TradingState = "ACTIVE"
    reason: str = ""
    losses: int = 0
    cool_until_ns: int = 0
    accepted_ns: list[int] = []
    """When orders were accepted within the last minute."""

    @classmethod
    def opened(cls, equity_quote: Decimal) -> Risk:
        """Of a new account."""
        return cls(equity_quote, equity_quote)

    def new_day(self, at_ns: int, equity_quote: Decimal) -> bool:
        """At the first event of a UTC day: losses count from here, REDUCING ends; whether the state changed."""
        day = at_ns // NS_PER_DAY
        if day == self.day:
            return False
        self.day, self.day_start_quote = day, equity_quote
        if self.state != "REDUCING":
            return False
        self.state, self.reason = "ACTIVE", ""
        return True

    def watch(self, equity_quote: Decimal, limits: Limits) -> bool:
        """The equity has changed; whether the state did."""
        if equity_quote > self.peak_quote:
            self.peak_quote = equity_quote
        if self.state == "HALTED":
            return False
        lost, allowed = self.day_start_quote - equity_quote, limits.daily_loss * self.day_start_quote
        if lost >= HALT_TIMES * allowed:
            return self._become(
                "HALTED", reasons.DAILY_LOSS, f"lost {told(lost)} of {told(HALT_TIMES * allowed)} today"
            )
        fallen, drawn = self.peak_quote - equity_quote, limits.drawdown * self.peak_quote
        if fallen >= drawn:
            return self._become(
                "HALTED", reasons.DRAWDOWN, f"{told(fallen)} below the highest equity, of {told(drawn)}"
            )
        if lost >= allowed and self.state == "ACTIVE":
            return self._become("REDUCING", reasons.DAILY_LOSS, f"lost {told(lost)} of {told(allowed)} today")
        return False

    def halt(self, text: str) -> bool:
        """By command; whether the state changed."""
        return self.state != "HALTED" and self._become("HALTED", reasons.HALTED_BY_COMMAND, text)

    def resume(self, equity_quote: Decimal) -> bool:
        """By command: losses and drawdown count from here; whether the state changed."""
        self.peak_quote = self.day_start_quote = equity_quote
        self.losses = self.cool_until_ns = 0
        changed = self.state != "ACTIVE"
        self.state, self.reason = "ACTIVE", ""
        return changed

    def closed(self, net_quote: Decimal, at_ns: int, limits: Limits) -> None:
        """A position went flat with this result, fees included."""
        self.losses = self.losses + 1 if net_quote < 0 else 0
        if limits.losses_max and self.losses >= limits.losses_max:
            self.losses, self.cool_until_ns = 0, at_ns + limits.cool_down_ns

    def accepted(self, at_ns: int) -> None:
        """An order counts against the rates."""
        self.accepted_ns = [one for one in self.accepted_ns if one > at_ns - NS_PER_MINUTE]
        self.accepted_ns.append(at_ns)

    def _become(self, state: TradingState, code: str, text: str) -> bool:
        changed = state != self.state
        self.state, self.reason = state, reasons.reason(code, text)
        return changed


class Standing(NamedTuple):
    """The account as an order finds it; base currency for quantities.

    held          the position, below 0: short
    buying, selling  what open orders that may open or enlarge one would still buy and sell
    closable      how much of the position the order would reduce, beside open orders that do already
    others_quote  exposure of all other positions and open entries
    free_quote    cash that no open order has reserved
    need_quote    cash the order may take: at its worst price, fees included
    """

    equity_quote: Decimal
    held: Decimal
    buying: Decimal
    selling: Decimal
    closable: Decimal
    others_quote: Decimal
    free_quote: Decimal
    need_quote: Decimal
    open_orders: int


def denial(
    order: Order, price: Decimal, standing: Standing, risk: Risk, limits: Limits, lot: Lot, at_ns: int,
    unsound: str | None = None,
) -> str | None:  # fmt: skip
    """Why an order is not taken, a code and what was found; None: it is. `price` is the worst it may be filled at,
    `unsound` what is wrong with the market or with the order in it.
    """
    signed = order.quantity if order.side == "buy" else -order.quantity
    reduces = standing.closable > 0 and order.quantity <= standing.closable
    return (
        _state(order, risk, at_ns, reduces=reduces)
        or unsound
        or _size(order, price, standing, lot, limits, reduces=reduces)
        or (None if reduces else _exposure(order, signed, price, standing, limits))
        or (None if order.reduce_only else _rate(risk, limits, standing, at_ns))
    )


def _state(order: Order, risk: Risk, at_ns: int, *, reduces: bool) -> str | None:
    if risk.state == "HALTED":
        return reasons.reason(reasons.TRADING_HALTED, risk.reason)
    if order.reduce_only and not reduces:
        return reasons.reason(reasons.REDUCE_ONLY_WOULD_INCREASE, f"{order.side} {told(order.quantity)}")
    if risk.state == "REDUCING" and not reduces:
        return reasons.reason(reasons.TRADING_REDUCING, risk.reason)
    if at_ns < risk.cool_until_ns and not reduces:
        return reasons.reason(reasons.COOL_DOWN, f"until {risk.cool_until_ns} ns, after losses in a row")
    return None


def _size(order: Order, price: Decimal, standing: Standing, lot: Lot, limits: Limits, *, reduces: bool) -> str | None:
    notional = order.quantity * price
    least = ZERO if reduces else lot.quantity_min or ZERO  # what is left of a position may go, however small
    if order.quantity <= 0 or order.quantity < least:
        return reasons.reason(
            reasons.QUANTITY_BELOW_MINIMUM,
            f"expected at least {told(least) if least else 'a step'}, found {told(order.quantity)}",
        )
    if reduces:
        return None
    notional_min = lot.notional_min_quote or ZERO
    if notional < notional_min:
        return reasons.reason(
            reasons.NOTIONAL_BELOW_MINIMUM, f"expected at least {told(notional_min)}, found {told(notional)}"
        )
    opening = notional - standing.closable * price
    if opening > limits.order_notional_quote:
        return reasons.reason(
            reasons.NOTIONAL_EXCEEDS_MAXIMUM,
            f"expected at most {told(limits.order_notional_quote)}, found {told(opening)}",
        )
    return None


def _exposure(order: Order, signed: Decimal, price: Decimal, standing: Standing, limits: Limits) -> str | None:
    """After the fill of this and of every open order on its side: the worst that may come."""
    pending = standing.buying if signed > 0 else -standing.selling
    after = standing.held + pending + signed
    if after < 0 and not limits.short_enabled:
        return reasons.reason(
            reasons.SHORT_NOT_ENABLED, f"{order.side} {told(order.quantity)} would leave {told(after)}"
        )
    size, cap = abs(after) * price, limits.position_share * standing.equity_quote
    if size > cap:
        return reasons.reason(reasons.POSITION_EXCEEDS_MAXIMUM, f"expected at most {told(cap)}, found {told(size)}")
    gross, most = standing.others_quote + size, limits.gross_share * standing.equity_quote
    if gross > most:
        return reasons.reason(
            reasons.GROSS_EXPOSURE_EXCEEDS_MAXIMUM, f"expected at most {told(most)}, found {told(gross)}"
        )
    if standing.need_quote > standing.free_quote and (signed > 0 or not limits.short_enabled):
        return reasons.reason(
            reasons.CASH_INSUFFICIENT,
            f"expected at most {told(standing.free_quote)}, found {told(standing.need_quote)}",
        )
    return None


def _rate(risk: Risk, limits: Limits, standing: Standing, at_ns: int) -> str | None:
    if standing.open_orders >= limits.open_orders_max:
        return reasons.reason(reasons.OPEN_ORDERS_EXCEED_MAXIMUM, f"{standing.open_orders} are open")
    minute = [one for one in risk.accepted_ns if one > at_ns - NS_PER_MINUTE]
    second = [one for one in minute if one > at_ns - NS_PER_SECOND]
    if len(second) >= limits.orders_per_second or len(minute) >= limits.orders_per_minute:
        return reasons.reason(reasons.ORDER_RATE_EXCEEDED, f"{len(second)} this second, {len(minute)} this minute")
    return None
