"""Commands on what venues list and their own candles: instruments, klines. Asks the venues; changes nothing of ours."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from sofia_streams.cli.output import AsJson, say, show, show_rows, wrong_use

_SHOWN = ("price_tick", "quantity_step", "quantity_min", "notional_min", "contract_size")


def instruments(
    venues: Annotated[str | None, typer.Option(help="Comma list; default: CRYPTO_EXCHANGES")] = None,
    symbols: Annotated[str | None, typer.Option(help="Comma list of pairs; default: CRYPTO_SYMBOLS")] = None,
    as_json: AsJson = False,
) -> None:
    """Tick, step and limits of every pair at every venue.  Example: sofia instruments --symbols BTC/USDT,ETH/USDT.

    Exit code 1 when a venue gave no answer or does not list a pair; each has its line on stderr, the others are shown.
    """
    from sofia_streams.ingest.rest.instruments import Place, survey
    from sofia_streams.ops.supervision.running import running_or_configured

    settings = running_or_configured()
    names = _venues(venues) if venues else settings.crypto_exchanges
    pairs = [_pair(text, "--symbols") for text in symbols.split(",")] if symbols else settings.crypto_symbols
    settings = settings.model_copy(update={"crypto_exchanges": names})
    found = asyncio.run(survey(settings, names, list(dict.fromkeys(pairs)), Place.of(settings, say)))
    rows = [
        {
            **{name: getattr(one, name) for name in ("venue", "market", "symbol", "listing")},
            **{name: _plain(getattr(one, name)) for name in _SHOWN},
            "active": one.active,
            "as_of": f"{datetime.fromtimestamp(one.as_of_ns // 10**9, UTC):%Y-%m-%dT%H:%M:%SZ}",
        }
        for one in found.instruments
    ]
    for text in (*found.failed.values(), *map(str, found.unlisted)):
        say(text)
    if as_json:
        unlisted = [one._asdict() for one in found.unlisted]
        show({"instruments": rows, "unlisted": unlisted, "failed": found.failed}, as_json=True)
    else:
        show_rows("instruments", rows, as_json=False)
    if found.failed or found.unlisted:
        raise typer.Exit(1)


def klines(
    venue: Annotated[str, typer.Argument(help="binance, okx, coinbase or bybit")],
    symbol: Annotated[str, typer.Argument(help="A pair, like BTC/USDT")],
    start: Annotated[str, typer.Option("--from", help="UTC, like 2026-01-31T12:00")],
    end: Annotated[str, typer.Option("--to", help="UTC; not inside")],
    as_json: AsJson = False,
) -> None:
    """A venue's own 1m candles, exact.  Example: sofia klines okx BTC/USDT --from 2026-01-31 --to 2026-02-01.

    Closed candles only. Exit code 1 when the venue gave no answer or does not list the pair.
    """
    from msgspec.structs import asdict

    from sofia_streams.ingest.rest.instruments import Place
    from sofia_streams.ingest.rest.klines import fetch_klines
    from sofia_streams.ops.supervision.running import running_or_configured
    from sofia_streams.ops.times import stretch_of

    pair = _pair(symbol, "SYMBOL")
    with wrong_use():
        start_ns, end_ns = stretch_of(start, end)
    settings = running_or_configured().model_copy(update={"crypto_exchanges": _venues(venue)})
    found = asyncio.run(
        fetch_klines(
            venue, settings.crypto_market, pair, "1m", start_ns, end_ns,
            listings=settings.listings(), place=Place.of(settings, say),
        )
    )  # fmt: skip
    rows = [{name: _plain(value) for name, value in asdict(one).items()} for one in found]
    show_rows("klines", rows, as_json=as_json)


def backfill(
    venue: Annotated[str, typer.Option(help="binance, okx, coinbase or bybit")],
    symbol: Annotated[str, typer.Option(help="A pair, like BTC/USDT")],
    start: Annotated[str, typer.Option("--from", help="UTC, like 2026-01-31T12:00")],
    end: Annotated[str, typer.Option("--to", help="UTC; not inside")],
    as_json: AsJson = False,
) -> None:
    """A stretch of trades from a venue into the log.  Example: sofia backfill --venue okx --symbol BTC/USDT ...

    `--from 2026-01-31T12:00 --to 2026-01-31T12:05` go with it. Only what the log does not have is fetched; bars are
    revised and stores written by the running workers. Bybit gives its last 60 trades only. Exit code 0 when the stretch
    is complete, 1 when the venue did not give it all or gave no answer, 2 when its end is still to come.
    """
    from sofia_streams.ingest.log_trades import Instrument
    from sofia_streams.ops.backfill import backfill as run
    from sofia_streams.ops.backfill import past_stretch_of
    from sofia_streams.ops.supervision.running import running_or_configured

    with wrong_use():
        from_ns, to_ns = past_stretch_of(start, end)
    settings = running_or_configured().model_copy(update={"crypto_exchanges": _venues(venue)})
    wanted = Instrument(venue, settings.crypto_market, _pair(symbol, "--symbol"))
    done = asyncio.run(run(settings, wanted, from_ns, to_ns, say))
    show(done._asdict(), as_json=as_json)
    if not done.is_whole:
        raise typer.Exit(1)


def _venues(text: str) -> tuple[str, ...]:
    """Raises ConfigError for one that there is not."""
    from sofia_streams.venues.registry import check_venue

    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        check_venue(name)
    return names


def _pair(text: str, option: str) -> str:
    from sofia_streams.settings.values import unified_name

    try:
        return unified_name(text.strip())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _plain(value: Any) -> Any:
    return f"{value:f}" if isinstance(value, Decimal) else value
