"""One training from bars to a model in the registry: features, split, walk-forward, members, calibration, card.

What it does not do: read bars (`sources`), activate the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from sofia_streams.core.features.sets import FeatureSet, SetName, sets_of
from sofia_streams.core.scoring.document import ModelType
from sofia_streams.core.scoring.drift import Deciles
from sofia_streams.core.scoring.labels import Rule
from sofia_streams.errors import ConfigError
from sofia_streams.training.card import FORMAT, Card, Fold, Input, Slice
from sofia_streams.training.card_page import page
from sofia_streams.training.dataset import Dataset, Floats, Ints, Seen, build
from sofia_streams.training.fitting import judging
from sofia_streams.training.fitting.diagram import reliability_png
from sofia_streams.training.fitting.fit import Terms, Trained, train
from sofia_streams.training.fitting.folds import Split, split, walk_forward
from sofia_streams.training.metrics import MEASURES, followed, intervals, reliability
from sofia_streams.training.registry import CARD, DIAGRAM, PAGE, Registry, Stored
from sofia_streams.training.sources.bars import Bars

EMBARGO_BARS = 60
"""What the longest window of a feature remembers."""
Report = Callable[[str, int, int], None]
"""What is being done, how much of it is done, out of how much."""


class Order(NamedTuple):
    """What is to be trained.

    sets        feature sets that it reads; rule: what is labelled; types: members
    folds       steps of the walk forward; 0 leaves it out
    fee         of a round trip, a fraction: for what following would have paid
    threshold   probability from which a signal is followed, beside one half
    """

    sets: Sequence[SetName]
    size_ns: int
    rule: Rule
    types: Sequence[ModelType]
    lifetime_ns: int
    folds: int
    fee: float
    threshold: float


def run(bars: Bars, order: Order, registry: Registry, report: Report) -> tuple[Stored, Card]:
    """Train, judge, and save. Raises ConfigError where the bars do not suffice, BadModel, NotWritten."""
    sets = [one for one in sets_of(order.size_ns) if one.name in order.sets]
    data = build(_counted(bars, report), sets, order.rule)
    embargo_ns = EMBARGO_BARS * order.size_ns
    parts = split(data, embargo_ns=embargo_ns)
    folds = _folds(data, parts, order, sets, report)
    report("training", order.folds, order.folds + 2)
    trained = train(data, parts, terms_of(order, sets, is_synthetic=bars.is_synthetic))
    report("judging", order.folds + 1, order.folds + 2)
    card = _card(bars, order, data, parts, trained, folds)
    others = {
        CARD: msgspec.json.format(msgspec.json.encode(card), indent=1),
        PAGE: page(card).encode(),
        DIAGRAM: reliability_png(card.model_id + (" (synthetic)" if card.is_synthetic else ""), card.reliability),
    }
    stored = registry.save(trained.document, trained.trees, others)
    report("done", order.folds + 2, order.folds + 2)
    return stored, card


def terms_of(order: Order, sets: Sequence[FeatureSet], *, is_synthetic: bool) -> Terms:
    """What the model is about."""
    return Terms(
        order.rule, order.size_ns, {one.name: one.schema for one in sets}, order.types, order.lifetime_ns, is_synthetic
    )


def _counted(bars: Bars, report: Report) -> Iterator[Seen]:
    total = len(bars.seen)
    for number, one in enumerate(bars.seen):
        if number % 5_000 == 0:
            report("features", number, total)
        yield one


def _folds(data: Dataset, parts: Split, order: Order, sets: Sequence[FeatureSet], report: Report) -> list[Fold]:
    """The walk forward, over what comes before the test slice."""
    embargo_ns = EMBARGO_BARS * order.size_ns
    before = np.flatnonzero(data.known_ns <= int(data.start_ns[parts.test].min()) - embargo_ns)
    past, found = data.at(before), []
    terms = terms_of(order, sets, is_synthetic=False)
    for number, fold in enumerate(walk_forward(past, folds=order.folds, embargo_ns=embargo_ns)):
        report("walking forward", number, order.folds + 2)
        trained = train(past, fold, terms)
        scores = judging.scores_of(past, fold, trained.calibrated, trained.raw)
        block = judging.block_rows(past.at(fold.test), order.rule.horizon_bars)
        measures = intervals(MEASURES, trained.calibrated[fold.test], past.labels[fold.test], block=block)
        found.append(
            Fold(_slice(past, fold.test), measures, judging.gains(scores, past.labels, fold.test, block))
        )
    return found


def _card(bars: Bars, order: Order, data: Dataset, parts: Split, trained: Trained, folds: list[Fold]) -> Card:
    test, document = parts.test, trained.document
    block = judging.block_rows(data.at(test), order.rule.horizon_bars)
    scores = judging.scores_of(data, parts, trained.calibrated, trained.raw)
    gains = judging.gains(scores, data.labels, test, block)
    returns = data.returns[test]
    following = {
        f"{threshold:g}": {
            name: followed(found[test], returns, fee=order.fee, threshold=threshold, block=block)
            for name, found in scores.items() if name != judging.RAW
        }
        for threshold in sorted({0.5, order.threshold})
    }  # fmt: skip
    return Card(
        FORMAT, document.model_id, judging.verdict(gains, block, len(test)), judging.is_better(gains, block, len(test)),
        bars.is_synthetic,
        bars.name, sorted({*data.symbols}), order.size_ns, len(bars.seen), order.rule.kind, order.rule.horizon_bars,
        order.rule.cost, order.fee, dict(document.members.items()), _inputs(data, parts.fit, trained),
        {name: _slice(data, rows) for name, rows in parts._asdict().items()}, dict(data.left_out), block,
        judging.measured(scores, data.labels, test, block), gains, following,
        {name: reliability(scores[name][test], data.labels[test]) for name in (judging.MODEL, judging.RAW)},
        folds, document.expires_ns,
    )  # fmt: skip


def _slice(data: Dataset, rows: Ints) -> Slice:
    return Slice(
        int(data.start_ns[rows].min()), int(data.known_ns[rows].max()), len(rows), float(data.labels[rows].mean())
    )


def _inputs(data: Dataset, fit: Ints, trained: Trained) -> list[Input]:
    """Largest importance first."""
    places = {name: place for place, name in enumerate(data.names)}
    return [
        Input(name, share, deciles(data.inputs[fit, places[name]])) for name, share in trained.importance.items()
    ]


def deciles(values: Floats) -> Deciles:
    """Of training values, as `core.scoring.drift` compares with them."""
    edges = np.unique(np.quantile(values, np.linspace(0.1, 0.9, 9), method="higher"))
    counts = np.bincount(np.searchsorted(edges, values, "right"), minlength=len(edges) + 1)
    return Deciles(edges.tolist(), (counts / len(values)).tolist())


def set_names(text: str) -> list[SetName]:
    """Names of feature sets, as they are typed. Raises ConfigError."""
    known: dict[str, list[SetName]] = {"base": ["base"], "base,flow": ["base", "flow"]}
    if text not in known:
        raise ConfigError(f"--sets: expected base or base,flow, found {text[:60]!r}.")
    return known[text]
