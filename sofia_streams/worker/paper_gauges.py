"""What paper trading says, as metrics, and as alerts where a person must know. Sends nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from sofia_streams.core.oms.steps import Said, Snapshot
from sofia_streams.model import Alert
from sofia_streams.obs import metrics
from sofia_streams.paper import TERMINAL, Account, Fill, Order, TradingState

_STATES = get_args(TradingState)


def observe(said: Iterable[Said | Snapshot], worker: str) -> list[Alert]:
    """Count orders, fills and rejections; alerts of a state that is not ACTIVE any more, the same id each time."""
    alerts = []
    for one in said:
        if isinstance(one, Order):
            if one.status in TERMINAL or one.status == "new":
                metrics.ORDERS.labels(one.status, one.reason_code).inc()
        elif isinstance(one, Fill):
            _count(one)
        elif isinstance(one, Account):
            _show(one)
            if one.cause == "state" and one.state != "ACTIVE":
                text = f"paper trading is {one.state}: {one.reason}. `sofia resume` lifts a halt."
                name = f"paper {one.state} {one.serial}"
                alerts.append(Alert(name, "critical" if one.state == "HALTED" else "warning", worker, text, one.at_ns))
    return alerts


def _count(fill: Fill) -> None:
    """Turnover, slippage, and what was won and lost: rates of them are live statistics."""
    metrics.FILLS.labels(fill.venue, fill.liquidity).inc()
    metrics.TRADED.labels(fill.venue).inc(float(fill.price * fill.quantity))
    if fill.decision_mid is not None:
        worse = fill.price - fill.decision_mid
        metrics.SLIPPAGE.inc(float((worse if fill.side == "buy" else -worse) * fill.quantity))
    if fill.realised_quote:
        result = "won" if fill.realised_quote > 0 else "lost"
        metrics.CLOSED.labels(result).inc()
        metrics.CLOSED_QUOTE.labels(result).inc(abs(float(fill.realised_quote)))


def _show(account: Account) -> None:
    for name in ("cash", "realised", "unrealised", "fees", "gross_exposure"):
        metrics.ACCOUNT.labels(name).set(float(getattr(account, f"{name}_quote")))
    metrics.EQUITY.set(float(account.equity_quote))
    metrics.DRAWDOWN.set(float(1 - account.equity_quote / account.peak_quote) if account.peak_quote else 0.0)
    metrics.POSITIONS.set(len(account.positions))
    for state in _STATES:
        metrics.TRADING.labels(state).set(account.state == state)
