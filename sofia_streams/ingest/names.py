"""Which unified symbol a venue's name stands for: the one subscribed, the user's, or what the name itself says."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from sofia_streams.errors import UnknownSymbol
from sofia_streams.model import Market
from sofia_streams.venues.registry import VENUES
from sofia_streams.venues.symbols import unified

_CHARS_MAX = 40


class Names:
    """Unified symbols of listings.

    `listings` is (venue, unified pair) to the venue's name, where the rule of the venue does not give it
    (`SYMBOL_OVERRIDES`). `guesses` says whether a joined name that is in no table may be split at the longest known
    quote: in a recording it may, live it is refused.
    """

    def __init__(self, listings: Mapping[tuple[str, str], str] = {}, *, guesses: bool = True) -> None:
        self._listings = dict(listings)
        self._guesses = guesses
        self._subscribed: dict[tuple[str, Market, str], str] = {}
        self.unified = lru_cache(maxsize=10_000)(self._unified)

    def listing(self, venue: str, market: Market, symbol: str) -> str:
        """The venue's name of a pair that is to be subscribed; from now on it stands for that pair."""
        name = self._listings.get((venue, symbol)) or VENUES[venue].to_listing(symbol, market)
        try:
            _, guessed = VENUES[venue].from_listing(name, market)
        except UnknownSymbol:
            guessed = True
        if guessed:
            base, _, quote = symbol.partition("/")
            self._subscribed[venue, market, name] = unified(base, quote, market)
            self.unified.cache_clear()
        return name

    def _unified(self, venue: str, market: Market, listing: str) -> str:
        """The unified symbol; see class. Raises UnknownSymbol."""
        if (venue, market, listing) in self._subscribed:
            return self._subscribed[venue, market, listing]
        if not (0 < len(listing) <= _CHARS_MAX and listing.isprintable()) or "|" in listing:  # it parts our own names
            raise UnknownSymbol(
                f"{venue}: expected a name of at most {_CHARS_MAX} characters without |, found {listing[:40]!r}"
            )
        symbol, guessed = VENUES[venue].from_listing(listing, market)
        if guessed and not self._guesses:
            raise UnknownSymbol(
                f"{venue}: expected a name that was subscribed or is in the table, found {listing[:40]!r}, which could "
                f"be split in several ways. Say which: SYMBOL_OVERRIDES={venue}:{symbol}={listing[:40]}"
            )
        return symbol
