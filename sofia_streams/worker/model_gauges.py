"""How good models are, on the metrics page. What it does not do: measure (`core.monitoring.watching`)."""

from __future__ import annotations

from sofia_streams.obs import metrics
from sofia_streams.scored import ModelQuality


def show(found: ModelQuality) -> None:
    """The newest of a symbol and role."""
    for name, gauge in metrics.MODEL.items():
        value = getattr(found, name)
        if value is not None:
            gauge.labels(found.symbol, found.role).set(value)


def show_nothing() -> None:
    """Of symbols that another worker may have now."""
    for gauge in metrics.MODEL.values():
        gauge.clear()
