"""An example of another policy: against the model, out after ten bars whatever it says. Not advice."""

from __future__ import annotations

from decimal import Decimal

from sofia_streams.core.oms.money import ZERO
from sofia_streams.core.oms.policies.base import View, size_share
from sofia_streams.core.oms.rules import Strategy
from sofia_streams.scored import Signal

_BARS_MAX = 10


def fade(signal: Signal, view: View, strategy: Strategy) -> Decimal | None:
    """A `Policy`."""
    if view.held_share and view.held_bars >= _BARS_MAX:
        return ZERO
    if signal.action == "sell":
        return size_share(signal, view, strategy)
    if signal.action == "buy":
        return -size_share(signal, view, strategy) if view.short_enabled else ZERO
    return None
