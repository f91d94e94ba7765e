"""What a venue lists, and how finely it trades: tick, step, minimum, contract size. From its REST, through ccxt.

The last answer of every venue is kept as JSON, for when the venue cannot be asked. No live frame waits for any of it.
"""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import structlog

from sofia_streams.errors import DependencyDown, SofiaError, UnknownSymbol
from sofia_streams.files import write_whole
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.rest.client import Rest, exact, open_rest
from sofia_streams.model import Market
from sofia_streams.settings import Settings

_SCHEMA = 1
_NEAR_MAX = 3
_log = structlog.get_logger("instruments")


class Instrument(msgspec.Struct, frozen=True):
    """One instrument as its venue lists it; None where the venue does not say.

    `symbol` as ccxt writes it, `listing` the venue's own name; `price_tick` and `quantity_step` are what prices and
    quantities are multiples of; `notional_min` is in the quote currency; `as_of_ns` is when the venue said all this.
    """

    venue: str
    market: Market
    symbol: str
    listing: str
    base: str
    quote: str
    settle: str | None
    contract_size: Decimal | None
    price_tick: Decimal | None
    quantity_step: Decimal | None
    quantity_min: Decimal | None
    notional_min: Decimal | None
    active: bool
    as_of_ns: int


class _Kept(msgspec.Struct):
    """The file of one venue and market."""

    schema: int
    as_of_ns: int
    ccxt: str
    instruments: list[Instrument]


class Place(NamedTuple):
    """Where to ask, and where answers are kept.

    rest_urls   by venue; of the others ccxt knows the hosts
    kept        the folder of kept answers; None: none are kept
    budgets     the folder of the budgets that other processes go by as well; None: this process has its own
    say         told, in one line, what a reader of the result must know
    """

    rest_urls: Mapping[str, str] = {}
    kept: Path | None = None
    say: Callable[[str], None] = _log.warning
    budgets: Path | None = None

    @classmethod
    def of(cls, settings: Settings, say: Callable[[str], None] = _log.warning) -> Place:
        """The venues, or the simulator that stands in for them; what it says is kept apart.

        All processes of a data directory go by the same budgets.
        """
        folder, budgets = settings.data_dir / "instruments", settings.data_dir / "rest"
        if settings.simulator_url is None:
            return cls({}, folder, say, budgets)
        host = settings.simulator_url.replace("ws://", "http://", 1)
        urls: dict[str, str] = {venue: f"{host}/{venue}" for venue in settings.crypto_exchanges}
        return cls(urls, folder / "simulated", say, budgets)

    def rest(self, venue: str, market: Market) -> AbstractAsyncContextManager[Rest]:
        """A client of a venue there, as `open_rest`."""
        return open_rest(venue, market, self.rest_urls.get(venue), self.budgets)


REAL = Place()
"""The venues themselves, and nothing kept."""


async def listed(venue: str, market: Market, place: Place = REAL) -> dict[str, Instrument]:
    """All instruments of a market by the venue's own name: asked now, else (and said so) as they were kept.

    Raises DependencyDown where neither is to be had.
    """
    path = _path(place, venue, market)
    try:
        found = await _ask(venue, market, place)
    except DependencyDown as error:
        kept = _read(path) if path else None
        if kept is None:
            raise
        place.say(f"{error} Shown is what it said {_age(time.time_ns() - kept.as_of_ns)} ago.")
        found = kept.instruments
    else:
        if path:
            _write(path, found, place.say)
    return {one.listing: one for one in found}


def read_kept(place: Place, venue: str, market: Market) -> list[Instrument]:
    """What is kept of a venue's last answer; [] where nothing is, or it cannot be read."""
    path = _path(place, venue, market)
    kept = _read(path) if path else None
    return kept.instruments if kept else []


async def load_instruments(
    venue: str,
    market: Market,
    symbols: Sequence[str],
    *,
    listings: Mapping[tuple[str, str], str] = {},
    place: Place = REAL,
) -> list[Instrument]:
    """The instruments of these pairs (`BTC/USDT`), in their order; `listings` as in `Settings.listings()`.

    Raises DependencyDown, and UnknownSymbol that names every pair the venue does not list and what comes near it.
    """
    found, unlisted = _choose(await listed(venue, market, place), venue, market, symbols, listings)
    if unlisted:
        raise UnknownSymbol(" ".join(str(one) for one in unlisted))
    return found


class Unlisted(NamedTuple):
    """A pair that a venue does not list, and what it lists with names near it."""

    venue: str
    symbol: str
    listing: str
    near: list[str]

    def __str__(self) -> str:
        near = f"near it are {', '.join(self.near)}" if self.near else "nothing there has a name near it"
        return f"{self.venue}: expected {self.symbol} to be listed, found no {self.listing}; {near}."


class Survey(NamedTuple):
    """What several venues say: instruments found, pairs not listed, and venues without an answer with the reason."""

    instruments: list[Instrument]
    unlisted: list[Unlisted]
    failed: dict[str, str]


async def survey(settings: Settings, venues: Sequence[str], symbols: Sequence[str], place: Place) -> Survey:
    """Ask all these venues at once; one that does not answer takes nothing from the others."""
    market, listings = settings.crypto_market, settings.listings()
    answers = await asyncio.gather(*(listed(venue, market, place) for venue in venues), return_exceptions=True)
    result = Survey([], [], {})
    for venue, answer in zip(venues, answers, strict=True):
        if isinstance(answer, SofiaError):
            result.failed[venue] = str(answer)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            found, unlisted = _choose(answer, venue, market, symbols, listings)
            result.instruments.extend(found)
            result.unlisted.extend(unlisted)
    return result


def _choose(
    by_listing: Mapping[str, Instrument],
    venue: str,
    market: Market,
    symbols: Sequence[str],
    listings: Mapping[tuple[str, str], str],
) -> tuple[list[Instrument], list[Unlisted]]:
    names, found, unlisted = Names(listings), [], []
    for symbol in symbols:
        name = names.listing(venue, market, symbol)
        if name in by_listing:
            found.append(by_listing[name])
        else:
            unlisted.append(Unlisted(venue, symbol, name, _near(symbol, by_listing)))
    return found, unlisted


def _near(symbol: str, by_listing: Mapping[str, Instrument]) -> list[str]:
    """Pairs, best first; what does not trade now is no help."""
    pairs = dict.fromkeys(f"{one.base}/{one.quote}" for one in by_listing.values() if one.active)
    return difflib.get_close_matches(symbol, pairs, n=_NEAR_MAX)


async def _ask(venue: str, market: Market, place: Place) -> list[Instrument]:
    what = f"its list of {market} instruments"
    async with place.rest(venue, market) as rest:
        markets = await rest.ask(what, rest.exchange.load_markets, weight=20 if venue == "binance" else 2)
    as_of_ns, found, unread = time.time_ns(), [], []
    for row in markets.values():
        if row.get(market) and not row.get("option"):
            try:
                found.append(_instrument(venue, market, row, as_of_ns))
            except (ValueError, msgspec.ValidationError) as error:
                unread.append(f"{row.get('id')}: {error}")
    if not found:
        raise DependencyDown(f"{venue}: expected {what}, found none in its answer. Try again later.")
    if unread:
        place.say(f"{venue}: {len(unread)} instruments could not be read and are left out, first {unread[0][:200]}")
    return found


def _instrument(venue: str, market: Market, row: Mapping[str, Any], as_of_ns: int) -> Instrument:
    """From ccxt's market structure, whose precisions are sizes of a step. Raises ValueError."""
    limits, precision = row["limits"], row["precision"]
    return msgspec.convert(
        {
            "venue": venue,
            "market": market,
            "symbol": row["symbol"],
            "listing": row["id"],
            "base": row["base"],
            "quote": row["quote"],
            "settle": row["settle"],
            "contract_size": _size(row["contractSize"]),
            "price_tick": _size(precision["price"]),
            "quantity_step": _size(precision["amount"]),
            "quantity_min": _size(limits["amount"]["min"]),
            "notional_min": _size(limits["cost"]["min"]),
            "active": row["active"] is not False,
            "as_of_ns": as_of_ns,
        },
        Instrument,
    )


def _size(text: str | None) -> Decimal | None:
    """Above zero, without trailing zeros; None where the venue says nothing, or zero for it."""
    value = exact(text)
    if not value:
        return None
    if value < 0:
        raise ValueError(f"expected a size above zero, found {text!r}")
    plain = f"{value:f}"
    return Decimal(plain.rstrip("0").rstrip(".") if "." in plain else plain)


def _path(place: Place, venue: str, market: Market) -> Path | None:
    return place.kept / f"{venue}-{market}.json" if place.kept else None


def _read(path: Path) -> _Kept | None:
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (OSError, msgspec.MsgspecError, UnicodeError):
        return None
    return kept if kept.schema == _SCHEMA and kept.instruments else None


def _write(path: Path, found: list[Instrument], say: Callable[[str], None]) -> None:
    """Whole or not at all; a full disk costs the kept answer, not the answer."""
    import ccxt

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, msgspec.json.encode(_Kept(_SCHEMA, found[0].as_of_ns, str(ccxt.__version__), found)))
    except OSError as error:
        say(f"the answer of {found[0].venue} could not be kept: {error}")


def _age(age_ns: int) -> str:
    minutes = max(0, age_ns) // 60_000_000_000
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"
