"""`sofia`: finds the command, loads the one module it stands in, runs it. Commands read arguments, call `ops`, print.

Exit codes: 0 done, 1 refused, failed or interrupted (the reason is one line on stderr), 2 wrong use, 3 already running,
4 something was left down, 5 not everything could be compared
(`sofia verify`, `sofia parity`).
"""

from __future__ import annotations

import difflib
import sys
from typing import Any, NamedTuple

from sofia_streams.errors import SofiaError


class Command(NamedTuple):
    """Where a command stands: module and name in `sofia_streams.cli`; and what it is for."""

    module: str
    name: str
    about: str


COMMANDS = {
    "up": Command("run", "up", "Servers, workers and live venues, until Ctrl-C"),
    "down": Command("run", "down", "Stop what `sofia up` started, from any terminal"),
    "status": Command("look", "show_status", "Processes, lag and rates of what runs"),
    "doctor": Command("look", "doctor", "Checks broker, topics, stores, disk, ports, clock, exchanges"),
    "logs": Command("look", "logs", "The end of the logs of what runs or ran"),
    "debug": Command("look", "debug", "For bug reports"),
    "worker": Command("run", "worker", "One worker in this terminal, on configured addresses"),
    "simulate": Command("run", "simulate", "Four exchanges' protocols on one port"),
    "replay": Command("data", "replay", "Run recordings through the whole pipeline into candles"),
    "capture": Command("data", "capture", "Record live frames into a capture file"),
    "verify": Command("checks", "verify", "Compare log, database, Redis and candles, row by row"),
    "export": Command("data", "export", "A table of QuestDB as Parquet, exact"),
    "train": Command("models", "train", "Train a model from bars, judge it, put it into the registry"),
    "models": Command("models", "models", "Trained models and their cards"),
    "account": Command("paper", "account", "How the paper account stands, with its statistics"),
    "halt": Command("paper", "halt", "No new paper orders from now on"),
    "resume": Command("paper", "resume", "Paper orders again after a halt"),
    "backtest": Command("backtest", "backtest", "Trade stored bars as the live account would"),
    "parity": Command("parity", "parity", "Compute what the paper account did again from the log, and compare"),
    "explain": Command("explain", "explain", "Why an order was made, back to its trades; what a reason code means"),
    "instruments": Command("instruments", "instruments", "Tick, step and limits of every pair at every venue"),
    "backfill": Command("instruments", "backfill", "A stretch of trades from a venue into the log"),
    "klines": Command("instruments", "klines", "A venue's own 1m candles, exact"),
    "download": Command("download", "download", "A venue's own candles as Parquet"),
    "topics": Command("topics", "topics", "The log's topics"),
    "config": Command("look", "config", "Settings"),
    "chaos": Command("chaos", "chaos", "Kills, pauses, cuts and loses on purpose, then compares everything"),
    "bench": Command("benchmarks", "bench", "Benchmarks"),
}
"""Every command; written down here so that help needs no module of ours."""
_HELP = ("-h", "--help")


def root() -> None:
    """Sofia Streams: live market data, exact candles, replayable to the last digit."""


def overview() -> str:
    """What `sofia --help` prints."""
    lines = [f"  {name:12}{command.about}." for name, command in COMMANDS.items()]
    return "\n".join(
        ["Usage: sofia COMMAND ...", "", str(root.__doc__), "", "Commands:", *lines, "",
         "sofia COMMAND --help has options and an example; docs/cli.md has exit codes and JSON keys.",
         "Begin with: sofia up --demo"]
    )  # fmt: skip


def load(name: str) -> Any:
    """The Typer application with this one command."""
    import importlib
    import logging

    import typer

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what matters is raised; the rest is retried

    command = COMMANDS[name]
    found = getattr(importlib.import_module(f"sofia_streams.cli.{command.module}"), command.name)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.callback()(root)
    if isinstance(found, typer.Typer):
        app.add_typer(found, name=name)
    else:
        app.command(name)(found)
    return app


def main(arguments: list[str]) -> int:
    """Run one command; an error of ours, of the system or of the broker is one line on stderr."""
    if not arguments or arguments[0] in _HELP:
        print(overview())
        return 0 if arguments else 2
    if arguments[0] not in COMMANDS:
        near = difflib.get_close_matches(arguments[0], COMMANDS, n=1, cutoff=0)[0]
        print(f"sofia: expected a command, found {arguments[0]!r}; the nearest is {near}. See: sofia --help",
              file=sys.stderr)  # fmt: skip
        return 2
    try:
        load(arguments[0])(arguments, prog_name="sofia")
    except SofiaError as error:
        print(f"sofia: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"sofia: {place}{error.strerror or error}", file=sys.stderr)
        return 1
    except Exception as error:
        if not type(error).__module__.startswith("aiokafka."):
            raise
        print(f"sofia: the broker refused or did not answer: {error!r}. `sofia doctor` says more.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
