"""Trades that have passed, from a venue's REST through ccxt: by their ids, or the newest. For backfill, not live.

What it does not do: look for holes, or fill what the venue itself leaves out. A page is taken whole or not at all: one
that is not what was asked for is a BadFrame with the page, one that was cut is asked for again (`Rest.ask`).
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import pairwise
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from sofia_streams.core.feeds.id_search import IdSearch
from sofia_streams.core.feeds.plausible import time_trouble
from sofia_streams.errors import BadFrame, ConfigError
from sofia_streams.ingest.rest.client import Rest
from sofia_streams.model import IdKind, Trade
from sofia_streams.venues.registry import VENUES

_FRAME_BYTES_MAX = 65_536


class _Source(NamedTuple):
    """How a venue serves the trades of one id kind.

    ask         (rest, listing, first id of a page, or None for the newest trades)
    rows_of     the rows in an answer
    rows_max    of a page by id, and of the newest trades
    weight      of a page by id, and of the newest trades, as the venue counts
    ascends     a page goes up from the id; else it goes down from the page's last id
    name_key    where a row says whose it is
    """

    ask: Callable[[Rest, str, int | None], Awaitable[Any]]
    rows_of: Callable[[Any], Any]
    rows_max: tuple[int, int]
    weight: tuple[int, int] = (1, 1)
    ascends: bool = False
    name_key: str | None = None
    id_kind: IdKind = "trade"


async def _ask_binance_raw(rest: Rest, listing: str, first_id: int | None) -> Any:
    if first_id is None:
        return await rest.exchange.publicGetTrades({"symbol": listing, "limit": 1_000})
    # the venue wants no key for it any more, ccxt still does: the same request past ccxt's signing
    await rest.exchange.throttle(5.0)
    query = rest.exchange.urlencode({"symbol": listing, "fromId": first_id, "limit": 1_000})
    return await rest.exchange.fetch(f"{rest.exchange.urls['api']['public']}/historicalTrades?{query}")


async def _ask_binance_agg(rest: Rest, listing: str, first_id: int | None) -> Any:
    call = {"spot": "publicGetAggTrades", "linear": "fapiPublicGetAggTrades", "inverse": "dapiPublicGetAggTrades"}
    start = {} if first_id is None else {"fromId": first_id}
    return await getattr(rest.exchange, call[rest.market])({"symbol": listing, "limit": 1_000, **start})


async def _ask_okx(rest: Rest, listing: str, first_id: int | None) -> Any:
    if first_id is None:
        return await rest.exchange.publicGetMarketTrades({"instId": listing, "limit": 500})
    older_than = {"type": "1", "after": first_id + 100, "limit": 100}
    return await rest.exchange.publicGetMarketHistoryTrades({"instId": listing, **older_than})


async def _ask_coinbase(rest: Rest, listing: str, first_id: int | None) -> Any:
    older_than = {} if first_id is None else {"after": first_id + 1_000}
    return await rest.exchange.publicGetProductsIdTrades({"id": listing, "limit": 1_000, **older_than})


async def _ask_bybit(rest: Rest, listing: str, first_id: int | None) -> Any:
    asked = {"category": rest.market, "symbol": listing, "limit": 60 if rest.market == "spot" else 1_000}
    return await rest.exchange.publicGetV5MarketRecentTrade(asked)


_SOURCES: dict[tuple[str, IdKind], _Source] = {
    ("binance", "trade"): _Source(_ask_binance_raw, lambda found: found, (1_000, 1_000), (25, 25), ascends=True),
    ("binance", "agg"): _Source(
        _ask_binance_agg, lambda found: found, (1_000, 1_000), (20, 20), ascends=True, id_kind="agg"
    ),
    ("okx", "trade"): _Source(_ask_okx, lambda found: found["data"], (100, 500), name_key="instId"),
    ("coinbase", "trade"): _Source(_ask_coinbase, lambda found: found, (1_000, 1_000)),
    ("bybit", "trade"): _Source(_ask_bybit, lambda found: found["result"]["list"], (1_000, 1_000), name_key="symbol"),
}


def live_id_kind(rest: Rest) -> IdKind:
    """The ids that this venue's live stream has on this market."""
    return "agg" if rest.venue == "binance" and rest.market != "spot" else "trade"


async def fetch_ids(
    rest: Rest, listing: str, first_id: int, last_id: int, *, id_kind: IdKind
) -> AsyncIterator[list[Trade]]:
    """The trades of a listing with ids in [first_id, last_id], page by page; what the venue has not is left out.

    Each page ascends by id. Pages come as the venue serves them: the oldest first on Binance, the newest first
    elsewhere. Trades are marked `backfilled`. Raises ConfigError where the venue has no trades by such ids; BadFrame,
    DependencyDown, UnknownSymbol.
    """
    source = _source_of(rest, id_kind, by_id=True)
    if not 0 <= first_id <= last_id:
        raise ConfigError(f"trades: expected a first id up to the last one, found {first_id} and {last_id}.")
    low, high = first_id, last_id
    while low <= high:
        found = await _page(rest, source, listing, low if source.ascends else high - source.rows_max[0] + 1)
        wanted = [trade for trade in found if low <= trade.order <= high]
        if wanted:
            yield wanted
        if not found:  # the venue has no more, or has forgotten it
            return
        if source.ascends:
            low = found[-1].order + 1
        else:
            high = found[0].order - 1


async def fetch_recent(rest: Rest, listing: str) -> list[Trade]:
    """The newest trades a venue gives at once (Bybit spot 60, OKX 500, others 1,000), oldest first, `backfilled`.

    On Bybit the order among trades of one sequence is that of the list; their `order` is alike. Raises BadFrame,
    DependencyDown, UnknownSymbol.
    """
    return await _page(rest, _source_of(rest, live_id_kind(rest), by_id=False), listing, None)


def reaches_back(page: Sequence[Trade], from_ns: int) -> bool:
    """Whether the newest trades of a venue have everything since `from_ns`."""
    return bool(page) and page[0].exchange_ns <= from_ns


async def find_id(rest: Rest, listing: str, at_ns: int, *, id_kind: IdKind | None = None) -> int:
    """The first id at or after a time, where ids count: that of the newest trade plus one when all are older.

    Where the venue's memory begins later than that (OKX: three months), the oldest that it has. Few questions where the
    rate of trades is even, else two for each power of four in the distance to now. Raises as `fetch_ids`.
    """
    source = _source_of(rest, id_kind or live_id_kind(rest), by_id=True)
    found, start = _with_times(await _page(rest, source, listing, None)), None
    if not found:
        raise BadFrame(rest.venue, f"trades of {listing}", "none at all", b"[]")
    if found[-1].exchange_ns < at_ns:
        return found[-1].order + 1
    search = IdSearch(at_ns, source.ascends, source.rows_max[0], bound=found[-1].order, answer=found[-1].order)
    while not search.learn(found, start):
        start = search.next_start()
        found = _with_times(await _page(rest, source, listing, start))
    return search.answer


def _with_times(page: Sequence[Trade]) -> list[Trade]:
    """Those whose times may be true: a search by time must not go by the others."""
    now_ns = time.time_ns()
    return [trade for trade in page if time_trouble(trade.exchange_ns, now_ns, history=True) is None]


def _source_of(rest: Rest, id_kind: IdKind, *, by_id: bool) -> _Source:
    source = _SOURCES.get((rest.venue, id_kind))
    if source is None or (by_id and not VENUES[rest.venue].ids_count):
        raise ConfigError(f"trades: {rest.venue} cannot be asked for trades by {id_kind} ids.")
    if rest.venue == "binance" and rest.market != "spot" and id_kind != "agg":
        raise ConfigError("trades: binance gives trades of contracts by agg ids only, without a key.")
    return source


async def _page(rest: Rest, source: _Source, listing: str, start: int | None) -> list[Trade]:
    """The page of ids from `start` on (None: the newest trades), ascending. Raises as `fetch_ids`."""
    place, what = 0 if start is not None else 1, f"trades of {listing}"
    answer = await rest.ask(what, lambda: source.ask(rest, listing, start), weight=source.weight[place])
    try:
        return _read(rest, source, listing, source.rows_of(answer), start)
    except (ValueError, LookupError, TypeError) as error:
        frame = json.dumps(answer, default=str).encode()[:_FRAME_BYTES_MAX]
        raise BadFrame(rest.venue, f"a page of {what}", str(error)[:300] or repr(error), frame) from error


def _read(rest: Rest, source: _Source, listing: str, rows: Any, start: int | None) -> list[Trade]:
    """The trades of a page, ascending. Raises ValueError where it is not what was asked for."""
    rows_max = source.rows_max[0 if start is not None else 1]
    if not isinstance(rows, list) or len(rows) > rows_max or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"expected at most {rows_max} rows")
    if source.name_key is not None and any(row.get(source.name_key) != listing for row in rows):
        raise ValueError(f"expected rows of {listing}, found another name")
    found = [msgspec.structs.replace(VENUES[rest.venue].read_trade(row), backfilled=True) for row in rows]
    found = found if source.ascends else found[::-1]
    if not VENUES[rest.venue].ids_count:
        if len({trade.trade_id for trade in found}) != len(found):
            raise ValueError("expected each id once")
        return sorted(found, key=attrgetter("exchange_ns", "order"))
    if any(after.order <= before.order for before, after in pairwise(found)):
        raise ValueError("expected ids in the venue's own order, each once")
    if found and start is not None:
        is_outside = found[0].order < start if source.ascends else found[-1].order >= start + rows_max
        if is_outside:
            raise ValueError(f"expected ids from {start} on, found {found[0].trade_id} to {found[-1].trade_id}")
    if any(trade.id_kind != source.id_kind for trade in found):
        raise ValueError(f"expected {source.id_kind} ids, found others")
    return found
