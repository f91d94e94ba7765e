"""A venue's own candles over a span of time, exact, from its REST through ccxt. For backfill and checks, not live.

What it does not do: fill minutes that a venue leaves out (Coinbase leaves out those without a trade), or correct what a
venue defines differently (Bybit opens a minute at the close of the one before).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import msgspec

from sofia_streams.core.bars.windows import SIZES_NS
from sofia_streams.errors import BadFrame, ConfigError, UnknownSymbol
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.rest.client import Rest, exact
from sofia_streams.ingest.rest.instruments import REAL, Place, load_instruments
from sofia_streams.model import NS_PER_MS, NS_PER_SECOND, Market
from sofia_streams.scored import Kline

Size = Literal["1s", "1m"]
_OKX_RECENT = 1_400
"""OKX's `candles` has the last 1,440; what is older is in `history-candles`."""


class _Page(NamedTuple):
    """Candles to ask for: the first and last start, both inside, ms."""

    listing: str
    size: Size
    from_ms: int
    to_ms: int
    now_ms: int

    @property
    def rows(self) -> int:
        return (self.to_ms - self.from_ms) // self.step_ms + 1

    @property
    def step_ms(self) -> int:
        return SIZES_NS[self.size] // NS_PER_MS


class _Source(NamedTuple):
    """How a venue serves candles.

    columns     where start, open, high, low, close, volume, quote volume, buy volume and count stand in a row
    unit_ns     of a row's start
    weight      of a page, as the venue counts
    """

    ask: Callable[[Rest, _Page], Any]
    rows_of: Callable[[Any], Any]
    columns: Sequence[int | None]
    rows_max: int
    sizes: tuple[Size, ...] = ("1m",)
    unit_ns: int = NS_PER_MS
    weight: int = 1


def _ask_binance(rest: Rest, page: _Page) -> Any:
    call = {"spot": "publicGetKlines", "linear": "fapiPublicGetKlines", "inverse": "dapiPublicGetKlines"}[rest.market]
    span = {"startTime": page.from_ms, "endTime": page.to_ms, "limit": page.rows}
    return getattr(rest.exchange, call)({"symbol": page.listing, "interval": page.size, **span})


def _ask_okx(rest: Rest, page: _Page) -> Any:
    is_recent = page.from_ms > page.now_ms - _OKX_RECENT * page.step_ms
    call = rest.exchange.publicGetMarketCandles if is_recent else rest.exchange.publicGetMarketHistoryCandles
    span = {"before": page.from_ms - 1, "after": page.to_ms + 1, "limit": page.rows}  # newer than, older than
    return call({"instId": page.listing, "bar": page.size, **span})


def _ask_coinbase(rest: Rest, page: _Page) -> Any:
    span = {"start": rest.exchange.iso8601(page.from_ms), "end": rest.exchange.iso8601(page.to_ms)}
    return rest.exchange.publicGetProductsIdCandles({"id": page.listing, "granularity": page.step_ms // 1000, **span})


def _ask_bybit(rest: Rest, page: _Page) -> Any:
    span = {"interval": "1", "start": page.from_ms, "end": page.to_ms, "limit": page.rows}
    return rest.exchange.publicGetV5MarketKline({"category": rest.market, "symbol": page.listing, **span})


_SOURCES = {
    "binance": _Source(_ask_binance, lambda found: found, (0, 1, 2, 3, 4, 5, 7, 9, 8), 1_000, ("1s", "1m"), weight=10),
    "okx": _Source(_ask_okx, lambda found: found["data"], (0, 1, 2, 3, 4, 5, 7, None, None), 300, ("1s", "1m")),
    "coinbase": _Source(
        _ask_coinbase, lambda found: found, (0, 3, 2, 1, 4, 5, None, None, None), 300, unit_ns=NS_PER_SECOND
    ),
    "bybit": _Source(_ask_bybit, lambda found: found["result"]["list"], (0, 1, 2, 3, 4, 5, 6, None, None), 1_000),
}


async def fetch_klines(
    venue: str,
    market: Market,
    symbol: str,
    size: Size,
    start_ns: int,
    end_ns: int,
    *,
    listings: Mapping[tuple[str, str], str] = {},
    place: Place = REAL,
    now_ns: int | None = None,
) -> list[Kline]:
    """The closed candles of a pair (`BTC/USDT`) that start in [start_ns, end_ns): ascending, each once.

    Raises ConfigError for a size or span the venue cannot serve, DependencyDown, BadFrame, and UnknownSymbol with names
    near the one asked for.
    """
    _checked(venue, market, size, start_ns, end_ns)  # before a client is opened, which takes a second
    async with place.rest(venue, market) as rest:
        return await klines_over(rest, symbol, size, start_ns, end_ns, listings=listings, place=place, now_ns=now_ns)


async def klines_over(
    rest: Rest,
    symbol: str,
    size: Size,
    start_ns: int,
    end_ns: int,
    *,
    listings: Mapping[tuple[str, str], str] = {},
    place: Place = REAL,
    now_ns: int | None = None,
) -> list[Kline]:
    """As `fetch_klines`, over an open client: for who asks for several pairs."""
    source = _checked(rest.venue, rest.market, size, start_ns, end_ns)
    listing = Names(listings).listing(rest.venue, rest.market, symbol)
    step_ns, now_ns = SIZES_NS[size], time.time_ns() if now_ns is None else now_ns
    first_ns, last_ns = -(-start_ns // step_ns) * step_ns, min(end_ns - 1, now_ns - step_ns) // step_ns * step_ns
    found: dict[int, Kline] = {}
    for from_ns in range(first_ns, last_ns + 1, step_ns * source.rows_max):
        to_ns = min(last_ns, from_ns + step_ns * (source.rows_max - 1))
        page = _Page(listing, size, from_ns // NS_PER_MS, to_ns // NS_PER_MS, now_ns // NS_PER_MS)
        for kline in await _ask(rest, source, page, symbol, listings, place):
            if from_ns <= kline.start_ns <= to_ns:
                found[kline.start_ns] = kline
    return [found[at_ns] for at_ns in sorted(found)]


def serves(venue: str, market: Market, size: Size) -> bool:
    """Whether a venue has candles of this size."""
    source = _SOURCES.get(venue)
    return source is not None and size in _sizes(source, venue, market)


def check_serves(venue: str, market: Market, size: Size) -> None:
    """Raises ConfigError where a venue has no candles of this size."""
    _checked(venue, market, size, 0, 1)


def _sizes(source: _Source, venue: str, market: Market) -> tuple[Size, ...]:
    return source.sizes if market == "spot" or venue == "okx" else ("1m",)


def _checked(venue: str, market: Market, size: Size, start_ns: int, end_ns: int) -> _Source:
    source = _SOURCES.get(venue)
    if source is None:
        raise ConfigError(f"klines: expected a venue of {', '.join(_SOURCES)}, found {venue[:40]!r}.")
    sizes = _sizes(source, venue, market)
    if size not in sizes:
        raise ConfigError(f"klines: {venue} {market} has candles of {' and '.join(sizes)}, found {size!r}.")
    if not 0 <= start_ns < end_ns:
        raise ConfigError(f"klines: expected a start before the end, found {start_ns} and {end_ns} ns.")
    return source


async def _ask(
    rest: Rest, source: _Source, page: _Page, symbol: str, listings: Mapping[tuple[str, str], str], place: Place
) -> list[Kline]:
    try:
        answer = await rest.ask(f"candles of {page.listing}", lambda: source.ask(rest, page), weight=source.weight)
    except UnknownSymbol:
        await load_instruments(rest.venue, rest.market, [symbol], listings=listings, place=place)  # says what is near
        raise
    try:
        rows = [_kline(source, row, page.step_ms * NS_PER_MS) for row in source.rows_of(answer)]
    except (ValueError, LookupError, TypeError) as error:
        frame = str(answer).encode()
        raise BadFrame(rest.venue, "rows of candles with plain numbers", repr(error), frame) from error
    if rest.market == "inverse" and rest.venue != "okx":
        return [msgspec.structs.replace(row, quote_volume=None) for row in rows]  # in the base currency there
    return rows


def _kline(source: _Source, row: Sequence[Any], step_ns: int) -> Kline:
    """One row. Raises ValueError, LookupError, TypeError."""
    start, *prices, volume, quote, bought, count = [None if at is None else str(row[at]) for at in source.columns]
    opened, high, low, close = (_needed(price) for price in prices)
    if not 0 < low <= min(opened, close) <= max(opened, close) <= high:
        raise ValueError(f"expected low <= open, close <= high above zero, found {prices}")
    start_ns = int(_needed(start)) * source.unit_ns
    if start_ns % step_ns:
        raise ValueError(f"expected a start where windows have theirs, found {start}")
    return Kline(
        start_ns,
        opened,
        high,
        low,
        close,
        _needed(volume),
        _known(quote),
        _known(bought),
        None if count is None else int(count),
    )


def _needed(text: str | None) -> Decimal:
    value = _known(text)
    if value is None:
        raise ValueError(f"expected a number from zero, found {text!r}")
    return value


def _known(text: str | None) -> Decimal | None:
    value = exact(text)
    if value is not None and value < 0:
        raise ValueError(f"expected a number from zero, found {text!r}")
    return value
