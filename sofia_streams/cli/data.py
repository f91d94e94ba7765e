"""Commands on data: replay, capture, export."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from sofia_streams.capture import read_capture
from sofia_streams.cli.look import running_or_configured
from sofia_streams.cli.output import AsJson, say, show
from sofia_streams.embedded.stack import Ports
from sofia_streams.ops.export import export_table
from sofia_streams.ops.record import record
from sofia_streams.ops.replay import replay_in_process
from sofia_streams.ops.stack import running_stack
from sofia_streams.ops.stream_replay import replay_streaming
from sofia_streams.settings import load_settings
from sofia_streams.stores.questdb import QuestDb


def replay(
    captures: Annotated[list[Path], typer.Argument(help="Recordings, .jsonl.gz")],
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Fold in this process: no broker, no stores")
    ] = False,
    speed: Annotated[float | None, typer.Option(min=0.01, help="Multiple of the recorded pace; default: full")] = None,
    as_json: AsJson = False,
) -> None:
    """Run recordings through the whole pipeline into candles.  Example: sofia replay FILE.jsonl.gz --json."""
    summary = replay_in_process(captures).summary() if in_process else _through_everything(captures, speed)
    show(summary, as_json=as_json)


def _through_everything(captures: list[Path], speed: float | None) -> dict[str, object]:
    settings = load_settings()
    for path in captures:
        for _ in read_capture(path):  # a damaged file is refused before anything starts
            pass
    with (
        tempfile.TemporaryDirectory(prefix="sofia-replay-") as folder,
        running_stack(settings, Path(folder) / "data", say=say, ports=Ports(0, 0, 0, 0)) as addressed,
    ):
        return asyncio.run(replay_streaming(captures, addressed, addressed.data_dir, say, speed))


def capture(
    out: Annotated[Path, typer.Option(help="The file to write, .jsonl.gz")],
    seconds: Annotated[float, typer.Option(min=1)] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Record live frames into a capture file.  Example: sofia capture --seconds 60 --out now.jsonl.gz.

    Venues and symbols are those of the settings (CRYPTO_EXCHANGES, CRYPTO_SYMBOLS). Exit code 1 if nothing came.
    """
    frames = asyncio.run(record(running_or_configured(), out, seconds, say))
    show({"file": str(out), "frames": frames}, as_json=as_json)


def export(
    table: Annotated[str, typer.Argument(help="trades, bars_1s, bars_1m or tickers")],
    out: Annotated[Path, typer.Option(help="The Parquet file to write")],
    as_json: AsJson = False,
) -> None:
    """A table of QuestDB as Parquet, exact.  Example: sofia export bars_1m --out bars.parquet.

    Prices and sums are decimal text, times int64 ns.
    """
    settings = running_or_configured()
    rows = export_table(QuestDb(settings.questdb_address(), settings.table_prefix()), table, out)
    show({"file": str(out), "rows": rows}, as_json=as_json)
