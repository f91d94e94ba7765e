"""A trained model as plain data: JSON beside LightGBM's text. No code travels with it (ADR 0010).

What it does not do: read files (`training.registry`), score (`scorer`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from sofia_streams.core.scoring.labels import LabelKind, Rule

FORMAT = 1
ModelType = Literal["lightgbm", "logistic"]


class LinearPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Logistic regression: weights for (value - mean) / scale, in the order of the model's inputs."""

    weights: list[float]
    bias: float
    means: list[float]
    scales: list[float]


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Isotonic knots: scores rise, values do not fall."""

    scores: list[float]
    values: list[float]


class CheckRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of inputs and what the objects that were trained made of it: the scorer must agree."""

    inputs: list[float]
    raw: float
    calibrated: float


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything of a model but its trees.

    schemas        hash of each feature set it reads, by the set's name
    inputs         the features it reads, as "set.name", in order
    members        weight of each model type in the raw score; they sum to 1
    horizon_bars   how many bars ahead the probability is about; `label` says of what (`labels.Rule`)
    trained_from_ns, trained_until_ns   its data; the last of them only judged it
    expires_ns     bars that end later are not scored with it
    cost           what getting in and out costs, a fraction: a label comes true only beyond it
    is_synthetic   trained on generated data: no prediction of it means anything
    """

    format: int
    model_id: str
    label: LabelKind
    size_ns: int
    horizon_bars: int
    schemas: dict[str, str]
    inputs: list[str]
    members: dict[ModelType, float]
    calibration: Calibration
    trained_from_ns: int
    trained_until_ns: int
    expires_ns: int
    is_synthetic: bool
    checks: list[CheckRow]
    linear: LinearPart | None = None
    trees_sha256: str | None = None
    cost: float = 0.0

    @property
    def rule(self) -> Rule:
        """What its probability is of."""
        return Rule(self.label, self.horizon_bars, self.cost)

    @property
    def model_type(self) -> str:
        """Of its one member, or "ensemble"."""
        return "ensemble" if len(self.members) > 1 else next(iter(self.members), "ensemble")

    @property
    def other(self) -> str:
        """What a label is that did not come true: "down", or only "not up" where it had to rise beyond a cost."""
        return "not up" if self.cost > 0.0 else "down"
