"""`sofia bench NAME`: figures of this machine, in one run."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from bench import live as live_bench
from sofia_streams.cli.output import AsJson, say, show
from sofia_streams.embedded.stack import Ports
from sofia_streams.ops.stack import running_stack
from sofia_streams.settings import Settings, load_settings

bench = typer.Typer(no_args_is_help=True, help="Benchmarks: ratios and rates of one run on this machine.")


@contextmanager
def _servers() -> Iterator[Settings]:
    with (
        tempfile.TemporaryDirectory(prefix="sofia-bench-") as folder,
        running_stack(load_settings(), Path(folder) / "data", say=say, ports=Ports(0, 0, 0, 0)) as addressed,
    ):
        yield addressed


@bench.command("live")
def live(
    rate: Annotated[float, typer.Option(min=1, help="Trades a second and venue")] = 1_000.0,
    seconds: Annotated[float, typer.Option(min=5)] = 60.0,
    as_json: AsJson = False,
) -> None:
    """The whole pipeline under a steady load: lag, latency, CPU, memory.  Example: sofia bench live --rate 1000."""
    with _servers() as settings:
        show(asyncio.run(live_bench.run(settings, settings.data_dir, say, rate=rate, seconds=seconds)), as_json=as_json)
