"""`sofia bench NAME`: figures of this machine, in one run."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import backtest as backtest_bench
from bench import candles as candles_bench
from bench import indicators as indicators_bench
from bench import live as live_bench
from bench import parse as parse_bench
from bench import scoring as scoring_bench
from bench import signals as signals_bench
from bench import sinks as sinks_bench
from bench.machine import machine
from bench.signals_table import rows
from sofia_streams.cli.output import AsJson, interruptible, say, show, show_rows
from sofia_streams.embedded.stack import Ports, Stack
from sofia_streams.ops.stack import addressed
from sofia_streams.settings import Settings, load_settings

bench = typer.Typer(no_args_is_help=True, help="Benchmarks: ratios and rates of one run on this machine.")
_PEERS = ",".join(candles_bench.PEER_TRADES)
Rounds = Annotated[int, typer.Option(min=1, max=20, help="Rounds; the median counts")]
Rate = Annotated[float, typer.Option(min=100, help="Trades a second that records are made at, all instruments")]


@contextmanager
def _servers(*, stores: bool = True, fallback: bool = False) -> Iterator[Settings]:
    """Those of the settings, else embedded ones on free ports, removed afterwards; without `stores` only a broker."""
    settings = load_settings()
    with interruptible("stopped; nothing is left behind"), tempfile.TemporaryDirectory(prefix="sofia-bench-") as folder:
        data_dir = Path(folder) / "data"
        stack = Stack(
            data_dir,
            kafka=settings.broker_url is None,
            questdb=stores and settings.questdb_host is None,
            redis=stores and settings.redis_url is None,
            postgres=fallback and settings.timescale_url is None,
            preferred_ports=Ports(0, 0, 0, 0, 0),
            say=say,
        )
        with stack:
            yield addressed(settings, stack.addresses, data_dir)


def _chosen(text: str, known: Iterable[str]) -> list[str]:
    """The names in a comma list. Raises typer.BadParameter."""
    chosen = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in chosen if name not in known]:
        raise typer.BadParameter(f"expected some of {', '.join(known)}, found {unknown[0]!r}")
    return chosen


def _show(name: str, about: dict[str, object], result: dict[str, Any], *, as_json: bool) -> None:
    show({"bench": name, "machine": about, **result}, as_json=as_json)


@bench.command("candles")
def candles(
    trades: Annotated[int, typer.Option(min=10_000, help="Distinct trades, 12 instruments")] = 1_000_000,
    rate: Rate = 60_000.0,
    rounds: Rounds = 1,
    peers: Annotated[str, typer.Option(help="Of these, with commas; '' for none")] = _PEERS,
    sustained: Annotated[bool, typer.Option(help="Also offer the records in real time")] = True,
    same_records: Annotated[bool, typer.Option(help="Give the others our records as well, many trades each")] = False,
    as_json: AsJson = False,
) -> None:
    """Trades a second from the log to bars on one worker, against others.  Example: sofia bench candles --rounds 3."""
    about = machine()
    plan = candles_bench.Plan(trades, rate, rounds, _chosen(peers, candles_bench.PEER_TRADES), sustained, same_records)
    with _servers(stores=False) as settings:
        _show("candles", about, asyncio.run(candles_bench.run(settings, settings.data_dir, say, plan)), as_json=as_json)


@bench.command("parse")
def parse(
    rounds: Rounds = 3,
    frames: Annotated[int, typer.Option(min=100, help="Frames of a venue and market in a round, at least")] = 20_000,
    as_json: AsJson = False,
) -> None:
    """Captured frame to exact trade, against cryptofeed.  Example: sofia bench parse --rounds 5."""
    with interruptible("stopped; nothing is left behind"):
        about = machine()
        _show("parse", about, parse_bench.run(say, rounds=rounds, frames_min=frames), as_json=as_json)


@bench.command("sinks")
def sinks(
    trades: Annotated[int, typer.Option(min=10_000, help="Distinct trades, 12 instruments")] = 500_000,
    rate: Rate = 60_000.0,
    rounds: Rounds = 1,
    only: Annotated[str, typer.Option(help="Of questdb, postgres, redis, with commas")] = "questdb,redis",
    as_json: AsJson = False,
) -> None:
    """Rows a second into QuestDB, entries a second into Redis, from the log.  Example: sofia bench sinks --rounds 3."""
    about, chosen = machine(), _chosen(only, sinks_bench.WORKERS)
    with _servers(fallback="postgres" in chosen) as settings:
        run = sinks_bench.run(settings, settings.data_dir, say, trades=trades, rate=rate, rounds=rounds, sinks=chosen)
        _show("sinks", about, asyncio.run(run), as_json=as_json)


@bench.command("live")
def live(
    rate: Annotated[float, typer.Option(min=1, help="Trades a second and venue")] = 1_000.0,
    seconds: Annotated[float, typer.Option(min=5)] = 60.0,
    as_json: AsJson = False,
) -> None:
    """The whole pipeline under a steady load: lag, latency, CPU, memory.  Example: sofia bench live --rate 1000."""
    about = machine()
    with _servers() as settings:
        result = asyncio.run(live_bench.run(settings, settings.data_dir, say, rate=rate, seconds=seconds))
        _show("live", about, result, as_json=as_json)


_SIGNALS_PARTS = ("live", "scoring", "indicators", "training")


@bench.command("signals")
def signals(
    only: Annotated[str, typer.Option(help="Of live, scoring, indicators, training, with commas")] = ",".join(
        _SIGNALS_PARTS
    ),
    rate: Annotated[float, typer.Option(min=1, help="Trades a second and venue (live)")] = 1_000.0,
    seconds: Annotated[float, typer.Option(min=5, help="Of live, once bars are scored")] = 60.0,
    rounds: Rounds = 3,
    bars: Annotated[int, typer.Option(min=2_000, help="Bars in a round (indicators)")] = 20_000,
    as_json: AsJson = False,
) -> None:
    """Trade to prediction in the log; scoring and indicators against others.  Example: sofia bench signals --rounds 5.

    Live: every worker, bars of a second, a model in force.
    """
    about, chosen, result = machine(), _chosen(only, _SIGNALS_PARTS), dict[str, Any]()
    with interruptible("stopped; nothing is left behind"):
        if "scoring" in chosen:
            result["scoring"] = scoring_bench.run(say, rounds=rounds)
        if "indicators" in chosen:
            result["indicators"] = indicators_bench.run(say, rounds=rounds, bars=bars)
        if "training" in chosen:
            result["training"] = scoring_bench.deterministic(say)
    if "live" in chosen:
        with _servers() as settings:
            run = signals_bench.run(settings, settings.data_dir, say, rate=rate, seconds=seconds)
            result["live"] = asyncio.run(run)
    if as_json:
        _show("signals", about, result, as_json=True)
    else:
        show({"bench": "signals", "machine": about}, as_json=False)
        show_rows("figures", rows(result), as_json=False)


@bench.command("backtest")
def backtest(
    only: Annotated[str, typer.Option(help="Of inline, scored, orders, with commas")] = ",".join(backtest_bench.PARTS),
    rounds: Rounds = 3,
    as_json: AsJson = False,
) -> None:
    """Bars a second of backtests, against backtesting.py; the cost of an order.  Example: sofia bench backtest."""
    about, chosen = machine(), _chosen(only, backtest_bench.PARTS)
    with interruptible("stopped; nothing is left behind"):
        _show("backtest", about, backtest_bench.run_all(say, rounds=rounds, parts=chosen), as_json=as_json)
