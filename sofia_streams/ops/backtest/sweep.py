"""Settings of paper trading tried side by side: which combinations there are, and which did best. Runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import inf, sqrt

from pydantic import ValidationError

from sofia_streams.core.oms.policies import policy_of
from sofia_streams.core.performance.summary import Statistics
from sofia_streams.errors import ConfigError
from sofia_streams.ops.report.records import SweepTrial
from sofia_streams.settings import Settings

TRIALS_MAX = 200
_ALSO = ("AI_MIN_SIGNAL_CONFIDENCE",)
_FIXED = ("PAPER_SEED", "PAPER_CURRENCY", "PAPER_INSTRUMENTS", "PAPER_INITIAL_BALANCE")
"""What all trials must have in common."""
Axis = tuple[str, list[str]]
Setting = dict[str, str]


def axis_of(text: str) -> Axis:
    """NAME=a,b,c as it is typed. Raises ConfigError."""
    name, equals, values = text.partition("=")
    name, found = name.strip().upper(), [one.strip() for one in values.split(",") if one.strip()]
    known = {one.upper() for one in Settings.model_fields if one.startswith("paper_")} | {*_ALSO}
    if not equals or not found or name not in known - {*_FIXED}:
        raise ConfigError(
            "--sweep: expected NAME=a,b,c with a setting of paper trading, such as PAPER_STOP_LOSS_BPS=0,50,100, "
            f"found {text[:60]!r}. All of them stand in .env.example; {', '.join(_FIXED)} are the same for all."
        )
    by_value = {getattr(with_values(Settings(), {name: one}), name.lower()): one for one in reversed(found)}
    return name, [one for one in dict.fromkeys(found) if one in by_value.values()]


def combinations(axes: Sequence[Axis]) -> list[Setting]:
    """Every one of the values of each axis with every one of the others; [{}] without axes. Raises ConfigError."""
    names = [name for name, _ in axes]
    if len(set(names)) < len(names):
        raise ConfigError(f"--sweep: expected each setting once, found {', '.join(names)}.")
    found = [dict(zip(names, values, strict=True)) for values in product(*(values for _, values in axes))]
    if len(found) > TRIALS_MAX:
        raise ConfigError(
            f"--sweep: expected at most {TRIALS_MAX} combinations, found {len(found)}. The best of so many is luck."
        )
    return found


def with_values(settings: Settings, values: Mapping[str, str]) -> Settings:
    """These settings but for those. Raises ConfigError for a value that cannot be."""
    try:
        found = Settings.model_validate(dict(settings) | {name.lower(): value for name, value in values.items()})
        policy_of(found.paper_policy)
        return found
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(one) for one in problem["loc"]).upper()
        raise ConfigError(f"--sweep: {place}: {problem['msg']}, found {problem['input']!r}.") from None


def trial_of(values: Setting, found: Statistics) -> SweepTrial:
    """One line of the sweep."""
    sharpe = found.ratios.sharpe
    return SweepTrial(
        values, found.total_return, None if sharpe is None else sharpe / sqrt(found.periods_per_year),
        found.drawdown.depth, found.trips.count,
    )  # fmt: skip


def best(trials: Sequence[SweepTrial]) -> int:
    """Place of the highest Sharpe, of equals or without one that of the highest return; the first of equals."""

    def rank(at: int) -> tuple[float, float, int]:
        one = trials[at]
        return (-inf if one.sharpe_day is None else one.sharpe_day, one.total_return, -at)

    return max(range(len(trials)), key=rank)
