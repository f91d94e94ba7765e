"""Models of the registry as those who watch them need them: loaded once, with what their cards say of the inputs."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from sofia_streams.core.features.sets import FeatureSet
from sofia_streams.core.monitoring.watching import Known
from sofia_streams.core.scoring.document import Document
from sofia_streams.core.scoring.labels import LabelKind, Rule
from sofia_streams.errors import BadModel
from sofia_streams.training.registry import Registry

_log = structlog.get_logger("trainer")
_KEPT_MAX = 8
_KINDS: dict[str, LabelKind] = {"forward": "forward", "barrier": "barrier"}


class Library:
    """The last few models asked for."""

    def __init__(self, registry: Registry, sets: Sequence[FeatureSet]) -> None:
        self.registry, self._sets = registry, sets
        self._loaded: dict[str, Known] = {}
        self._refused: dict[str, str] = {}

    def __call__(self, model_id: str) -> Known | None:
        """None where it cannot be loaded, which is said once; it is tried again each time it is asked for."""
        if not model_id:
            return None
        if model_id not in self._loaded:
            try:
                found = self._load(model_id)
            except BadModel as error:
                if self._refused.get(model_id) != str(error):
                    self._refused = {model_id: str(error)}
                    _log.warning("a model that made predictions cannot be loaded", model=model_id, error=str(error))
                return None
            while len(self._loaded) >= _KEPT_MAX:
                del self._loaded[next(iter(self._loaded))]
            self._loaded[model_id] = found
        return self._loaded[model_id]

    def is_better(self, known: Known) -> bool:
        """Whether its card says that it is better than the baselines; no where it has none."""
        try:
            return self.registry.card(known.model_id).is_better
        except BadModel:
            return False

    def _load(self, model_id: str) -> Known:
        """Raises BadModel."""
        stored = self.registry.load(model_id)
        try:
            inputs = [(one.name, one.importance, one.deciles) for one in self.registry.card(model_id).inputs]
        except BadModel as error:
            _log.warning("a model without a card: drift of its inputs is not known", model=model_id, error=str(error))
            inputs = []
        rule = rule_of(stored.document)
        return Known(stored.model(self._sets), rule, inputs)


def rule_of(document: Document) -> Rule:
    """What a model predicts. Raises BadModel for a kind of label that this version does not know."""
    if document.label not in _KINDS:
        raise BadModel(
            f"model {document.model_id}: expected a label among {', '.join(_KINDS)}, found {document.label[:40]!r}. "
            "Another version made it: train again."
        )
    return Rule(_KINDS[document.label], document.horizon_bars, document.cost)
