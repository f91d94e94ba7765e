"""What trading cost and what became of orders. Sums of money are exact; shares and bps are float64."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from sofia_streams.paper import REPLACED, Fill, Order

_ZERO = Decimal(0)
_BPS = 10_000


class CostFigures(msgspec.Struct, frozen=True):
    """Over all fills. bps are of the notional; slippage is a cost where above 0.

    notional_quote  sum of price * quantity, both sides
    fees_bps        fees / notional * 10,000
    slippage_quote  sum of side * (price - middle at the decision) * quantity, of fills whose middle is known
    slippage_bps    that / (sum of middle * quantity) * 10,000
    turnover        notional / mean equity: how many times the account went through the market
    """

    fills: int
    notional_quote: Decimal
    fees_quote: Decimal
    fees_bps: float | None
    slippage_quote: Decimal
    slippage_bps: float | None
    turnover: float | None
    maker_share: float | None
    """Of the notional, 0 to 1."""


class OrderFigures(msgspec.Struct, frozen=True):
    """Of orders, each as it stood last. An order is accepted where it was not rejected.

    fill_rate      filled whole / accepted and done, 0 to 1; None without any. One that was replaced before anything of
                   it was filled counts in neither rate: its successor does
    quantity_rate  mean over accepted and done orders of filled / ordered quantity
    endings        codes of what was cancelled or has expired
    """

    count: int
    by_status: dict[str, int]
    rejections: dict[str, int]
    endings: dict[str, int]
    fill_rate: float | None
    quantity_rate: float | None


def costs(fills: Iterable[Fill], mean_equity: float) -> CostFigures:
    """What fills cost; a repeated id counts once. `mean_equity`: quote currency, over the time of the fills."""
    some = list({one.fill_id: one for one in fills}.values())
    notional = sum((one.price * one.quantity for one in some), _ZERO)
    fees = sum((one.fee_quote for one in some), _ZERO)
    makers = sum((one.price * one.quantity for one in some if one.liquidity == "maker"), _ZERO)
    slipped = decided = _ZERO
    for one in some:
        if one.decision_mid is not None:
            slipped += (one.price - one.decision_mid) * (one.quantity if one.side == "buy" else -one.quantity)
            decided += one.decision_mid * one.quantity
    return CostFigures(
        fills=len(some),
        notional_quote=notional,
        fees_quote=fees,
        fees_bps=float(fees / notional * _BPS) if notional else None,
        slippage_quote=slipped,
        slippage_bps=float(slipped / decided * _BPS) if decided else None,
        turnover=float(notional) / mean_equity if mean_equity > 0.0 else None,
        maker_share=float(makers / notional) if notional else None,
    )


def outcomes(orders: Iterable[Order]) -> OrderFigures:
    """What became of orders; of several revisions of one the highest counts."""
    last: dict[str, Order] = {}
    for one in orders:
        if one.order_id not in last or one.revision >= last[one.order_id].revision:
            last[one.order_id] = one
    some = list(last.values())
    done = [one for one in some if one.status in ("filled", "cancelled", "expired") and not _is_amended(one)]
    shares = [float(one.filled_quantity / one.quantity) for one in done if one.quantity > 0]
    return OrderFigures(
        count=len(some),
        by_status=_counted(one.status for one in some),
        rejections=_counted(one.reason_code or "none" for one in some if one.status == "rejected"),
        endings=_counted(one.reason_code or "none" for one in some if one.status in ("cancelled", "expired")),
        fill_rate=sum(one.status == "filled" for one in done) / len(done) if done else None,
        quantity_rate=sum(shares) / len(shares) if shares else None,
    )


def _is_amended(order: Order) -> bool:
    return order.reason_code == REPLACED and not order.filled_quantity


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items(), key=lambda one: (-one[1], one[0])))
