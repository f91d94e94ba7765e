"""Says which model is in force from when: a record in `models`, kept for ever, and in every partition of `bars`.

Who follows `bars` meets it in order with the bars, so all swap at the same one. What it does not do: judge models.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from aiokafka import TopicPartition

from sofia_streams import codec, topics
from sofia_streams.core.signals.in_force import cancelled_by, order_of
from sofia_streams.errors import BadRecord, ConfigError
from sofia_streams.logread import places, whole_topic
from sofia_streams.logwrite import Written, write_records
from sofia_streams.scored import Activation, Refusal
from sofia_streams.settings import Settings
from sofia_streams.training.registry import Stored


class Activated(NamedTuple):
    """What was said, and what had been said earlier, was to begin later, and now never will."""

    activation: Activation
    cancelled: list[Activation]


async def activate(settings: Settings, stored: Stored, *, reason: str, from_ns: int | None = None) -> Activated:
    """Put a model in force for bars that end at `from_ns` or later (None: now); all of it in the log when this returns.

    What others were to be in force then or later is cancelled: the word said last counts. Bars that stand in the log
    already are never scored anew, whatever their time. Raises BadModel where it does not score as it was trained,
    KafkaError.
    """
    stored.scorer()
    now_ns, model_id = time.time_ns(), stored.document.model_id
    begins_ns = now_ns if from_ns is None else from_ns
    before = await said_of_models(settings)
    later_ns = [one.said_ns + 1 for one in before if isinstance(one, Activation)]
    said_ns = max([now_ns, *later_ns])  # clocks of two machines may differ
    activation = Activation(f"{model_id}@{said_ns}", model_id, stored.sha256, begins_ns, said_ns, reason)
    await write_records(settings, records_of(activation, places(settings, topics.BARS)))
    return Activated(activation, cancelled_by(activation, before))


def records_of(activation: Activation, bars: Sequence[TopicPartition]) -> list[Written]:
    """In order: `models` has it last, so that nobody takes it for done where writing ended in between."""
    now_ns = activation.said_ns
    said = [Written(topics.BARS, "models", activation, now_ns, place.partition) for place in bars]
    return [*said, Written(topics.MODELS, activation.model_id, activation, now_ns)]


async def said_of_models(settings: Settings) -> list[Activation | Refusal]:
    """Every record of `models`, oldest first. Raises KafkaError."""
    found = []
    async for value in whole_topic(settings, topics.MODELS):
        try:
            found.append(codec.decode_models(value))
        except BadRecord:
            continue  # whoever wrote it is not one of us; what is in force stands in `bars` as well
    return found


def before_last(said: list[Activation | Refusal]) -> Activation:
    """The activation to go back to: of the last model that is another one. Raises ConfigError where there is none."""
    activations = sorted((one for one in said if isinstance(one, Activation)), key=order_of)
    others = [one for one in activations if one.model_id != activations[-1].model_id]
    if not others:
        raise ConfigError(
            "models rollback: expected a model that was in force before, found none. `sofia models list` shows those "
            "that can be activated."
        )
    return others[-1]
