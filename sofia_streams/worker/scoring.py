"""The signals worker's hands: models from their folder, rows into its table, and what people want to see of it.

What it does not do: decide anything (`core.signals`), send records (the agent does).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import Any

import structlog

from sofia_streams.core.features.sets import FeatureSet
from sofia_streams.core.signals.predicting import Model
from sofia_streams.core.signals.steps import Step, Steps, symbol_key
from sofia_streams.errors import BadModel
from sofia_streams.model import Alert, Bar
from sofia_streams.obs import metrics
from sofia_streams.scored import Activation, Features, History, Prediction, Refusal, Silence

_log = structlog.get_logger("signals")
_MODELS_MAX = 4


class Shelf:
    """Models that were loaded, the last few that were of use; `load` reads and checks one, and raises BadModel."""

    def __init__(self, load: Callable[[Activation], Model]) -> None:
        self._load = load
        self._loaded: dict[tuple[str, str], Model] = {}

    def __call__(self, activation: Activation) -> Model:
        """Raises BadModel."""
        key = activation.model_id, activation.sha256
        model = self._loaded.pop(key, None) or self._load(activation)
        self._keep(key, model)
        return model

    async def fetch(self, activation: Activation) -> None:
        """Load it beside the event loop; one that is refused is refused again when it comes into force."""
        key = activation.model_id, activation.sha256
        if key in self._loaded:
            return  # every partition says it
        try:
            model = await asyncio.to_thread(self._load, activation)
        except BadModel as error:
            _log.warning("an activated model cannot be loaded", model=activation.model_id, error=str(error))
            return
        self._keep(key, model)

    def _keep(self, key: tuple[str, str], model: Model) -> None:
        while len(self._loaded) >= _MODELS_MAX:
            del self._loaded[next(iter(self._loaded))]
        self._loaded[key] = model


class Scoring:
    """The steps of one worker: `shelf` gives their models, `table` keeps their rows."""

    def __init__(
        self, sets: Sequence[FeatureSet], shelf: Shelf, table: MutableMapping[str, Any], *, confidence_min: float
    ) -> None:
        self._shelf, self._table = shelf, table
        self._steps = Steps(sets, shelf, confidence_min=confidence_min, stored=table)
        self._latest: dict[str, tuple[Features, Prediction]] = {}

    def forget(self) -> None:
        """Another process may have these partitions now."""
        self._steps.forget()
        self._latest.clear()

    async def apply(self, record: Bar | Activation | History | Silence, partition: int, place: str) -> Step:
        """One record of `bars`; the rows that it changes stand in the table."""
        needed = self._steps.needed(record, partition)
        if needed is not None:
            await self._shelf.fetch(needed)
        step = self._steps.apply(record, partition, place)
        for key, row in step.rows.items():
            self._table[key] = row
        if step.outputs is not None:
            features, prediction, _ = step.outputs
            self._latest[symbol_key(features.market, features.symbol)] = (features, prediction)
            outcome = prediction.abstention or prediction.prediction_class
            metrics.PREDICTIONS.labels(features.symbol, outcome).inc()
        return step

    def symbols(self) -> list[dict[str, Any]]:
        """Of the table's page: every symbol, its last bar, whether its sets are ready, and the last prediction."""
        return [self._shown(key, with_values=False) for key in sorted(self._latest)]

    def symbol(self, key: str) -> dict[str, Any] | None:
        """One of them with every feature by name; None where there is none."""
        return self._shown(key, with_values=True) if key in self._latest else None

    def _shown(self, key: str, *, with_values: bool) -> dict[str, Any]:
        features, prediction = self._latest[key]
        shown: dict[str, Any] = {
            "key": key,
            "start_ns": features.start_ns,
            "quality": features.quality,
            "ready": {name: found.is_ready for name, found in features.sets.items()},
            "prediction": prediction,
        }
        if with_values:
            shown["features"] = {
                one.name: dict(zip([found.name for found in one.features], features.sets[one.name].values, strict=True))
                for one in self._steps.sets
            }
        return shown


def observe(headers: Iterable[tuple[str, bytes]] | Mapping[str, bytes] | None, end_ns: int, _: object = None) -> None:
    """A prediction is in the log now: how long since the record that closed its bar came in, and since the bar's end.

    `headers` are those of the bar, as the client gives them: pairs, or None.
    """
    received_ms = dict(headers or {}).get("received_ms")
    if received_ms is not None:
        now_ms = time.time() * 1e3
        metrics.STAGE_MS.labels("predicted").observe(now_ms - int(received_ms))
        metrics.STAGE_MS.labels("bar_to_prediction").observe(now_ms - end_ns / 1e6)


def told_of(step: Step, worker: str, at_ns: int) -> list[Refusal | Alert]:
    """What is said of models that a step refused."""
    found: list[Refusal | Alert] = []
    for activation, error in step.refused:
        text = f"{worker}: model {activation.model_id} cannot be loaded; the one before it stays in force. {error}"
        _log.error(text)
        found.append(Refusal(activation.activation_id, activation.model_id, worker, str(error), at_ns))
        found.append(Alert(f"model refused {activation.activation_id}", "critical", worker, text, at_ns))
    return found
