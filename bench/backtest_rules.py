"""Rules of the accounts of `bench backtest`: real costs, and limits that do not end trading before the bars end."""

from __future__ import annotations

from decimal import Decimal

from sofia_streams.core.oms.rules import Limits, Rules, Strategy

_STRATEGY = Strategy(size_share=Decimal("0.01"))
DEFAULT = Rules(
    venues=("binance",),
    start_quote=Decimal(1_000_000),
    limits=Limits(
        order_notional_quote=Decimal(1_000_000), daily_loss=Decimal("0.9"), drawdown=Decimal("0.99"), losses_max=10**9
    ),
    strategy=_STRATEGY,
)
"""Positions of 1 % each, which a share of a minute's volume mostly holds at once; confidence, fees of Binance, half
spread, impact and latency as configured by default.
"""
LOOSE = DEFAULT._replace(strategy=_STRATEGY._replace(confidence_min=Decimal("0.52")))
"""The same, trading on far less confidence."""
