"""Features in, prediction and signal out: the model in force scores, or abstains and says why. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from operator import itemgetter

from sofia_streams.core.features.sets import FeatureSet
from sofia_streams.core.scoring.document import Document
from sofia_streams.core.scoring.scorer import Scorer
from sofia_streams.errors import BadModel
from sofia_streams.scored import Abstention, Action, Features, Prediction, Signal, Value


class Model:
    """A scorer, and where its inputs stand in the feature sets."""

    def __init__(self, scorer: Scorer, sets: Sequence[FeatureSet]) -> None:
        """Raises BadModel where it is of another bar size, or was trained on other features than these sets give."""
        self.scorer, self.document = scorer, scorer.document
        document = scorer.document
        self.about = document.model_type, document.model_id, document.label, document.horizon_bars
        self._places = places_of(self.document, sets)
        names = sorted({name for name, _ in self._places})
        self._only = _only_set(self._places) if len(names) == 1 else None
        self._schemas = [(name, self.document.schemas[name]) for name in names]

    def inputs(self, features: Features) -> list[float] | None:
        """In the order of the model's inputs; None where one is not known.

        So it is where a record was written by a version that had other features under these names: places differ.
        """
        for name, schema in self._schemas:
            found = features.sets.get(name)
            if found is None or found.schema != schema:
                return None
        if self._only is not None:
            name, chosen = self._only
            row = [*chosen(features.sets[name].values)]
        else:
            row = [features.sets[name].values[place] for name, place in self._places]
        return None if None in row else row  # type: ignore[return-value]  # all are known


def _only_set(places: Sequence[tuple[str, int]]) -> tuple[str, Callable[[Sequence[Value]], Iterable[Value]]] | None:
    """Of inputs that are all of one set: its name, and what picks them; None of a single input, which is no tuple."""
    if len(places) < 2:
        return None
    return places[0][0], itemgetter(*(place for _, place in places))


def places_of(document: Document, sets: Sequence[FeatureSet]) -> list[tuple[str, int]]:
    """Set and place of each input. Raises BadModel."""
    by_name = {one.name: one for one in sets}
    if document.size_ns != sets[0].size_ns:
        raise _other(document, f"bars of {sets[0].size_ns} ns (SIGNALS_BAR_SIZE)", f"{document.size_ns} ns")
    for name, schema in document.schemas.items():
        ours = by_name[name].schema if name in by_name else "no such set"
        if ours != schema:
            raise _other(document, f"features {name} of schema {ours}", schema)
    known = {f"{one.name}.{found.name}": (one.name, at) for one in sets for at, found in enumerate(one.features)}
    strange = [name for name in document.inputs if name not in known or name.partition(".")[0] not in document.schemas]
    if strange:
        raise _other(document, "inputs that are among the features", ", ".join(strange)[:200])
    return [known[name] for name in document.inputs]


def predict(features: Features, model: Model | None, place: str, *, is_refused: bool = False) -> Prediction:
    """Of one bar, whose record stands at `place`; `is_refused`: there is a model, but none that could be loaded.

    Raises BadModel where the model makes no probability of the bar's features.
    """
    row = None if model is None else model.inputs(features)
    why = _abstains(features, model, is_known=row is not None, is_refused=is_refused)
    same = (features.market, features.symbol, features.size_ns, features.start_ns, place)
    if model is None:
        return Prediction(*same, abstention=why)
    document = model.document
    if why is not None or row is None:
        return Prediction(*same, *model.about, abstention=why, is_synthetic=document.is_synthetic)
    raw, calibrated = model.scorer.score(row)
    is_up = calibrated > 0.5
    name, confidence = ("up", calibrated) if is_up else (document.other, 1.0 - calibrated)
    return Prediction(*same, *model.about, raw, calibrated, name, confidence, is_synthetic=document.is_synthetic)


def _abstains(features: Features, model: Model | None, *, is_known: bool, is_refused: bool) -> Abstention | None:
    """A model abstains rather than guess: on a bar that lacks trades, on unknown features, past its own end."""
    if model is None:
        return "refused" if is_refused else "no model"
    if features.end_ns > model.document.expires_ns:
        return "expired"
    if features.quality == "gap" or features.quality == "stale":
        return features.quality
    if features.candle is None or features.candle.is_quiet:
        return "no trades"
    return None if is_known else "not ready"


def signal_of(prediction: Prediction, close: Decimal | None, *, confidence_min: float) -> Signal:
    """What to do: go with a prediction that is confident enough, else hold. `close` is the bar's."""
    sure = prediction.confidence
    action: Action
    reason: str
    if prediction.abstention is not None or sure is None:
        action, reason = "abstain", str(prediction.abstention)
    elif not sure >= confidence_min:  # nothing is done on what is no number
        action, reason = "hold", f"confidence {sure:.3f} below {confidence_min:g}"
    elif prediction.prediction_class == "up":
        action, reason = "buy", "up"
    else:
        action, reason = ("sell", "down") if prediction.prediction_class == "down" else ("hold", "not up")
    return Signal(
        prediction.market, prediction.symbol, prediction.size_ns, prediction.start_ns, action, reason,
        close, sure, prediction.model_id, prediction.place, prediction.is_synthetic,
    )  # fmt: skip


def _other(document: Document, expected: str, found: str) -> BadModel:
    return BadModel(
        f"model {document.model_id}: expected {expected}, found {found}. Train a model for them, or activate another."
    )
