"""Features and predictions of one symbol as the signals worker writes them, for tests of who watches them."""

import math
from functools import cache
from random import Random

import msgspec
from signal_bars import BEGIN_NS, SETS, a_model, minute

from sofia_streams.core.monitoring.watching import WatchedModel
from sofia_streams.core.scoring.drift import Deciles
from sofia_streams.core.scoring.labels import Rule
from sofia_streams.core.signals.steps import Steps
from sofia_streams.scored import Activation

HORIZON = 15
SWAP_BAR = 1_300


@cache
def models():
    """Two, by id: they say different things of the same bars."""
    found = [a_model("forward-1-00000001"), a_model("forward-2-00000002", tilt=0.4)]
    return {one.document.model_id: one for one in found}


def known_of(model_id):
    model = models().get(model_id)
    if model is None:
        return None
    names = model.document.inputs
    inputs = [(name, 1.0 / len(names), Deciles([0.0], [0.5, 0.5])) for name in names]
    return WatchedModel(model, Rule("forward", HORIZON), inputs)


@cache
def records(minutes, seed=1, hole=None):
    """[(features, prediction)]; the second model is in force from bar `SWAP_BAR` on; no bar stands in `hole`."""
    draw, price, found = Random(seed), 100.0, []
    first, second = models()
    steps = Steps(SETS, lambda activation: models()[activation.model_id], confidence_min=0.6)
    steps.apply(Activation("a", first, "", 0, 0), 0, "")
    steps.apply(Activation("b", second, "", BEGIN_NS + SWAP_BAR * 60 * 10**9, 0), 0, "")
    for number in range(minutes):
        price *= math.exp(draw.gauss(0, 0.001))
        if hole is not None and number in hole:
            continue
        quality = "gap" if draw.random() < 0.02 else "complete"
        close = None if draw.random() < 0.02 else round(price, 4)
        for bar in minute(number, close, quality=quality):
            step = steps.apply(bar, 0, f"bars/0/{number}")
            if step.outputs is not None:
                found.append(step.outputs[:2])
    return found


def interleaved(pairs, seed):
    """Both topics in their own order, with stretches that come again."""
    draw = Random(seed)
    streams = [[one for one, _ in pairs], [one for _, one in pairs]]
    at, found = [0, 0], []
    while any(place < len(stream) for place, stream in zip(at, streams, strict=True)):
        which = draw.randrange(2)
        for _ in range(draw.randrange(1, 20)):
            if at[which] < len(streams[which]):
                found.append(streams[which][at[which]])
                at[which] += 1
        if draw.random() < 0.2:
            at[which] = max(0, at[which] - draw.randrange(30))
    return found


def by_another_version(features, width=None):
    """The same record as a version with other features under these names wrote it; `width`: so many of them."""
    sets = {
        name: msgspec.structs.replace(one, schema="0" * 16, values=one.values[:width])
        for name, one in features.sets.items()
    }
    return msgspec.structs.replace(features, sets=sets)
