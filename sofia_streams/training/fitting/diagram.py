"""The reliability diagram of a model card: what was said against what came. Draws; measures nothing."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sofia_streams.training.metrics import Bin

_MARKERS = ("o", "s")


def reliability_png(title: str, reliability: Mapping[str, Sequence[Bin]]) -> bytes:
    """A PNG: bins by who scored, joined by lines, beside the diagonal where probability is frequency."""
    figure = Figure(figsize=(6.4, 6.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    ends = [value for bins in reliability.values() for one in bins for value in (one.probability, one.frequency)]
    low, high = max(0.0, min(ends) - 0.03), min(1.0, max(ends) + 0.03)
    axes.plot([low, high], [low, high], color="0.6", linestyle="--", linewidth=1, label="perfect")
    for (name, bins), marker in zip(reliability.items(), _MARKERS, strict=False):
        rows = sum(one.rows for one in bins)
        shown = f"{name}, {rows} rows in {len(bins)} bins"
        axes.plot([one.probability for one in bins], [one.frequency for one in bins], marker=marker, label=shown)
    axes.set(title=title, xlabel="probability that was said", ylabel="share that came true")
    axes.set(xlim=(low, high), ylim=(low, high))
    axes.legend(loc="upper left")
    axes.grid(alpha=0.3)
    found = io.BytesIO()
    figure.savefig(found, format="png", dpi=110, metadata={"Software": None})
    return found.getvalue()
