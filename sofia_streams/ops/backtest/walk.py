"""Walk-forward: models trained along the way, each on what was known at its moment, and in force only behind it.

Rows are built once: a row's features come from its past alone, and a row counts for a model only where its label was
known by the end of that model's data. What it does not do: fit (`training.fitting`), score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from sofia_streams.core.features.sets import FeatureSet
from sofia_streams.core.scoring.scorer import Scorer
from sofia_streams.core.signals.predicting import Model
from sofia_streams.errors import BadModel, ConfigError
from sofia_streams.ops.backtest.models import Chosen, OnProgress, moment
from sofia_streams.scored import Activation
from sofia_streams.training.dataset import Dataset, Seen, build
from sofia_streams.training.fitting.fit import train
from sofia_streams.training.fitting.folds import split
from sofia_streams.training.fitting.run import EMBARGO_BARS, Order, terms_of


class Walk(NamedTuple):
    """How to walk: each model is made of the newest `train_ns`, and replaced every `every_ns`."""

    order: Order
    train_ns: int
    every_ns: int


def walked(
    seen: Sequence[Seen], sets: Sequence[FeatureSet], walk: Walk, span: tuple[int, int], report: OnProgress,
    *, is_synthetic: bool = False,
) -> Chosen:  # fmt: skip
    """A model for each step of the period `span`, whose first one needs data from before it, or waits for it.

    Raises ConfigError where no step has enough.
    """
    order = walk.order
    chosen = [one for one in sets if one.name in order.sets]
    report("features to train on", 0, 1)
    data = build(seen, chosen, order.rule)
    activations, models, short = list[Activation](), dict[str, Model](), list[str]()
    ends = [*_ends(int(data.start_ns.min()), walk, span)]
    for number, end_ns in enumerate(ends):
        report("training", number, len(ends))
        try:
            scorer = _scorer(data, chosen, walk, end_ns, is_synthetic=is_synthetic)
            name = scorer.document.model_id
            models[name] = Model(scorer, sets)
        except (ConfigError, BadModel) as error:
            short.append(f"{moment(end_ns)}: {error}")
            continue
        from_ns = end_ns + order.rule.horizon_bars * order.size_ns
        activations.append(Activation(f"{name}@{from_ns}", name, "", from_ns, from_ns, "walk-forward"))
    report("training", len(ends), len(ends))
    if not activations:
        raise ConfigError(
            "backtest: expected data for at least one model of a walk-forward, found too little: "
            f"{short[0] if short else 'the period is shorter than --train-days'}. Give more bars or fewer --train-days."
        )
    warned = [f"{len(short)} of {len(ends)} trainings failed, the model before went on: {one}" for one in short[:1]]
    return Chosen(activations, models, warned, f"walk-forward, {len(activations)} models")


def _ends(first_ns: int, walk: Walk, span: tuple[int, int]) -> Iterator[int]:
    """When each model's data ends: the first so that it may score the first bar of the period, where there is enough
    before it.
    """
    size_ns, horizon_ns = walk.order.size_ns, walk.order.rule.horizon_bars * walk.order.size_ns
    end_ns = max(span[0] - horizon_ns, first_ns + walk.train_ns) // size_ns * size_ns
    while end_ns + horizon_ns < span[1]:
        yield end_ns
        end_ns += walk.every_ns


def _scorer(data: Dataset, sets: Sequence[FeatureSet], walk: Walk, end_ns: int, *, is_synthetic: bool) -> Scorer:
    """Trained on rows that were known by `end_ns`. Raises ConfigError, BadModel."""
    order = walk.order
    rows = np.flatnonzero((data.known_ns <= end_ns) & (data.start_ns >= end_ns - walk.train_ns))
    if not len(rows):
        raise ConfigError("no row is known by then")
    past = data.at(rows)
    parts = split(past, embargo_ns=EMBARGO_BARS * order.size_ns)
    trained = train(past, parts, terms_of(order, sets, is_synthetic=is_synthetic))
    return Scorer(trained.document, trained.trees)
