"""Candles of every configured pair from one venue, to train on where there are no bars of our own yet.

What it does not do: fetch or write a file (`download`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sofia_streams.errors import ConfigError
from sofia_streams.ingest.rest.klines import Size, check_serves
from sofia_streams.ops.replay.download import Order, download
from sofia_streams.settings import Settings

DAYS: dict[Size, int] = {"1s": 1, "1m": 30}
"""Whole days back, where nothing else is asked for."""
Report = Callable[[str, int, int], None]
"""What is being done, how much of it is done, out of how much."""


async def candles_of_venues(settings: Settings, size: Size, days: int | None, report: Report) -> Path:
    """The folder with the candles of all pairs, of the first configured venue that has candles of this size.

    What is there whole is not fetched again. Raises ConfigError where no venue has any, and as `download`.
    """
    venue = first_venue(settings, size)
    folder = settings.data_dir / "candles" / f"{venue}-{size}"
    own = settings.model_copy(update={"crypto_exchanges": (venue,)})
    for symbol in settings.crypto_symbols:
        order = Order(venue, settings.crypto_market, symbol, size, days or DAYS[size], folder)
        await download(own, order, lambda done, of, name=symbol: report(f"{venue} {name} {size}", done, of))  # type: ignore[misc]
    return folder


def first_venue(settings: Settings, size: Size) -> str:
    """The first configured one that has candles of this size. Raises ConfigError where none has."""
    for venue in settings.crypto_exchanges:
        try:
            check_serves(venue, settings.crypto_market, size)
        except ConfigError:
            continue
        return venue
    raise ConfigError(
        f"training: expected a venue of CRYPTO_EXCHANGES that has candles of {size}, found none among "
        f"{', '.join(settings.crypto_exchanges)}. Give --data, or wait until there are bars of our own."
    )
