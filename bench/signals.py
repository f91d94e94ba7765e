"""From trades to a prediction that the log has: every worker under a steady load, bars of a second, a model in force.

Two latencies, of consolidated bars: from receipt of the record that closed the bar to the prediction's acknowledgement
by the log, and from the bar's end to the same. Models are swapped meanwhile; afterwards everything is scored again from
the log and compared. What it does not do: time scoring or indicators alone (`scoring`,
`indicators`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from bench import live
from bench.scoring import LEAVES, ROWS, TREES, Stock, data
from sofia_streams.errors import DependencyDown
from sofia_streams.model import NS_PER_SECOND
from sofia_streams.ops.models import rescored
from sofia_streams.scored import Abstention
from sofia_streams.settings import Settings
from sofia_streams.training.activation import activate
from sofia_streams.training.registry import Registry, Stored

STAGES = {"receipt_to_prediction_ms": "predicted", "bar_end_to_prediction_ms": "bar_to_prediction"}
"""What it is called here, and the stage of `sofia_stage_ms`."""
_SCORED_S_MAX, _LOOK_EVERY_S = 180.0, 1.0
_SWAP_EVERY_S = 5.0
"""Two models take turns, so that what is measured is scoring with swaps."""
ABSTENTIONS = frozenset(get_args(Abstention))


async def run(
    settings: Settings, data_dir: Path, say: Callable[[str], None], *, rate: float, seconds: float
) -> dict[str, Any]:
    """`settings` has the addresses of running servers; `rate` is trades a second and venue. Leaves nothing behind."""
    settings = settings.model_copy(update={"signals_bar_size": "1s", "models_dir": data_dir / "bench-models"})
    say(f"training {TREES} trees of {LEAVES} leaves, a logistic regression and their calibration, twice")
    registry = Registry(settings.models_folder())
    stored, other = [await asyncio.to_thread(trained, registry, seed) for seed in (1, 2)]
    swaps = 0

    async def prepare(chosen: Settings) -> None:
        await activate(chosen, stored, reason="benchmark", from_ns=0)

    async def swap(chosen: Settings) -> None:
        nonlocal swaps
        while True:
            await asyncio.sleep(_SWAP_EVERY_S)
            await activate(chosen, (other, stored)[swaps % 2], reason="benchmark")
            swaps += 1

    async def compared(chosen: Settings) -> dict[str, Any]:
        say("computing everything that was scored again from the log")
        return {"swaps": swaps, "rescored": await rescored(chosen)}

    async def warm(ports: Mapping[str, int]) -> None:
        say("waiting until bars are scored: features need 61 bars")
        await until_scored(lambda: live.outcomes(ports["signals"]))

    hooks: dict[str, Any] = {"prepare": prepare, "warm": warm, "beside": swap, "after": compared}
    found = await live.run(settings, data_dir, say, rate=rate, seconds=seconds, **hooks)
    return {"model": stored.document.model_id, "bar_size": "1s", **judged(found)}


def trained(registry: Registry, seed: int = 1) -> Stored:
    """A model on generated bars, saved as every model is; another seed, another model."""
    made = data(size_ns=NS_PER_SECOND, seed=seed)
    stock = Stock(made.inputs, made.labels)
    return registry.save(*stock.document(made.names, made.inputs[-ROWS:], size_ns=NS_PER_SECOND), {})


async def until_scored(outcomes: Callable[[], dict[str, int]], *, within_s: float = _SCORED_S_MAX) -> None:
    """Until over half of the bars of a look are scored, which none is before features are ready.

    Raises DependencyDown.
    """
    deadline_s = time.monotonic() + within_s
    before = await asyncio.to_thread(outcomes)
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        after = await asyncio.to_thread(outcomes)
        if scored_share({name: count - before.get(name, 0) for name, count in after.items()}) > 0.5:
            return
        if time.monotonic() > deadline_s:
            raise DependencyDown(
                f"signals: expected bars to be scored within {within_s:.0f} s, found {after or 'no bar'}; its log says "
                "why"
            )
        before = after


def scored_share(outcomes: Mapping[str, int]) -> float:
    """Of all bars, 0 to 1; 0 where there is none."""
    scored = sum(count for name, count in outcomes.items() if name not in ABSTENTIONS)
    return scored / max(1, sum(outcomes.values()))


def judged(found: Mapping[str, Any]) -> dict[str, Any]:
    """Of a live run: the two latencies, then the rest.

    Raises DependencyDown where no prediction was timed.
    """
    stages = found["latency_ms"]
    if not stages.get("predicted", {}).get("records"):
        raise DependencyDown(f"signals: expected timed predictions, found the stages {', '.join(stages) or 'none'}")
    return {
        **{name: stages[stage] for name, stage in STAGES.items()},
        "scored_share": round(scored_share(found["predictions"]), 4),
        **found,
    }
