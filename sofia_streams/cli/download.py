"""The command that fetches a venue's candles into files. Asks the venue; changes nothing of ours."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from sofia_streams.cli.output import AsJson, interruptible, say, show, wrong_use
from sofia_streams.cli.progress import drawn


def download(
    venue: Annotated[str, typer.Option(help="binance, okx, coinbase or bybit")],
    symbol: Annotated[str, typer.Option(help="A pair, like BTC/USDT")],
    out: Annotated[Path, typer.Option(help="The folder of the files; made where it is not there")],
    days: Annotated[int, typer.Option(min=1, max=3_660, help="Whole UTC days back, and today so far")] = 30,
    size: Annotated[Literal["1s", "1m"], typer.Option(help="Of the candles; 1s: binance spot and okx")] = "1m",
    as_json: AsJson = False,
) -> None:
    """A venue's own candles as Parquet.  Example: sofia download --venue okx --symbol BTC/USDT --days 90 --out bars.

    One file a UTC day, columns as of `sofia export bars_1m`; `sofia train --data bars` reads them. The same command
    again fetches only what is not there whole. Exit code 1 when the venue gave no answer, or does not list the pair.
    """
    from sofia_streams.ingest.rest.klines import check_serves
    from sofia_streams.ops.replay.download import Order
    from sofia_streams.ops.replay.download import download as run
    from sofia_streams.ops.supervision.running import running_or_configured
    from sofia_streams.settings.values import unified_name

    try:
        pair = unified_name(symbol.strip())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--symbol") from None
    settings = running_or_configured()
    with wrong_use():
        check_serves(venue, settings.crypto_market, size)
    settings = settings.model_copy(update={"crypto_exchanges": (venue,)})
    order = Order(venue, settings.crypto_market, pair, size, days, out)
    with interruptible("stopped; whole days stay, and the same command goes on from there"), drawn() as report:
        done = asyncio.run(run(settings, order, partial(report, f"{pair} {size}")))
    for date in done.empty:
        say(f"{venue} has no candle of {date}")
    show({"folder": str(out), "is_synthetic": settings.simulator_url is not None, **done._asdict()}, as_json=as_json)
