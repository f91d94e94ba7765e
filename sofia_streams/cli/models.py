"""Commands on models: train, list, show, put in force and back, score again."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sofia_streams.cli.output import AsJson, interruptible, say, show, show_rows, wrong_use
from sofia_streams.cli.progress import drawn
from sofia_streams.errors import BadModel

if TYPE_CHECKING:
    from sofia_streams.settings import Settings
    from sofia_streams.training.card import Card
    from sofia_streams.training.fitting.run import Order, Report
    from sofia_streams.training.registry import Registry, Stored
    from sofia_streams.training.sources.bars import Bars
    from sofia_streams.training.sources.reading import Generation

models = typer.Typer(help="Trained models and their cards.", no_args_is_help=True)
_ONLY_JSON = ("size_ns", "until_ns", "expires_ns", "sha256")


def train(
    data: Annotated[
        str, typer.Option(help="questdb, venues, generated, or a file or folder of bars: Parquet, CSV klines")
    ] = "questdb",
    size: Annotated[Literal["1s", "1m"] | None, typer.Option(help="Bars of this size; SIGNALS_BAR_SIZE")] = None,
    horizon: Annotated[
        int | None, typer.Option(min=1, max=1_440, help="Bars ahead that it looks; TRAIN_HORIZON_BARS")
    ] = None,
    label: Annotated[Literal["forward", "barrier"], typer.Option(help="What it predicts: docs/models.md")] = "forward",
    cost_bps: Annotated[float, typer.Option(min=0, max=1_000, help="A label is true only beyond this cost")] = 0.0,
    fee_bps: Annotated[float, typer.Option(min=0, max=1_000, help="Fees of a round trip, for the card")] = 20.0,
    sets: Annotated[str, typer.Option(help="Features that it reads: base, or base,flow")] = "base",
    folds: Annotated[int, typer.Option(min=0, max=20, help="Steps of the walk-forward")] = 3,
    days: Annotated[int | None, typer.Option(min=1, max=3_660, help="Only the newest days of the data")] = None,
    bars: Annotated[int, typer.Option(min=500, max=1_000_000, help="Of each symbol, with --data generated")] = 15_000,
    seed: Annotated[int, typer.Option(min=0, help="With --data generated")] = 1,
    until: Annotated[str | None, typer.Option(help="End of generated bars, UTC; now, on the minute")] = None,
    as_json: AsJson = False,
) -> None:
    """Train a model from bars, judge it, put it into the registry.  Example: sofia train --data FILE --horizon 15.

    It is not used before `sofia models activate`. Its card says how good it is, and in the first line whether it is
    better than the baselines. Exit code 1 where the data is damaged or too little: then nothing is written.
    """
    from sofia_streams.ops.supervision.running import running_or_configured
    from sofia_streams.training.fitting.run import run
    from sofia_streams.training.sources.reading import Generation

    began_s, settings = time.monotonic(), running_or_configured()
    size = size or settings.signals_bar_size
    order = training_order(settings, size, horizon, label, (cost_bps, fee_bps), sets, folds)
    generation = Generation(bars, seed, until_ns_of(until))
    with interruptible("stopped; nothing was written"), drawn() as report:
        found = _bars(data, settings, size, days, generation, report)
        stored, card = run(found, order, _registry(settings), report)
    say(card.verdict)
    elapsed = {"elapsed_s": round(time.monotonic() - began_s, 3)}
    show(_place(stored) | _in_short(card) | elapsed, as_json=as_json)


def _bars(
    data: str, settings: Settings, size: Literal["1s", "1m"], days: int | None, generation: Generation, report: Report
) -> Bars:
    from sofia_streams.ops.replay.candles import candles_of_venues
    from sofia_streams.training.sources.reading import read

    if data == "venues":
        data = str(asyncio.run(candles_of_venues(settings, size, days, report)))
    report("reading", 0, 1)
    return read(data, settings, size, days, generation)


def _place(stored: Stored) -> dict[str, object]:
    return {"model_id": stored.document.model_id, "sha256": stored.sha256, "folder": str(stored.folder)}


def _in_short(card: Card) -> dict[str, object]:
    return {
        "is_better": card.is_better, "is_synthetic": card.is_synthetic, "verdict": card.verdict,
        "rows": {name: one.rows for name, one in card.slices.items()},
        "test": {name: one._asdict() for name, one in card.test["model"].items()},
    }  # fmt: skip


def training_order(
    settings: Settings, size: str, horizon: int | None, label: Literal["forward", "barrier"], bps: tuple[float, float],
    sets: str, folds: int,
) -> Order:  # fmt: skip
    """What is to be trained; `bps`: cost and fee; no `horizon`: TRAIN_HORIZON_BARS. Ends with 2 on a wrong word."""
    from sofia_streams.core.bars.windows import SIZES_NS
    from sofia_streams.core.scoring.labels import Rule, fraction_of
    from sofia_streams.model import NS_PER_HOUR
    from sofia_streams.training.fitting.run import Order, set_names

    cost, fee = (fraction_of(one) for one in bps)
    with wrong_use():
        chosen = set_names(sets)
    return Order(
        chosen, SIZES_NS[size], Rule(label, horizon or settings.train_horizon_bars, cost), settings.ai_model_types,
        settings.train_lifetime_hours * NS_PER_HOUR, folds, fee, float(settings.ai_min_signal_confidence),
    )  # fmt: skip


def until_ns_of(until: str | None) -> int:
    """--until in ns; None: now, on the minute. Ends with 2 where that is no moment."""
    from sofia_streams.ops.times import utc_ns

    if until is None:
        return time.time_ns() // (60 * 10**9) * (60 * 10**9)
    with wrong_use():
        return utc_ns(until, "--until")


def _registry(settings: Settings) -> Registry:
    from sofia_streams.training.registry import Registry

    return Registry(settings.models_folder())


@models.command("list")
def list_models(as_json: AsJson = False) -> None:
    """Models of the registry, oldest data first.  Example: sofia models list --json.

    The one in force is marked, where a broker can be asked. A damaged one is listed with what is wrong with it.
    """
    from sofia_streams.ops.models import model_in_force
    from sofia_streams.ops.supervision.running import running_or_configured

    settings = running_or_configured()
    registry, in_force = _registry(settings), asyncio.run(model_in_force(settings))
    rows = [_listed(registry, name) | {"in_force": name == in_force} for name in registry.names()]
    if not as_json:  # what a line of a terminal has room for
        rows = [{name: value for name, value in row.items() if name not in _ONLY_JSON} for row in rows]
    show_rows("models", rows, as_json=as_json)


def _listed(registry: Registry, name: str) -> dict[str, object]:
    row: dict[str, object] = {"model_id": name}
    try:
        stored = registry.load(name)
        stored.scorer()
        card = registry.card(name)
    except BadModel as error:
        return row | dict.fromkeys(
            ("model_type", "label", "horizon_bars", "size_ns", "until_ns", "expires_ns", "is_better", "is_synthetic",
             "auc", "ece", "sha256"), None
        ) | {"damage": str(error)}  # fmt: skip
    document, test = stored.document, card.test["model"]
    return row | {
        "model_type": document.model_type, "label": document.label, "horizon_bars": document.horizon_bars,
        "size_ns": document.size_ns, "until_ns": document.trained_until_ns, "expires_ns": document.expires_ns,
        "is_better": card.is_better, "is_synthetic": document.is_synthetic, "auc": round(test["auc"].value, 4),
        "ece": round(test["ece"].value, 4), "sha256": stored.sha256, "damage": None,
    }  # fmt: skip


@models.command("activate")
def activate_model(
    model_id: Annotated[str, typer.Argument(help="As `sofia models list` has it")],
    start: Annotated[str | None, typer.Option("--from", help="For bars that end then or later, UTC; now")] = None,
    reason: Annotated[str, typer.Option(help="Kept with the record")] = "by command",
    as_json: AsJson = False,
) -> None:
    """Put a model in force.  Example: sofia models activate forward-1772323200-0a1b2c3d.

    Said in the log, in order with the bars: every worker swaps at the same one, and a replay too. Bars that are scored
    already are not scored anew. The word said last counts: models that were to begin then or later (--from) are
    cancelled, and named as such. Exit code 1 for a model that is damaged, or of other bars or features.
    """
    from sofia_streams.ops.models import activate_model as put
    from sofia_streams.ops.supervision.running import running_or_configured
    from sofia_streams.ops.times import utc_ns

    with wrong_use():
        from_ns = utc_ns(start, "--from") if start else None
    show(asyncio.run(put(running_or_configured(), model_id, reason=reason, from_ns=from_ns)), as_json=as_json)


@models.command("rollback")
def rollback(
    reason: Annotated[str, typer.Option(help="Kept with the record")] = "rolled back by command",
    as_json: AsJson = False,
) -> None:
    """Put the model in force again that was before.  Example: sofia models rollback --reason "too many signals".

    Exit code 1 where none was, or it cannot be loaded.
    """
    from sofia_streams.ops.models import roll_back
    from sofia_streams.ops.supervision.running import running_or_configured

    show(asyncio.run(roll_back(running_or_configured(), reason=reason)), as_json=as_json)


@models.command("rescore")
def rescore(as_json: AsJson = False) -> None:
    """Compute everything that was scored again from the log, and compare.  Example: sofia models rescore.

    Byte for byte: features, predictions, signals. Exit code 1 where something differs, nothing was scored yet, or
    retention has cut `bars`.
    """
    from sofia_streams.ops.models import rescored
    from sofia_streams.ops.supervision.running import running_or_configured

    found = asyncio.run(rescored(running_or_configured()))
    show(found, as_json=as_json)
    if not found["equal"]:
        raise typer.Exit(1)


@models.command("show")
def show_model(
    model_id: Annotated[str, typer.Argument(help="As `sofia models list` has it")], as_json: AsJson = False
) -> None:
    """A model's card.  Example: sofia models show forward-1772323200-0a1b2c3d.

    Exit code 1 where there is no such model, or it is damaged.
    """
    import msgspec

    from sofia_streams.ops.supervision.running import running_or_configured
    from sofia_streams.training.card_page import page

    registry = _registry(running_or_configured())
    stored = registry.load(model_id)
    stored.scorer()
    card = registry.card(model_id)
    if as_json:
        show(_place(stored) | {"card": msgspec.to_builtins(card)}, as_json=True)
        return
    print(page(card), end="")
