"""When a model is to be trained, and why; what becomes of one that was. Pure: the caller knows the time and the log.

What it does not do: train, read cards (`training.retraining`).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from sofia_streams.model import NS_PER_HOUR

DRIFTED = 0.25
_BARS_MIN, _HORIZONS_MIN, _WINDOWS_MIN = 2_500, 150, 4_000
_LIFETIME_SHARE = 0.8
_PAUSE_SHARE = 0.25
_AGAIN_S, _AGAIN_S_MAX = 60.0, 6 * 3_600.0
Reason = Literal["no model", "age", "drift", "degradation"]


class InForce(NamedTuple):
    """What counts of the model in force."""

    trained_until_ns: int
    expires_ns: int
    is_synthetic: bool


class Situation(NamedTuple):
    """All that decides.

    now_ns        end of the newest bar
    windows       bars in the log, of all symbols together, and how many a first training needs
    drift         largest PSI, over two looks in a row; degraded: symbols with a fault
    challenger    whether one is scored in shadow
    trained_ns    end of the newest bar when a training last ended well; None: never
    is_demo       bars come from the simulator, models from generated ones
    """

    now_ns: int
    model: InForce | None
    windows: int
    windows_needed: int
    drift: float | None
    degraded: int
    challenger: bool
    trained_ns: int | None
    is_demo: bool
    may_ask_venues: bool = False
    """Whether their candles may be fetched for a first model: not where that was tried lately."""

    @property
    def has_bars(self) -> bool:
        """Whether there are enough of our own."""
        return self.windows >= self.windows_needed


def windows_needed(symbols: int, horizon_bars: int) -> int:
    """How many bars of all symbols together a first training needs: its slices, and a test slice that can tell."""
    return max(_WINDOWS_MIN, symbols * max(_BARS_MIN, _HORIZONS_MIN * horizon_bars))


def is_in_force(situation: Situation) -> bool:
    """Whether any model scores."""
    return situation.model is not None and situation.now_ns <= situation.model.expires_ns


def due(situation: Situation, *, after_hours: int) -> Reason | None:
    """Why to train now; None: not now.

    What was trained lately is not trained anew, nor beside a challenger. A synthetic model is not trained for drift or
    degradation: the same generated bars would give the same model.
    """
    model, trained_ns = situation.model, situation.trained_ns
    after_ns = after_hours * NS_PER_HOUR
    if trained_ns is not None and situation.now_ns < trained_ns + _PAUSE_SHARE * after_ns:
        return None
    if model is None or not is_in_force(situation):
        return "no model" if situation.is_demo or situation.has_bars or situation.may_ask_venues else None
    if situation.challenger:
        return None
    lifetime_ns = model.expires_ns - model.trained_until_ns
    since_ns = max(model.trained_until_ns, trained_ns or 0)
    if situation.now_ns >= since_ns + min(after_ns, _LIFETIME_SHARE * lifetime_ns):
        return "age"
    if model.is_synthetic:
        return None
    if situation.drift is not None and situation.drift > DRIFTED:
        return "drift"
    return "degradation" if situation.degraded else None


def pause_s(failures: int) -> float:
    """How long to wait after so many trainings in a row that failed."""
    return min(_AGAIN_S * 2.0 ** (failures - 1), _AGAIN_S_MAX) if failures else 0.0


Fate = Literal["activate", "contest", "keep"]


def fate(situation: Situation, *, is_better: bool, is_same_rule: bool) -> Fate:
    """What becomes of a new model; "keep": it stays in the list for people.

    Beside one in force it must win a contest, whatever its card says. One in force of another rule was activated by
    hand while this one was trained: nothing can be compared, and nobody asked for the rule of before. Where none is in
    force, it is activated if its card says that it is better than the baselines, in the demo in any case.
    """
    if is_in_force(situation):
        return "contest" if is_same_rule else "keep"
    return "activate" if is_better or situation.is_demo else "keep"
