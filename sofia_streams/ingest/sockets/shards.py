"""How the configured instruments are spread over connections. Opens none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sofia_streams.core.bars.windows import instrument_key
from sofia_streams.ingest.names import Names
from sofia_streams.model import Market
from sofia_streams.settings import Settings
from sofia_streams.venues.registry import VENUES


class Shard(NamedTuple):
    """The instruments of a venue that share a connection, by the venue's own names, and where to connect.

    Connections of one `group` carry the same instruments, as lines beside one another.
    """

    venue: str
    market: Market
    name: str
    listings: Sequence[str]
    url: str
    group: str


def shards(settings: Settings, names: Names) -> list[Shard]:
    """One for every connection that ingest keeps. Raises UnknownSymbol."""
    found = []
    market = settings.crypto_market
    for venue in settings.crypto_exchanges:
        listings = [names.listing(venue, market, symbol) for symbol in settings.crypto_symbols]
        url = f"{settings.simulator_url}/{venue}/{market}" if settings.simulator_url else VENUES[venue].url(market)
        size = VENUES[venue].limits.symbols_max
        for number, first in enumerate(range(0, len(listings), size)):
            group, carried = f"{venue}-{number}", listings[first : first + size]
            names_of_lines = [group, *(f"{group}-line{line}" for line in range(2, settings.crypto_lines + 1))]
            found += [Shard(venue, market, name, carried, url, group) for name in names_of_lines]
    return found


def listings_of(shard: Shard, names: Names) -> dict[str, str]:
    """The listings of a connection by instrument; an instrument has the name under which its data comes."""
    found = {}
    for listing in shard.listings:
        symbol = names.unified(shard.venue, shard.market, VENUES[shard.venue].sent_as(listing))
        found[instrument_key(shard.venue, shard.market, symbol)] = listing
    return found


def instruments_of(shard: Shard, names: Names) -> set[str]:
    """The instruments that may come on a connection: each listing's, by its own name and by that of its data."""
    venue, market = shard.venue, shard.market
    called = [name for listing in shard.listings for name in (listing, VENUES[venue].sent_as(listing))]
    return {instrument_key(venue, market, names.unified(venue, market, name)) for name in called}
