"""Commands that run things: up, down, worker, simulate."""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from sofia_streams.cli.output import AsJson, say, show
from sofia_streams.cli.page import show_live
from sofia_streams.ops.simulate import simulate_generated, simulate_recorded
from sofia_streams.ops.up import run_up, stop_running
from sofia_streams.ops.workers import check_name
from sofia_streams.settings import load_settings
from sofia_streams.simulator.faults import parse_faults
from sofia_streams.simulator.market import Plan


def up(
    demo: Annotated[bool, typer.Option("--demo", help="A generated market in place of the exchanges")] = False,
    as_json: AsJson = False,
) -> None:
    """Servers, workers and live venues, until Ctrl-C.  Example: sofia up --demo.

    Exit code 0 after Ctrl-C or `sofia down`, 1 when something could not be started.
    """
    try:
        run_up(load_settings(), demo=demo, show=partial(show_live, as_json=as_json), say=say)
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("stopped; nothing is left running")


def down(as_json: AsJson = False) -> None:
    """Stop what `sofia up` started, from any terminal.  Example: sofia down.  Exit code 0, also if nothing ran."""
    done = stop_running(load_settings())
    show({"done": done or ["nothing was running"]}, as_json=as_json)


def worker(
    name: Annotated[str, typer.Argument(help="crypto_ws, ohlcv, timeseries_writer or redis_bridge")],
) -> None:
    """One worker in this terminal, on configured addresses.  Example: BROKER_URL=kafka://HOST:9092 sofia worker ohlcv.

    The same as `faust -A agents.NAME worker`. Its exit code is the worker's.
    """
    check_name(name)
    settings = load_settings()
    web = f"--web-port={settings.web_port}" if settings.web_port else "--without-web"
    os.execv(sys.executable, [sys.executable, "-m", f"agents.{name}", "worker", web])  # noqa: S606


def simulate(
    captures: Annotated[list[Path] | None, typer.Argument(help="Recordings to serve; none: a generated market")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any")] = 8765,
    host: Annotated[str, typer.Option(help="Address to listen on")] = "127.0.0.1",
    speed: Annotated[float, typer.Option(min=0.01, help="Multiple of the recorded pace")] = 1.0,
    rate: Annotated[float, typer.Option(min=0.1, help="Generated: trades a second and venue")] = 40.0,
    venues: Annotated[str, typer.Option(help="Generated: comma list")] = "binance,okx,coinbase,bybit",
    symbols: Annotated[str, typer.Option(help="Generated: comma list")] = "BTC/USDT,ETH/USDT,SOL/USDT",
    seed: Annotated[int, typer.Option(help="Generated: the same seed, the same market")] = 1,
    even: Annotated[bool, typer.Option("--even", help="Generated: no bursts and quiet spells")] = False,
    fault: Annotated[list[str] | None, typer.Option(help="KIND=PROBABILITY a frame, e.g. disconnect=0.0005")] = None,
) -> None:
    """Four exchanges' protocols on one port.  Example: sofia simulate --rate 100 --fault duplicate=0.01.

    Use it with SIMULATOR_URL=ws://127.0.0.1:8765. FAULT kinds: drop, duplicate, reorder, malformed, disconnect, stall.
    """
    faults = parse_faults(fault or [])
    if captures:
        running = simulate_recorded(captures, port=port, speed=speed, faults=faults, say=say, host=host)
    else:
        plan = Plan(tuple(venues.split(",")), tuple(symbols.split(",")), rate, seed, even)
        running = simulate_generated(plan, port=port, faults=faults, say=say, host=host)
    try:
        asyncio.run(running)
    except KeyboardInterrupt:
        say("stopped")
