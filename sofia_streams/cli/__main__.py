"""`sofia`: the commands. Each reads its arguments, calls `ops`, prints; exit 0 done, 1 refused, 2 wrong use."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from sofia_streams.capture import read_capture
from sofia_streams.embedded.stack import Ports
from sofia_streams.errors import SofiaError
from sofia_streams.ops.replay import replay_in_process
from sofia_streams.ops.stack import running_stack
from sofia_streams.ops.stream_replay import replay_streaming
from sofia_streams.settings import load_settings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def root() -> None:
    """Sofia Streams: live market data, exact candles, replayable to the last digit."""


@app.command()
def replay(
    captures: Annotated[list[Path], typer.Argument(help="Recordings, .jsonl.gz")],
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Fold in this process: no broker, no stores")
    ] = False,
    speed: Annotated[float | None, typer.Option(min=0.01, help="Multiple of the recorded pace; default: full")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout")] = False,
) -> None:
    """Run recordings through the whole pipeline into candles.  Example: sofia replay FILE.jsonl.gz --json."""
    summary = replay_in_process(captures).summary() if in_process else _through_everything(captures, speed)
    if as_json:
        print(json.dumps(summary))
        return
    for name, value in summary.items():
        print(f"{name}: {json.dumps(value, indent=2) if isinstance(value, dict) else value}")


def _through_everything(captures: list[Path], speed: float | None) -> dict[str, object]:
    settings = load_settings()
    for path in captures:
        for _ in read_capture(path):  # a damaged file is refused before anything starts
            pass
    with (
        tempfile.TemporaryDirectory(prefix="sofia-replay-") as folder,
        running_stack(settings, Path(folder) / "data", say=_say, ports=Ports(0, 0, 0, 0)) as addressed,
    ):
        return asyncio.run(replay_streaming(captures, addressed, addressed.data_dir, _say, speed))


def _say(message: str) -> None:
    print(f"sofia: {message}", file=sys.stderr, flush=True)


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
