"""Go with the model: long on "buy", flat (or short, where that is enabled) on "sell", else as it is."""

from __future__ import annotations

from decimal import Decimal

from sofia_streams.core.oms.money import ZERO
from sofia_streams.core.oms.policies.base import View, size_share
from sofia_streams.core.oms.rules import Strategy
from sofia_streams.scored import Signal


def follow(signal: Signal, view: View, strategy: Strategy) -> Decimal | None:
    """A `Policy`."""
    if signal.action == "buy":
        return size_share(signal, view, strategy)
    if signal.action == "sell":
        return -size_share(signal, view, strategy) if view.short_enabled else ZERO
    return None
