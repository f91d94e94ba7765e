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
    figure = Figure(figsize=(6.4, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    ends = [value for bins in reliability.values() for one in bins for value in (one.probability, one.frequency)]
    low, high = max(0.0, min(ends) - 0.03), min(1.0, max(ends) + 0.03)
    above.plot([low, high], [low, high], color="0.6", linestyle="--", linewidth=1, label="perfect")
    for (name, bins), marker in zip(reliability.items(), _MARKERS, strict=False):
        said = [one.probability for one in bins]
        above.plot(said, [one.frequency for one in bins], marker=marker, label=name)
        below.plot(said, [one.rows for one in bins], marker=marker, linestyle=":")
    above.set(title=title, ylabel="share that came true", xlim=(low, high), ylim=(low, high))
    above.legend(loc="upper left")
    below.set(xlabel="probability that was said", ylabel="rows", ylim=(0, None))
    for part in (above, below):
        part.grid(alpha=0.3)
    found = io.BytesIO()
    figure.savefig(found, format="png", dpi=110, metadata={"Software": None})
    return found.getvalue()
