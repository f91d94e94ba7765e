"""Models of the registry as those who watch them need them: loaded once, with what their cards say of the inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from time import monotonic

import structlog

from sofia_streams.core.features.sets import FeatureSet
from sofia_streams.core.monitoring.watching import WatchedModel
from sofia_streams.errors import BadModel
from sofia_streams.training.registry import Registry

_log = structlog.get_logger("trainer")
_KEPT_MAX, _TRY_AGAIN_S = 8, 60.0


class Library:
    """The last few models asked for; `now_s` is any clock that only grows."""

    def __init__(self, registry: Registry, sets: Sequence[FeatureSet], now_s: Callable[[], float] = monotonic) -> None:
        self.registry, self._sets, self._now_s = registry, sets, now_s
        self._asked: dict[str, tuple[WatchedModel | None, float]] = {}

    def __call__(self, model_id: str) -> WatchedModel | None:
        """None where it cannot be loaded, which is said; it is tried again once a minute."""
        if not model_id:
            return None
        known, tried_s = self._asked.pop(model_id, (None, -inf))
        if known is None and self._now_s() - tried_s >= _TRY_AGAIN_S:
            known, tried_s = self._tried(model_id), self._now_s()
        while len(self._asked) >= _KEPT_MAX:
            del self._asked[next(iter(self._asked))]
        self._asked[model_id] = known, tried_s
        return known

    def forget(self, model_id: str) -> None:
        """Its files may have changed: it is read when it is asked for again."""
        self._asked.pop(model_id, None)

    def _tried(self, model_id: str) -> WatchedModel | None:
        try:
            return self._load(model_id)
        except BadModel as error:
            _log.warning("a model that made predictions cannot be loaded", model=model_id, error=str(error))
            return None

    def is_better(self, known: WatchedModel) -> bool:
        """Whether its card says that it is better than the baselines; no where it has none."""
        try:
            return self.registry.card(known.model_id).is_better
        except BadModel:
            return False

    def _load(self, model_id: str) -> WatchedModel:
        """Raises BadModel."""
        stored = self.registry.load(model_id)
        rule, model = stored.document.rule, stored.model(self._sets)
        try:
            card = self.registry.card(model_id)
        except BadModel as error:
            _log.warning(
                "a model without a card: drift of its inputs, and how accurate it should be, are not known",
                model=model_id, error=str(error),
            )  # fmt: skip
            return WatchedModel(model, rule, [])
        inputs = [(one.name, one.importance, one.deciles) for one in card.inputs]
        return WatchedModel(model, rule, inputs, card.test["model"]["accuracy"].low)
