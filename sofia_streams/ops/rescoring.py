"""Everything that was scored, scored again from the log and compared: features, predictions and signals, byte for byte.

The same steps as the worker takes fold `bars` from its first record on, with the models of the registry.
What stands in the log twice is one record where it is the same: outputs are sent again after a crash. Where retention
has cut `bars`, memory of features begins later here than it did there, so that comparing makes no sense: refused.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from typing import NamedTuple

from aiokafka import TopicPartition

from sofia_streams import codec, topics
from sofia_streams.core.bars.windows import SIZES_NS
from sofia_streams.core.features.sets import sets_of
from sofia_streams.core.signals.predicting import Model
from sofia_streams.core.signals.steps import Steps
from sofia_streams.errors import BadRecord, ConfigError
from sofia_streams.logread import places, reader, records_between, whole_topic
from sofia_streams.scored import Activation, Prediction, Silence
from sofia_streams.settings import Settings
from sofia_streams.topics import partition_name, place_of
from sofia_streams.training.registry import Registry

_OUTPUTS = (topics.FEATURES, topics.PREDICTIONS, topics.SIGNALS)
_EXAMPLES = 5
Key = tuple[str, str, int]
"""Topic, symbol and start of the bar."""


class Rescored(NamedTuple):
    """What came of it: records computed, of them predictions that were scored; those that are missing in the log, stand
    there without being computed, or otherwise; a digest of all that was computed; a few in words.
    """

    computed: int
    scored: int
    missing: int
    surplus: int
    different: int
    digest: str
    examples: list[str]

    @property
    def is_equal(self) -> bool:
        """Whether the log has exactly what is computed from it, and that is not nothing."""
        return self.computed > 0 and not (self.missing or self.surplus or self.different)


async def rescore(settings: Settings, reached: dict[TopicPartition, int] | None = None) -> Rescored:
    """`reached` is up to where of each partition of `bars` the worker has come; None: to its end.

    Raises ConfigError where `bars` does not begin with its first record, KafkaError. A model that is missing from the
    registry since is refused here, and then predictions differ.
    """
    logged = await _logged(settings)
    found: dict[Key, bytes] = {}
    scored = await _computed(settings, reached, found)
    missing = sorted(found.keys() - logged.keys())
    surplus = sorted(logged.keys() - found.keys())
    if reached is not None:  # outputs are in the log before the worker says how far it has come
        newest = {symbol: start_ns for _, symbol, start_ns in sorted(found, key=lambda key: key[2])}
        surplus = [key for key in surplus if key[2] <= newest.get(key[1], -1)]
    different = sorted(key for key in found.keys() & logged.keys() if logged[key] != {found[key]})
    digest = blake2b(digest_size=16)
    for key in sorted(found):
        digest.update(found[key])
    examples = [
        f"{topic} of {symbol} at {start_ns}: {what}"
        for what, keys in (("missing", missing), ("not computed", surplus), ("different", different))
        for topic, symbol, start_ns in keys[:_EXAMPLES]
    ]
    return Rescored(len(found), scored, len(missing), len(surplus), len(different), digest.hexdigest(), examples)


async def _logged(settings: Settings) -> dict[Key, set[bytes]]:
    """Digests of what the log has; more than one of a key where its records differ."""
    found: dict[Key, set[bytes]] = {}
    for topic in _OUTPUTS:
        async for value in whole_topic(settings, topic):
            try:
                record = codec.decode_signals(value) if topic is topics.SIGNALS else codec.decode_scored(value)
            except BadRecord:
                continue  # its readers have quarantined it
            if isinstance(record, Silence):
                continue
            found.setdefault((topic.name, record.symbol, record.start_ns), set()).add(_digest(value))
    return found


async def _computed(
    settings: Settings, reached: dict[TopicPartition, int] | None, found: dict[Key, bytes]
) -> int:
    """Digests by key into `found`; how many predictions have a score."""
    sets, load = sets_of(SIZES_NS[settings.signals_bar_size]), _loader(settings)
    steps = Steps(sets, load, confidence_min=float(settings.ai_min_signal_confidence))
    scored, chosen = 0, places(settings, topics.BARS)
    async with reader(settings) as consumer:
        first = await consumer.beginning_offsets(chosen)
        if cut := [partition_name(place) for place, offset in first.items() if offset]:
            raise ConfigError(
                f"rescoring: expected `bars` from its first record on, found that retention has cut {', '.join(cut)}. "
                "Features remember what came before, so they cannot be computed again from here."
            )
        async for message in records_between(consumer, first, reached or await consumer.end_offsets(chosen)):
            try:
                record = codec.decode_bars(message.value)
            except BadRecord:
                continue
            outputs = steps.apply(record, message.partition, place_of(message)).outputs or ()
            for topic, one in zip(_OUTPUTS, outputs, strict=False):
                found[topic.name, one.symbol, one.start_ns] = _digest(codec.encode(one))  # type: ignore[attr-defined]
                scored += isinstance(one, Prediction) and one.abstention is None
    return scored


def _loader(settings: Settings) -> Callable[[Activation], Model]:
    """As the worker loads models, each once: by id and hash."""
    registry, sets = Registry(settings.models_folder()), sets_of(SIZES_NS[settings.signals_bar_size])

    @cache
    def load(model_id: str, sha256: str) -> Model:
        return registry.load(model_id, sha256).model(sets)

    return lambda activation: load(activation.model_id, activation.sha256)


def _digest(value: bytes) -> bytes:
    return blake2b(value, digest_size=12).digest()
