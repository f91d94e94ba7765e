"""`sofia`: the commands, one file a group. Each reads its arguments, calls `ops`, prints.

Exit codes: 0 done, 1 refused or failed (the reason is one line on stderr), 2 wrong use.
"""

from __future__ import annotations

import logging
import sys

import typer

from sofia_streams.cli import benchmarks, data, look, manage, run
from sofia_streams.errors import SofiaError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def root() -> None:
    """Sofia Streams: live market data, exact candles, replayable to the last digit."""


for command in (
    run.up,
    run.down,
    look.doctor,
    look.logs,
    run.worker,
    run.simulate,
    data.replay,
    data.capture,
    data.export,
):
    app.command()(command)
app.command("status")(look.show_status)
app.add_typer(look.debug, name="debug")
app.add_typer(look.config, name="config")
app.add_typer(manage.topics, name="topics")
app.add_typer(benchmarks.bench, name="bench")


def main() -> int:
    """Run one command; an error of ours is one line on stderr and exit code 1."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what matters is raised; the rest is retried
    try:
        app(prog_name="sofia")
    except SofiaError as error:
        print(f"sofia: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
