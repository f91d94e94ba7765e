"""`sofia`: the commands. Each reads its arguments, calls `ops`, prints; exit 0 done, 1 refused, 2 wrong use."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from sofia_streams.errors import SofiaError
from sofia_streams.ops.replay import replay_in_process

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def root() -> None:
    """Sofia Streams: live market data, exact candles, replayable to the last digit."""


@app.command()
def replay(
    captures: Annotated[list[Path], typer.Argument(help="Recordings, .jsonl.gz")],
    in_process: Annotated[bool, typer.Option("--in-process", help="Without a broker; the only way yet")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout")] = False,
) -> None:
    """Fold recordings into candles.  Example: sofia replay --in-process FILE.jsonl.gz --json."""
    if not in_process:
        raise typer.BadParameter("expected --in-process, found nothing: a replay through the log is not built yet.")
    summary = replay_in_process(captures).summary()
    if as_json:
        print(json.dumps(summary))
        return
    for name, value in summary.items():
        print(f"{name}: {json.dumps(value, indent=2) if isinstance(value, dict) else value}")


def main() -> int:
    """Run one command; an error of ours is one line on stderr and exit code 1."""
    try:
        app(prog_name="sofia")
    except SofiaError as error:
        print(f"sofia: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
