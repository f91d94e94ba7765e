"""Commands on data: replay, capture, export."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sofia_streams.cli.output import AsJson, interruptible, say, show
from sofia_streams.files import make_folder

if TYPE_CHECKING:
    from sofia_streams.settings import Settings
    from sofia_streams.training.registry import Stored

Speed = Annotated[str, typer.Option(help="max, or a multiple of the recorded pace, like 10")]


def replay(
    captures: Annotated[list[Path], typer.Argument(help="Recordings, .jsonl.gz")],
    speed: Speed = "max",
    out: Annotated[
        Path | None, typer.Option(help="Write trades, bars, features, predictions as Parquet into this folder")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="ID", help="A model that scores every candle (sofia models list); unset: none")
    ] = None,
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Fold in this process: no broker, no stores")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Repeat it in several ways that may change no bar, and compare")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run recordings through the whole pipeline into candles.  Example: sofia replay FILE.jsonl.gz --json.

    Servers, ports and data are its own, so it may run beside `sofia up`. Exit code 1 for a damaged recording, and with
    --verify where two runs differ: then the first bar that does is printed.
    """
    pace = _pace(speed)
    if verify:
        plain = pace is None and out is None and model is None
        _verify(captures, in_process=in_process, plain=plain, as_json=as_json)
        return
    if out is not None:
        make_folder(out)
    with interruptible():
        summary = _in_process(captures, out, model) if in_process else _through_everything(captures, pace, out, model)
    show(summary, as_json=as_json)


def _pace(speed: str) -> float | None:
    """None for as fast as possible."""
    try:
        pace = None if speed == "max" else float(speed)
    except ValueError:
        pace = 0.0
    if pace is not None and not 0.01 <= pace <= 1e9:
        raise typer.BadParameter(f"expected max or a number from 0.01, found {speed!r}", param_hint="--speed")
    return pace


def _in_process(captures: list[Path], out: Path | None, model: str | None) -> dict[str, object]:
    from sofia_streams.ops.replay.in_process import replay_in_process, timed_summary
    from sofia_streams.settings import load_settings

    settings, began_s = load_settings(), time.monotonic()
    stored = _stored(settings, model)
    replay = replay_in_process(captures, settings, keep_trades=out is not None, model=stored)
    summary = timed_summary(replay, began_s)
    if out is not None:
        from sofia_streams.ops.replay.export import write_replay

        paper = None if replay.paper is None else replay.paper.book
        write_replay(out, replay.book, replay.trades, replay.scored, paper)
    return summary


def _through_everything(
    captures: list[Path], pace: float | None, out: Path | None, model: str | None
) -> dict[str, object]:
    from sofia_streams.ops.replay.streaming import replay_streaming
    from sofia_streams.settings import load_settings

    stored = _stored(load_settings(), model)
    with _own_servers(captures) as addressed:
        replayed = replay_streaming(captures, addressed, addressed.data_dir, say, pace, out=out, model=stored)
        return asyncio.run(replayed)


def _stored(settings: Settings, model_id: str | None) -> Stored | None:
    """A model of the registry; None for none."""
    from sofia_streams.training.registry import Registry

    return None if model_id is None else Registry(settings.models_folder()).load(model_id)


@contextmanager
def _own_servers(captures: list[Path], *, stores: bool = True) -> Iterator[Settings]:
    """Servers for a replay, with data that goes when they stop; a damaged capture is refused before they start.

    Without `stores`, only a broker.
    """
    from sofia_streams.capture import read_capture
    from sofia_streams.embedded.stack import Ports
    from sofia_streams.ops.stack import running_stack
    from sofia_streams.settings import load_settings

    settings = load_settings()
    settings = settings.model_copy(update={"models_dir": settings.models_folder().resolve()})
    for path in captures:
        for _ in read_capture(path):
            pass
    with (
        tempfile.TemporaryDirectory(prefix="sofia-replay-") as folder,
        running_stack(
            settings, Path(folder) / "data", say=say, ports=Ports(0, 0, 0, 0), stores=stores
        ) as addressed,
    ):
        yield addressed


def _verify(captures: list[Path], *, in_process: bool, plain: bool, as_json: bool) -> None:
    from sofia_streams.ops.replay.verify import verify_in_process, verify_streaming
    from sofia_streams.settings import load_settings

    if not plain:
        raise typer.BadParameter("expected it without --speed, --out and --model", param_hint="--verify")
    with interruptible():
        if in_process:
            found = verify_in_process(captures, load_settings(), say)
        else:
            with _own_servers(captures, stores=False) as addressed:
                found = asyncio.run(verify_streaming(captures, addressed, addressed.data_dir, say))
    show(found, as_json=as_json)
    if not found["equal"]:
        raise typer.Exit(1)


def capture(
    out: Annotated[Path, typer.Option(help="The file to write, .jsonl.gz")],
    seconds: Annotated[float, typer.Option(min=1)] = 60.0,
    force: Annotated[bool, typer.Option("--force", help="Replace a file of that name")] = False,
    as_json: AsJson = False,
) -> None:
    """Record live frames into a capture file.  Example: sofia capture --seconds 60 --out now.jsonl.gz.

    Venues and symbols are those of the settings (CRYPTO_EXCHANGES, CRYPTO_SYMBOLS). Ctrl-C ends it early and leaves a
    whole file. Exit code 1 if nothing came, the file exists or it cannot be written.
    """
    from sofia_streams.obs import logs
    from sofia_streams.ops.record import record
    from sofia_streams.ops.supervision.running import running_or_configured

    settings = running_or_configured()
    logs.configure(settings.log_level, as_json=settings.log_json)  # on stderr
    frames = asyncio.run(record(settings, out, seconds, say, replace=force))
    show({"schema": 1, "file": str(out), "frames": frames}, as_json=as_json)


def export(
    table: Annotated[str, typer.Argument(help="trades, bars_1s, bars_1m, features_1m, predictions, orders, fills …")],
    out: Annotated[Path, typer.Option(help="The Parquet file to write")],
    as_json: AsJson = False,
) -> None:
    """A table of QuestDB as Parquet, exact.  Example: sofia export bars_1m --out bars.parquet.

    Prices and sums are decimal text, features and scores doubles, times int64 ns.
    """
    from sofia_streams.ops.replay.export import export_table
    from sofia_streams.ops.supervision.running import running_or_configured
    from sofia_streams.stores.questdb import QuestDb

    settings = running_or_configured()
    rows = export_table(QuestDb(settings.questdb_address(), settings.table_prefix()), table, out)
    show({"schema": 1, "file": str(out), "rows": rows}, as_json=as_json)
