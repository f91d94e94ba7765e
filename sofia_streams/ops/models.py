"""Puts trained models in force and back, for the command line: checked first, so that no worker has to refuse one."""

from __future__ import annotations

import time
from typing import Any

from aiokafka.errors import KafkaError

from sofia_streams.core.bars.windows import SIZES_NS
from sofia_streams.core.features.sets import sets_of
from sofia_streams.core.signals.in_force import chosen_of, in_force
from sofia_streams.errors import BadModel
from sofia_streams.ops.rescoring import rescore
from sofia_streams.ops.workers import Lag
from sofia_streams.settings import Settings
from sofia_streams.training.activation import Activated, activate, before_last, said_of_models
from sofia_streams.training.registry import Registry


async def activate_model(
    settings: Settings, model_id: str, *, reason: str, from_ns: int | None = None
) -> dict[str, Any]:
    """Put a model in force for bars that end at `from_ns` or later (None: now); what was said, for people.

    Raises BadModel for one that is damaged, has expired, or is of another bar size or other features; KafkaError.
    """
    stored = Registry(settings.models_folder()).load(model_id)
    stored.model(sets_of(SIZES_NS[settings.signals_bar_size]))
    if stored.document.expires_ns < max(from_ns or 0, time.time_ns()):
        raise BadModel(f"model {model_id}: expected one that still scores, found an expired one. Train a new one.")
    return shown(await activate(settings, stored, reason=reason, from_ns=from_ns))


async def roll_back(settings: Settings, *, reason: str) -> dict[str, Any]:
    """Put the model in force again that was before the last one. As `activate_model`; ConfigError where none was."""
    before = before_last(await said_of_models(settings))
    return await activate_model(settings, before.model_id, reason=reason)


async def model_in_force(settings: Settings) -> str | None:
    """The id of the model that a bar which ends now is scored by; None where there is none, or no broker to ask."""
    if settings.broker_url is None:
        return None
    try:
        found = in_force(chosen_of(await said_of_models(settings)), time.time_ns())
    except KafkaError:
        return None
    return None if found is None else found.model_id


async def rescored(settings: Settings) -> dict[str, Any]:
    """Everything that the worker has scored so far, computed again and compared. Raises as `rescore`."""
    async with Lag(settings) as lag:
        reached = await lag.reached("signals")
    found = await rescore(settings, reached)
    return {"schema": 1, "equal": found.is_equal, **found._asdict()}


def shown(activated: Activated) -> dict[str, Any]:
    """An activation for people and programs, and what it cancels."""
    activation, cancelled = activated
    return {
        "schema": 1,
        "model": activation.model_id,
        "activation": activation.activation_id,
        "from_ns": activation.from_ns,
        "reason": activation.reason,
        "cancels": [{"model": one.model_id, "from_ns": one.from_ns} for one in cancelled],
    }
