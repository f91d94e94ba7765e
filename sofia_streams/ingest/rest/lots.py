"""How finely venues trade, from their last kept answers, for paper trading. Asks nobody, and loads no ccxt.

What it does not do: keep answers (`instruments`), or say how old they are.
"""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal

from sofia_streams.core.oms.rules import Lot
from sofia_streams.ingest.rest.instruments import Place, read_kept
from sofia_streams.settings import Settings

_LOOK_S = 0.25


def kept_lots(settings: Settings) -> dict[tuple[str, str], Lot]:
    """Tick, step and minimums by (venue, unified symbol), of the venues and market in the settings; {} where no answer
    was kept. A pair that `SYMBOL_OVERRIDES` gives another listing has that one's.

    Quantities are in what the venue counts trades in: the base currency, or contracts.
    """
    place, market, found = Place.of(settings), settings.crypto_market, dict[tuple[str, str], Lot]()
    overrides = {(venue, listing): symbol for (venue, symbol), listing in settings.listings().items()}
    for venue in settings.crypto_exchanges:
        overridden = dict[tuple[str, str], Lot]()
        for one in read_kept(place, venue, market):
            sizes = (one.price_tick, one.quantity_step, one.quantity_min, one.notional_min)
            lot = Lot(*(_above_zero(size) for size in sizes))
            found[venue, one.symbol] = lot
            if (symbol := overrides.get((venue, one.listing))) is not None:
                overridden[venue, symbol] = lot
        found |= overridden
    return found


async def wait_for_lots(settings: Settings, seconds: float) -> None:
    """Until some venue's answer is kept (`crypto_ws` asks as it starts), at most so long."""
    until_s = time.monotonic() + seconds
    while not kept_lots(settings) and time.monotonic() < until_s:  # noqa: ASYNC110  another process keeps them
        await asyncio.sleep(_LOOK_S)


def _above_zero(size: Decimal | None) -> Decimal | None:
    """A size that was damaged in its file is not known."""
    return size if size is not None and size.is_finite() and size > 0 else None
