"""What is known of a model, beside the model: its data, how good it was on what it had not seen, and what drift needs.

Plain data, as JSON in the model's folder. What it does not do: measure (`judging`), write it for people (`card_page`).
"""

from __future__ import annotations

import msgspec

from sofia_streams.core.scoring.drift import Deciles
from sofia_streams.training.metrics import Bin, Followed, Interval

FORMAT = 1


class Slice(msgspec.Struct, frozen=True):
    """A stretch of time and what is in it: `base_rate` is the share of labels that came true."""

    from_ns: int
    until_ns: int
    rows: int
    base_rate: float


class Input(msgspec.Struct, frozen=True):
    """A feature that the model reads: share of its importance, and how it was distributed in the training data."""

    name: str
    importance: float
    deciles: Deciles


class Fold(msgspec.Struct, frozen=True):
    """One step of the walk forward: its test stretch, measures there, and gains over each baseline in log loss."""

    test: Slice
    measures: dict[str, Interval]
    gains: dict[str, Interval]


class Card(msgspec.Struct, frozen=True):
    """Everything of a card. Keys are added under one format, never renamed.

    verdict      in words: better than the baselines or not, by which test; `is_better` says it in one bit
    slices       fit, weigh, calibrate, test; the model saw nothing of the last
    test         by who scored ("model", "uncalibrated", "base rate", "last sign"): each measure with its interval
    gains        by baseline: by how much the model's log loss is lower on the test slice, nats
    following    by threshold, by who scored: what following would have paid after fees
    left_out     bars without a row, by reason
    """

    format: int
    model_id: str
    verdict: str
    is_better: bool
    is_synthetic: bool
    data: str
    symbols: list[str]
    size_ns: int
    bars: int
    label: str
    horizon_bars: int
    cost: float
    fee: float
    members: dict[str, float]
    inputs: list[Input]
    slices: dict[str, Slice]
    left_out: dict[str, int]
    block_rows: int
    test: dict[str, dict[str, Interval]]
    gains: dict[str, Interval]
    following: dict[str, dict[str, Followed]]
    reliability: dict[str, list[Bin]]
    folds: list[Fold]
    expires_ns: int

    @property
    def base_rate(self) -> float:
        """Share of labels of the training data that came true."""
        return self.slices["fit"].base_rate
