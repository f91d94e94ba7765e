"""Orders that are open, how they change, and their ids: the state machine of FIX OrdStatus, terminal states absorbing.

    new → partially_filled → filled; new, partially_filled → cancelled | expired; (before new) → rejected

A rejected order never was open. What it does not do: decide what happens to an order (`market.matching`, `desk`).
"""

from __future__ import annotations

from decimal import Decimal
from hashlib import blake2b

import msgspec

from sofia_streams.core.oms.money import ZERO
from sofia_streams.errors import BadTransition
from sofia_streams.paper import Order, Status

_ON_THE_WAY: tuple[Status, ...] = ("partially_filled", "filled", "cancelled", "expired")
NEXT: dict[Status, tuple[Status, ...]] = {"new": _ON_THE_WAY, "partially_filled": _ON_THE_WAY}
"""What may follow a status; nothing follows the others."""
_ID_BYTES = 12


class Working(msgspec.Struct, array_like=True):
    """An open order and what matching knows of it, changed in place.

    allowance      how much more it may take of what the market showed or traded; None before it first met the market
    ahead          size before it in the queue at its price; None where it does not stand in one
    is_triggered   whether a stop's price was met: it is a market order from then on; `triggered_mid` is the middle then
    held_by        the code of what keeps it from being filled, as last met, and what was found
    arrival_mid    middle of best bid and ask when it first met the market
    fills          how many it has had
    cap_price      no market order is filled at a worse price (its collar)
    valued_at      what exposure counts it at: the worse of `cap_price` and the middle when it was accepted
    shared_ns      start of the bar of which it had its share when it arrived (backtests on bars)
    fee_exact      fees of its fills before they are rounded, quote currency
    opening        how much of it may open or enlarge a position; the rest only ever reduces
    """

    order: Order
    cap_price: Decimal
    allowance: Decimal | None = None
    ahead: Decimal | None = None
    is_triggered: bool = False
    held_by: str = ""
    arrival_mid: Decimal | None = None
    fills: int = 0
    opening: Decimal = ZERO
    triggered_mid: Decimal | None = None
    valued_at: Decimal = ZERO
    fee_exact: Decimal = ZERO
    shared_ns: int = -1


def order_id(cause: str, purpose: str) -> str:
    """24 hexadecimal digits that follow from the cause (the signal's bar, or a fill) alone; at most 32 letters and
    digits are taken by every venue (OKX takes the fewest).
    """
    return blake2b(f"{cause}|{purpose}".encode(), digest_size=_ID_BYTES).hexdigest()


def moved(order: Order, status: Status, at_ns: int, reason: str = "") -> Order:
    """The order in its next status. Raises BadTransition."""
    _check(order, status)
    return msgspec.structs.replace(
        order, status=status, at_ns=at_ns, revision=order.revision + 1, reason=reason or order.reason
    )


def _check(order: Order, status: Status) -> None:
    following = NEXT.get(order.status, ())
    if status not in following:
        raise BadTransition(
            f"order {order.order_id}: expected one of {', '.join(following) or 'nothing'} after {order.status}, "
            f"found {status}"
        )


def filled(order: Order, quantity: Decimal, price: Decimal, fee_quote: Decimal, at_ns: int) -> Order:
    """The order behind one more execution. Raises BadTransition for more than is left."""
    done = order.filled_quantity + quantity
    if not ZERO < quantity <= order.leaves_quantity:
        raise BadTransition(
            f"order {order.order_id}: expected a fill of at most {order.leaves_quantity}, found {quantity}"
        )
    status: Status = "filled" if done == order.quantity else "partially_filled"
    _check(order, status)
    return msgspec.structs.replace(
        order,
        status=status,
        at_ns=at_ns,
        revision=order.revision + 1,
        filled_quantity=done,
        notional_quote=order.notional_quote + price * quantity,
        fees_quote=order.fees_quote + fee_quote,
    )
