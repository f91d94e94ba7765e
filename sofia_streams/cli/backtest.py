"""The command that tests a strategy on stored bars. Reads bars and models, writes a report; changes nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sofia_streams.cli.models import training_order, until_ns_of
from sofia_streams.cli.output import AsJson, interruptible, say, show, wrong_use
from sofia_streams.cli.progress import Report, drawn

if TYPE_CHECKING:
    from sofia_streams.ops.backtest.run import Asked, Backtest
    from sofia_streams.ops.backtest.walk import Walk
    from sofia_streams.settings import Settings
    from sofia_streams.training.sources.reading import Generation

    Source = str | list[Path] | tuple[str, int | None, Generation]
Sizes = Literal["1s", "1m"]


def backtest(
    data: Annotated[str, typer.Option(help="questdb, generated, or a file or folder: Parquet, CSV klines")] = "questdb",
    size: Annotated[Sizes | None, typer.Option(help="Bars of this size; SIGNALS_BAR_SIZE")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=3_660, help="Only the newest days of the data")] = None,
    start: Annotated[str | None, typer.Option("--from", help="UTC; bars before it warm features up")] = None,
    end: Annotated[str | None, typer.Option("--to", help="UTC; not inside")] = None,
    model: Annotated[str | None, typer.Option(help="This one all the time; else those in force at the time")] = None,
    walk_forward: Annotated[bool, typer.Option("--walk-forward", help="Train models along the way")] = False,
    train_days: Annotated[float, typer.Option(min=0.1, max=3_660, help="Of data for each trained model")] = 14.0,
    retrain_days: Annotated[float, typer.Option(min=0.1, max=3_660, help="How long a trained model is used")] = 7.0,
    horizon: Annotated[int | None, typer.Option(min=1, max=1_440, help="Of labels; TRAIN_HORIZON_BARS")] = None,
    label: Annotated[Literal["forward", "barrier"], typer.Option(help="Of training: docs/models.md")] = "forward",
    sets: Annotated[str, typer.Option(help="Features of trained models: base, or base,flow")] = "base",
    venue: Annotated[str | None, typer.Option(help="Where orders go; the first of CRYPTO_EXCHANGES")] = None,
    sweep: Annotated[list[str] | None, typer.Option(help="NAME=a,b,c of paper trading; may be repeated")] = None,
    draws: Annotated[int, typer.Option(min=0, max=1_000, help="Of random entries; 0: no baselines")] = 20,
    bars: Annotated[int, typer.Option(min=500, max=1_000_000, help="A symbol, with --data generated")] = 15_000,
    seed: Annotated[int, typer.Option(min=0, help="With --data generated")] = 1,
    until: Annotated[str | None, typer.Option(help="End of generated bars, UTC; now, on the minute")] = None,
    trades: Annotated[str | None, typer.Option(help="questdb, or Parquet: trade by trade, with --model")] = None,
    capture: Annotated[list[Path] | None, typer.Option(help="Recordings instead of bars, with --model")] = None,
    out: Annotated[Path | None, typer.Option(help="The folder of the report; DATA_DIR/backtests/TIME")] = None,
    as_json: AsJson = False,
) -> None:
    """Trade stored bars as the live account would.  Example: sofia backtest --data bars --walk-forward.

    Costs, limits, sizes and exits are the PAPER_ settings. Writes report.json and report.html; docs/paper_trading.md.
    Exit code 1 where there are no bars, no model that scores them, or the report cannot be written.
    """
    from sofia_streams.ops.supervision.running import running_or_configured
    from sofia_streams.training.sources.reading import Generation

    settings = running_or_configured()
    size = size or settings.signals_bar_size
    walk = _walk(settings, size, (train_days, retrain_days), horizon, label, sets) if walk_forward else None
    asked = _asked(settings, size, (start, end), (model, walk), venue, sweep or [], draws)
    folder = out or settings.data_dir / "backtests" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    generation = Generation(bars, seed, until_ns_of(until))
    _run(settings, asked, _source(trades, capture, (data, days, generation)), folder, as_json=as_json)


def _source(trades: str | None, captures: list[Path] | None, bars: tuple[str, int | None, Generation]) -> Source:
    if trades is not None and captures:
        raise typer.BadParameter("expected --trades or --capture, found both", param_hint="--trades")
    return trades or captures or bars


def _run(settings: Settings, asked: Asked, source: Source, folder: Path, *, as_json: bool) -> None:
    from sofia_streams.ops.report.making import write_report

    with interruptible("stopped; nothing was written"), drawn("bars") as report:
        report("reading", 0, 1)
        found = _tested(settings, asked, source, report)
        written = write_report(found.report, folder)
    for warning in found.report.warnings:
        say(f"WARNING: {warning}")
    say(f"{found.bars:,} bars in {found.elapsed_s:.1f} s; scored and traded at {found.bars_per_s:,.0f} bars/s")
    show(_in_short(found, written), as_json=as_json)


def _tested(settings: Settings, asked: Asked, source: Source, report: Report) -> Backtest:
    from sofia_streams.ops.backtest.run import backtest as run
    from sofia_streams.ops.backtest.stored import source_of
    from sofia_streams.ops.backtest.tape import tape_of
    from sofia_streams.ops.backtest.ticks import backtest_captures, backtest_trades
    from sofia_streams.stores.questdb import QuestDb
    from sofia_streams.training.sources.reading import read

    if isinstance(source, tuple):
        data, days, generation = source
        return run(read(data, settings, asked.size, days, generation), settings, asked, report)
    name = "--trades" if isinstance(source, str) else "--capture"
    if asked.model_id is None or asked.axes:
        raise typer.BadParameter("expected it with --model, and without --sweep", param_hint=name)
    if isinstance(source, str):
        store = QuestDb(settings.questdb_address(), settings.table_prefix())
        tape = tape_of(source_of(source, store), asked.from_ns, asked.until_ns)
        return backtest_trades(tape, settings, asked.model_id, asked.size, report)
    if asked.from_ns or asked.until_ns:
        raise typer.BadParameter("expected it without --from and --to", param_hint=name)
    report("trading", 0, 1)
    return backtest_captures(source, settings, asked.model_id, asked.size)


def _asked(
    settings: Settings, size: str, stretch: tuple[str | None, str | None], models: tuple[str | None, Walk | None],
    venue: str | None, sweep: list[str], draws: int,
) -> Asked:  # fmt: skip
    from sofia_streams.ops.backtest.run import Asked
    from sofia_streams.ops.backtest.sweep import axis_of, combinations, with_values
    from sofia_streams.ops.times import check_order, utc_ns
    from sofia_streams.venues.registry import check_venue

    (start, end), (model, walk) = stretch, models
    if model is not None and walk is not None:
        raise typer.BadParameter("expected --model or --walk-forward, found both", param_hint="--model")
    with wrong_use():
        from_ns = None if start is None else utc_ns(start, "--from")
        until_ns = None if end is None else utc_ns(end, "--to")
        check_order(from_ns, until_ns, start, end)
        if venue is not None:
            check_venue(venue)
        axes = [axis_of(one) for one in sweep]
        for values in combinations(axes):
            with_values(settings, values)
    return Asked(size, from_ns, until_ns, model, walk, venue, axes, draws)


def _walk(
    settings: Settings, size: str, days: tuple[float, float], horizon: int | None,
    label: Literal["forward", "barrier"], sets: str,
) -> Walk:  # fmt: skip
    from sofia_streams.model import NS_PER_DAY
    from sofia_streams.ops.backtest.walk import Walk

    order = training_order(settings, size, horizon, label, (0.0, 0.0), sets, 0)
    train_ns, every_ns = (round(one * NS_PER_DAY) for one in days)
    lifetime_ns = max(order.lifetime_ns, every_ns + 2 * order.rule.horizon_bars * order.size_ns)
    return Walk(order._replace(lifetime_ns=lifetime_ns), train_ns, every_ns)


def _in_short(found: Backtest, written: list[Path]) -> dict[str, object]:
    from sofia_streams.ops.report.making import headline

    report = found.report
    return headline(report) | {
        "baselines": {one.name: one.total_return for one in report.baselines},
        "chosen": None if report.sweep is None else report.sweep.trials[report.sweep.chosen].settings,
        "models": found.models, "scored": dict(found.outcomes), "bars": found.bars,
        "bars_per_s": round(found.bars_per_s), "elapsed_s": round(found.elapsed_s, 3),
        "hashes": dict(found.hashes), "files": [str(one) for one in written],
    }  # fmt: skip
