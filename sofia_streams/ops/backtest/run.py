"""A whole backtest: bars, models, one pass with every setting tried, baselines, statistics, the report.

What it does not do: read captures and trades (the paper account of a replay does that), print.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from sofia_streams.core.bars.windows import SIZES_NS
from sofia_streams.core.features.sets import FeatureSet, sets_of
from sofia_streams.core.oms.money import is_quoted_in
from sofia_streams.core.oms.recorded import recorded
from sofia_streams.core.performance.summary import Told, tell
from sofia_streams.core.signals.steps import Steps
from sofia_streams.errors import ConfigError
from sofia_streams.ingest.rest.lots import kept_lots
from sofia_streams.ops.backtest import baselines, models
from sofia_streams.ops.backtest import sweep as sweeps
from sofia_streams.ops.backtest.bars import windows, with_pairs
from sofia_streams.ops.backtest.models import Chosen, moment
from sofia_streams.ops.backtest.one_pass import Lots, Pass, Trial, run
from sofia_streams.ops.backtest.walk import Walk, walked
from sofia_streams.ops.report.making import Run, make_report
from sofia_streams.ops.report.records import Baseline, Report, Sweep
from sofia_streams.paper_rules import paper_rules
from sofia_streams.settings import Settings
from sofia_streams.training.dataset import Seen
from sofia_streams.training.sources.bars import Bars


class Asked(NamedTuple):
    """What is to be tested.

    from_ns, until_ns  windows that end after the one and not after the other are traded; earlier bars warm features up
    model_id, walk     a fixed model, or models trained along the way; neither: as the log says they were in force
    venue              where orders go: its fees, its lots
    axes               settings that are tried in all combinations
    draws              of the random baseline; 0: no baselines
    """

    size: str
    from_ns: int | None = None
    until_ns: int | None = None
    model_id: str | None = None
    walk: Walk | None = None
    venue: str | None = None
    axes: Sequence[sweeps.Axis] = ()
    draws: int = 20


class Backtest(NamedTuple):
    """What came of it. `bars_per_s` is of the pass that scores and trades; trade by trade, of all that was done."""

    report: Report
    bars: int
    bars_per_s: float
    elapsed_s: float
    outcomes: Mapping[str, int]
    models: str
    hashes: Mapping[str, str] = MappingProxyType({})
    """Of orders, fills and the account, as `sofia replay` has them; of recordings only."""


class _Setup(NamedTuple):
    """What every pass needs."""

    seen: Sequence[Seen]
    sets: Sequence[FeatureSet]
    settings: Settings
    venue: str
    span: tuple[int, int]
    lots: Lots

    def run(self, chosen: Chosen | None, trials: Sequence[Trial], stage: str, report: models.OnProgress) -> Pass:
        """One pass; without `chosen` nothing is scored."""
        steps = None if chosen is None else Steps(self.sets, chosen.load, confidence_min=0.0)
        market = self.settings.crypto_market
        found = windows(self.seen, self.sets, venue=self.venue, market=market, until_ns=self.span[1])
        total = len(self.seen)
        return run(
            found, steps, chosen.activations if chosen else (), trials, from_ns=self.span[0],
            tell=lambda bars: report(stage, bars, total),
        )  # fmt: skip


def backtest(bars: Bars, settings: Settings, asked: Asked, report: models.OnProgress) -> Backtest:
    """Raises ConfigError where nothing can be tested, BadModel."""
    began_s = time.monotonic()
    tried = sweeps.combinations(asked.axes)
    setup = _setup(bars, settings, asked)
    every = [sweeps.with_values(setup.settings, values) for values in tried]
    chosen = _chosen(setup, asked, report, is_synthetic=bars.is_synthetic)
    setup, chosen = _begun(setup, chosen)
    trials = [Trial(paper_rules(one), setup.lots) for one in every]
    passed_s = time.monotonic()
    passed = setup.run(chosen, trials, "trading", report)
    pace = passed.bars / max(1e-9, time.monotonic() - passed_s)
    _check(passed, chosen, trials)
    report("statistics", 0, 1)
    told = [tell(one.written.accounts(), one.written.fills, one.written.orders(), draws=0) for one in trials]
    sweep = None
    if len(tried) > 1:
        found = [sweeps.trial_of(values, one.statistics) for values, one in zip(tried, told, strict=True)]
        sweep = Sweep(found, sweeps.best(found))
    at = sweep.chosen if sweep else 0
    simpler = _baselines(setup, trials[at], told[at], asked.draws, report)
    made = _report(bars, setup, chosen, passed, trials[at], sweep, simpler)
    elapsed_s = time.monotonic() - began_s
    return Backtest(made, passed.bars, pace, elapsed_s, dict(passed.outcomes.most_common()), chosen.how)


def _setup(bars: Bars, settings: Settings, asked: Asked) -> _Setup:
    sets, seen = sets_of(SIZES_NS[asked.size]), with_pairs(bars.seen, settings)
    first_ns, last_ns = min(one.start_ns for one in seen), max(one.start_ns for one in seen) + sets[0].size_ns
    span = max(asked.from_ns or 0, first_ns), min(asked.until_ns or last_ns, last_ns)
    if span[0] >= span[1]:
        raise ConfigError(
            "backtest: expected bars between --from and --to, found those from "
            f"{moment(first_ns)} to {moment(last_ns)}."
        )
    venue = asked.venue or settings.crypto_exchanges[0]
    currency = settings.paper_currency
    symbols = sorted({one.symbol for one in seen})
    if not any(is_quoted_in(symbol, currency) for symbol in symbols):
        raise ConfigError(
            f"backtest: expected at least one pair in {currency} (PAPER_CURRENCY), found {', '.join(symbols)[:200]}."
        )
    settings = settings.model_copy(update={"crypto_exchanges": (venue,)})
    return _Setup(seen, sets, settings, venue, span, kept_lots(settings))


def _chosen(setup: _Setup, asked: Asked, report: models.OnProgress, *, is_synthetic: bool) -> Chosen:
    if asked.walk is not None:
        return walked(setup.seen, setup.sets, asked.walk, setup.span, report, is_synthetic=is_synthetic)
    if asked.model_id is not None:
        return models.fixed(setup.settings, setup.sets, asked.model_id, setup.span)
    return asyncio.run(models.as_activated(setup.settings, setup.sets, setup.span))


def _begun(setup: _Setup, chosen: Chosen) -> tuple[_Setup, Chosen]:
    """The period from the first model on: what is compared begins at the same moment."""
    first_ns = max(chosen.activations[0].said_ns, chosen.activations[0].from_ns)
    if not setup.span[0] < first_ns < setup.span[1]:
        return setup, chosen
    said = f"The period begins at {moment(first_ns)}: no model was in force before."
    return setup._replace(span=(first_ns, setup.span[1])), chosen._replace(warnings=[said, *chosen.warnings])


def _check(passed: Pass, chosen: Chosen, trials: Sequence[Trial]) -> None:
    scored = sum(count for name, count in passed.outcomes.items() if name in chosen.models)
    if not scored:
        raise ConfigError(
            f"backtest: expected at least one bar to be scored, found none; of the bars: "
            f"{dict(passed.outcomes.most_common()) or 'no bar in the period'} ({chosen.how}). Give --walk-forward, or "
            "--model with one that was made for this time."
        )
    if not trials[0].written.accounts():
        raise ConfigError("backtest: expected at least a full minute of bars, found less.")


def _baselines(setup: _Setup, trial: Trial, told: Told, draws: int, report: models.OnProgress) -> list[Baseline]:
    """Buy and hold, and so many draws of random entries, in one pass that scores nothing."""
    if not draws:
        return []
    size_ns = setup.sets[0].size_ns
    plan = baselines.plan_of(trial.written, told.trips, size_ns, trial.rules)
    starts: dict[str, list[int]] = {}
    for one in setup.seen:
        if setup.span[0] < one.start_ns + size_ns <= setup.span[1]:
            starts.setdefault(one.symbol, []).append(one.start_ns)
    held = baselines.Holding(baselines.plain(trial.rules, share=plan.share), setup.lots)
    rules = baselines.plain(trial.rules, bars=plan.bars, share=plan.share)
    entering = [
        baselines.Entering(rules, setup.lots, baselines.drawn(plan, starts, trial.rules.seed, draw))
        for draw in range(draws if plan.entries else 0)
    ]
    setup.run(None, [held, *entering], "baselines", report)
    found = [baselines.told("buy and hold", held.written, "bought at once in the same sizes, never sold")]
    if entering:
        ours = told.statistics.total_return
        found.append(baselines.told_of_draws(entering, plan, ours))
    return found


def _report(
    bars: Bars, setup: _Setup, chosen: Chosen, passed: Pass, trial: Trial, sweep: Sweep | None,
    simpler: Sequence[Baseline],
) -> Report:  # fmt: skip
    written = trial.written
    prices: dict[str, list[tuple[int, float]]] = {}
    for one in setup.seen:
        if setup.span[0] <= one.start_ns < setup.span[1]:
            prices.setdefault(one.symbol, []).append((one.start_ns, one.candle.close))
    refused = [f"model refused, the one before went on: {one.error}" for one in passed.refused]
    return make_report(
        Run(written.accounts(), written.fills, written.orders()),
        title=f"Backtest of {bars.name}, {chosen.how}",
        prices=prices,
        currency=setup.settings.paper_currency,
        rules=recorded(trial.rules, (), ()),
        baselines=simpler,
        sweep=sweep,
        warnings=[*chosen.warnings, *refused],
        is_synthetic=bars.is_synthetic,
        seed=trial.rules.seed,
    )
