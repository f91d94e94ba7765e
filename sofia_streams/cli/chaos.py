"""`sofia chaos`: hurts a pipeline of its own and proves what it still holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sofia_streams.cli.output import AsJson, interruptible, say, show, show_rows
from sofia_streams.ops.chaos.battery import Battery
from sofia_streams.ops.chaos.plan import mixed
from sofia_streams.ops.chaos.report import Report
from sofia_streams.ops.chaos.run import SYMBOLS, run_chaos
from sofia_streams.ops.chaos.scenarios import SCENARIOS
from sofia_streams.settings import load_settings


def chaos(
    minutes: Annotated[
        float | None, typer.Option(min=0.2, help="A mix of everything for so long, healing aside")
    ] = None,
    scenario: Annotated[str | None, typer.Option(help="One named run; `--scenario list` names them")] = None,
    battery: Annotated[bool, typer.Option("--battery", help="Every named run; goes on where it stopped")] = False,
    seed: Annotated[int, typer.Option(help="The same seed, the same faults")] = 1,
    rate: Annotated[float, typer.Option(min=1, help="Trades a second and venue")] = 100.0,
    anew: Annotated[bool, typer.Option("--anew", help="With --battery: forget earlier results")] = False,
    as_json: AsJson = False,
) -> None:
    """Kills, pauses, cuts and loses on purpose, then compares everything.  Example: sofia chaos --minutes 10 --seed 7.

    Starts servers, simulated exchanges and workers of its own, hurts them by a plan drawn from the seed and printed
    first, lets them heal, and compares the exchanges' own ledger with the log, the bars, QuestDB and Redis. Touches
    nothing that is configured or runs. Exit code 0 where everything held, 1 where something was lost, doubled, unequal,
    could not be compared or did not converge, 2 for wrong use. See docs/guarantees.md.
    """
    if [minutes is not None, scenario is not None, battery].count(True) != 1:
        raise typer.BadParameter("expected one of --minutes, --scenario and --battery")
    if scenario == "list":
        rows = [{"scenario": name, "battery": one.rows, "about": one.about} for name, one in SCENARIOS.items()]
        show_rows("scenarios", rows, as_json=as_json)
        return
    if scenario is not None and scenario not in SCENARIOS:
        raise typer.BadParameter(f"--scenario: expected one of {', '.join(SCENARIOS)}, found {scenario[:40]!r}")
    data_dir = load_settings().data_dir
    with interruptible():
        if battery:
            held = _battery(Battery(data_dir, seed), data_dir, rate, anew=anew, as_json=as_json)
        else:
            if scenario is not None:
                plan = SCENARIOS[scenario].plan(scenario, seed, SYMBOLS, rate=rate)
            else:
                plan = mixed(seed, (minutes or 0.0) * 60, SYMBOLS, rate=rate)
            held = _shown(run_chaos(plan, data_dir, say), as_json=as_json)
    raise typer.Exit(0 if held else 1)


def _shown(report: Report, *, as_json: bool) -> bool:
    if as_json:
        show(report.as_json(), as_json=True)
    else:
        print("\n".join(report.lines()))
    return not report.failures()


def _battery(battery: Battery, data_dir: Path, rate: float, *, anew: bool, as_json: bool) -> bool:
    def one(name: str, seed: int) -> dict[str, Any]:
        return run_chaos(SCENARIOS[name].plan(name, seed, SYMBOLS, rate=rate), data_dir, say).as_json()

    if anew:
        battery.forget()
    say(f"{len(battery.left())} of {len(SCENARIOS)} scenarios are left; results stand in {battery.path}")
    battery.run(one, lambda result: say(f"{result['scenario']}: {'held' if result['held'] else result['failures']}"))
    results = battery.results()
    held = all(result["held"] for result in results)
    if as_json:
        show({"battery": results, "held": held}, as_json=True)
        return held
    for result in results:
        what = "held" if result["held"] else "FAILED: " + "; ".join(result["failures"])
        trades = f"{result['trades']} trades, {result['lost']} lost" if result["trades"] is not None else "not compared"
        counts = f"{result['fired']} faults, {result['kills']} kills, {trades}"
        print(f"{result['scenario']:18} {result['date']}  {counts}, recovery {result['recovery_s']['p50']} s: {what}")
    return held
