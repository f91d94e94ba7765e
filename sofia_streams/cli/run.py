"""Commands that run things: up, down, worker, simulate."""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from sofia_streams.cli.output import AsJson, say, show
from sofia_streams.cli.page import jar_bar, show_live
from sofia_streams.limits import check_open_files
from sofia_streams.ops.supervision.up import run_up, stop_running
from sofia_streams.ops.workers import check_name
from sofia_streams.settings import load_settings


def up(
    demo: Annotated[bool, typer.Option("--demo", help="A recorded tape, replayed as four simulated exchanges")] = False,
    as_json: AsJson = False,
) -> None:
    """Servers, workers and live venues, until Ctrl-C.  Example: sofia up --demo.

    Exit code 0 after Ctrl-C or `sofia down`, 4 where a worker or server had been left down, 1 when something could not
    be started, 3 when it runs already. With --json: one object every few seconds, one a line.
    """
    try:
        with jar_bar() as progress:
            run_up(load_settings(), demo=demo, show=partial(show_live, as_json=as_json), say=say, progress=progress)
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("stopped; nothing is left running")


def down(as_json: AsJson = False) -> None:
    """Stop what `sofia up` started, from any terminal.  Example: sofia down.  Exit code 0, also if nothing ran."""
    done = stop_running(load_settings())
    show({"done": done or ["nothing was running"]}, as_json=as_json)


def worker(
    name: Annotated[str, typer.Argument(help="crypto_ws, ohlcv, timeseries_writer, redis_bridge or backfill")],
) -> None:
    """One worker in this terminal, on configured addresses.  Example: BROKER_URL=kafka://HOST:9092 sofia worker ohlcv.

    The same as `faust -A agents.NAME worker`. Its exit code is the worker's.
    """
    check_name(name)
    check_open_files()
    settings = load_settings()
    settings.broker()  # refused here, in one line, rather than while the agent is imported
    web = f"--web-port={settings.web_port}" if settings.web_port else "--without-web"
    os.execv(sys.executable, [sys.executable, "-m", f"agents.{name}", "worker", web])  # noqa: S606


Traded = Literal["generated", "tape", "recorded"]


def simulate(
    captures: Annotated[list[Path] | None, typer.Argument(help="Recordings, .jsonl.gz")] = None,
    market: Annotated[
        Traded | None, typer.Option(help="What is traded; default: recorded with captures, else generated")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any")] = 8765,
    host: Annotated[str, typer.Option(help="Address to listen on")] = "127.0.0.1",
    speed: Annotated[str, typer.Option(help="Recorded: max, or a multiple of its pace, like 10")] = "1",
    loop: Annotated[bool, typer.Option("--loop", help="Recorded: again and again, the same frames")] = False,
    rate: Annotated[float, typer.Option(help="Generated, tape: trades a second and venue")] = 40.0,
    venues: Annotated[str, typer.Option(help="Generated, tape: comma list")] = "binance,okx,coinbase,bybit",
    symbols: Annotated[str, typer.Option(help="Generated, tape: comma list")] = "BTC/USDT,ETH/USDT,SOL/USDT",
    seed: Annotated[int, typer.Option(help="The same seed, the same market and faults")] = 1,
    even: Annotated[bool, typer.Option("--even", help="Generated: no bursts and quiet spells")] = False,
    fault: Annotated[list[str] | None, typer.Option(help="KIND=PROBABILITY a frame, e.g. disconnect=0.0005")] = None,
    skew_s: Annotated[float, typer.Option(help="Generated, tape: exchange clocks ahead by so many seconds")] = 0.0,
    control: Annotated[bool, typer.Option("--control", help="Faults on demand over HTTP, at /control")] = False,
    ledger: Annotated[Path | None, typer.Option(help="Generated, tape: every trade, a JSON line each")] = None,
    as_json: AsJson = False,
) -> None:
    """Four exchanges' protocols on one port.  Example: sofia simulate --market tape --fault duplicate=0.01.

    Ingest reads it with SIMULATOR_URL=ws://127.0.0.1:8765. FAULT kinds: drop, duplicate, reorder, malformed,
    disconnect, gap (gap=PROBABILITY:TRADES as well), stall, late, busy (these three KIND=PROBABILITY:SECONDS as well).
    What was sent and which faults fired is counted at http://127.0.0.1:8765/stats, and printed at the end: Ctrl-C, or
    the last recorded frame. Exit code 0, or 1 for a damaged recording. See docs/simulator.md.
    """
    from sofia_streams.ops import simulate as ops
    from sofia_streams.simulator.faults import parse_faults

    serve = partial(ops.simulate, port=port, host=host, faults=parse_faults(fault or []), seed=seed, say=say)
    wanted = ops.checked_market(market, captures or [])
    if wanted == "recorded":
        source = ops.recorded(captures or [], speed=ops.checked_speed(speed), loop=loop)
    else:
        plan = ops.checked_plan(venues, symbols, rate, seed, even=even)
        is_tape = wanted == "tape"
        source = ops.taped(plan, captures or [], skew_s=skew_s) if is_tape else ops.generated(plan, skew_s=skew_s)
    show(asyncio.run(serve(source, control=control, ledger=ledger)), as_json=as_json)
