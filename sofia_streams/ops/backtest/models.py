"""The model in force at each moment of a backtest: one by name, the log's own activations, or trained along the way.

What it says is a list of activations, which the live steps follow as they follow the log's. What it does not do: score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from aiokafka.errors import KafkaError

from sofia_streams.core.features.sets import FeatureSet
from sofia_streams.core.scoring.document import Document
from sofia_streams.core.signals.in_force import chosen_of, order_of
from sofia_streams.core.signals.predicting import Model
from sofia_streams.errors import BadModel, ConfigError
from sofia_streams.model import NS_PER_SECOND
from sofia_streams.scored import Activation
from sofia_streams.settings import Settings
from sofia_streams.training.activation import said_of_models
from sofia_streams.training.registry import Registry


class Chosen(NamedTuple):
    """Activations in the order they were said, models by id, what a reader must know, and how they were chosen."""

    activations: list[Activation]
    models: Mapping[str, Model]
    warnings: list[str]
    how: str

    def load(self, activation: Activation) -> Model:
        """As `Steps` wants it. Raises BadModel for one that is not there or was refused when it was chosen."""
        found = self.models.get(activation.model_id)
        if found is None:
            raise BadModel(f"model {activation.model_id}: expected it in the registry, found none that scores.")
        return found


def from_the_first(document: Document, sha256: str) -> Activation:
    """In force from the first bar on."""
    return Activation(document.model_id, document.model_id, sha256, 0, 0, "backtest")


def fixed(settings: Settings, sets: Sequence[FeatureSet], model_id: str, span: tuple[int, int]) -> Chosen:
    """One model over the whole period, which is `span`. Raises BadModel."""
    stored = Registry(settings.models_folder()).load(model_id)
    warned = overlap(stored.document, span)
    return Chosen(
        [from_the_first(stored.document, stored.sha256)], {model_id: stored.model(sets)}, warned, f"model {model_id}"
    )


async def as_activated(settings: Settings, sets: Sequence[FeatureSet], span: tuple[int, int]) -> Chosen:
    """As the log says it was; without a broker the newest model of the registry. Raises ConfigError where none is."""
    said, asked = list[Activation](), "no broker is configured or runs"
    if settings.broker_url is not None:
        try:
            said = chosen_activations(await said_of_models(settings))
            asked = "the log has no activation"
        except KafkaError as error:
            asked = f"the broker did not answer ({type(error).__name__})"
    if not said:
        return _newest(settings, sets, span, asked)
    return followed(said, settings, sets, span)


def followed(said: list[Activation], settings: Settings, sets: Sequence[FeatureSet], span: tuple[int, int]) -> Chosen:
    """These activations, with those of their models that can be loaded."""
    registry, models, warned = Registry(settings.models_folder()), dict[str, Model](), list[str]()
    for name, sha256 in {one.model_id: one.sha256 for one in said if one.said_ns < span[1]}.items():
        try:
            models[name] = registry.load(name, sha256).model(sets)
        except BadModel as error:
            warned.append(f"a model that was in force cannot be used, the one before it scores: {error}")
    return Chosen(said, models, warned, "activations of the log")


def chosen_activations(said: Sequence[object]) -> list[Activation]:
    """Those that no worker refused, as they were said."""
    activations = [one for one in said if isinstance(one, Activation)]
    refused = chosen_of(said).refused  # type: ignore[arg-type]  # activations and refusals
    return sorted((one for one in activations if one.activation_id not in refused), key=order_of)


def _newest(settings: Settings, sets: Sequence[FeatureSet], span: tuple[int, int], why: str) -> Chosen:
    names = Registry(settings.models_folder()).names()
    found = None
    for name in reversed(names):
        try:
            found = fixed(settings, sets, name, span)
            break
        except BadModel:
            continue
    if found is None:
        raise ConfigError(
            f"backtest: expected a model, found {len(names)} in {settings.models_folder().name}/ of which none scores "
            "these bars. Give --walk-forward, which trains along the way, or `sofia train` first."
        )
    said = f"the newest model scores the whole period, since {why}: it was not chosen at that time."
    return found._replace(warnings=[said, *found.warnings], how=f"newest {found.how}")


def overlap(document: Document, span: tuple[int, int]) -> list[str]:
    """A warning where the model's data and the period have time in common; [] where it has not."""
    from_ns, until_ns = document.trained_from_ns, document.trained_until_ns
    begin_ns, end_ns = max(from_ns, span[0]), min(until_ns, span[1])
    if begin_ns >= end_ns:
        after = span[1] <= from_ns
        return [f"LOOKS AHEAD: model {document.model_id} was trained on what came after this period."] if after else []
    share = (end_ns - begin_ns) / (span[1] - span[0])
    return [
        f"LOOKS AHEAD: model {document.model_id} was trained on {moment(from_ns)} to {moment(until_ns)}, which is "
        f"{share:.0%} of this period: it has seen what it trades. Nothing follows from this result. Use --walk-forward."
    ]


def moment(at_ns: int) -> str:
    """To the minute, UTC."""
    return f"{datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC):%Y-%m-%d %H:%M}"


OnProgress = Callable[[str, int, int], None]
"""What is being done, how much of it is done, out of how much."""
