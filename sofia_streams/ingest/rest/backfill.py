"""Fetches what is missing: each open gap over the venue's REST, until it is closed or the venue cannot give more.

Where ids count, exactly the missing ids are asked for. Where they do not (Bybit), the venue's last trades are: if they
reach back behind the hole it is closed, else it stays open, and the venue's own candles bound it: each minute they are
compared with ours, which also finds what was lost without a trace. A venue that is down or busy is asked again, with
growing pauses; its budget and bans are `ingest.rest.client`'s. One venue never waits for another.

What it does not do: find missing ids (`gap_watch`), revise bars (`core.candles` does, from what is logged here).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import structlog

from sofia_streams.core.windows import instrument_key
from sofia_streams.errors import BadFrame, ConfigError, DependencyDown, UnknownSymbol
from sofia_streams.ingest.log_trades import not_in_log
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.rest.client import Rest, open_rest
from sofia_streams.ingest.rest.instruments import Place
from sofia_streams.ingest.rest.trade_history import fetch_ids, fetch_recent, reaches_back
from sofia_streams.ingest.trade_log import TradeLog
from sofia_streams.model import NS_PER_SECOND, Gap, Trade, TradeBatch
from sofia_streams.obs import metrics
from sofia_streams.settings import Settings
from sofia_streams.venues.registry import VENUES

_log = structlog.get_logger("backfill")
LINE = "backfill"
"""The `line` of trades and gaps that come from here."""
_PAUSE_S_FIRST, _PAUSE_S_MAX = 1.0, 300.0
SETTLED_NS = 20 * NS_PER_SECOND
"""A venue's REST may be behind its own sockets: what it does not have within so long it will not have."""
TROUBLES = (DependencyDown, BadFrame, UnknownSymbol, ConfigError)
"""What a venue's REST may do to us; none of it ends the work."""


class Todo:
    """An open gap and when it is tried again (monotonic s); None when the venue has given all it can."""

    def __init__(self, gap: Gap) -> None:
        self.gap = gap
        self.at_s: float | None = 0.0
        self._pause_s = _PAUSE_S_FIRST

    def later(self, now_s: float) -> float:
        """Try again after a pause that doubles; how many seconds."""
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, _PAUSE_S_MAX)
        self.at_s = now_s + pause_s
        return pause_s


class Fetched(NamedTuple):
    """What a venue had: how many trades were put into the log, and whether it had everything that it ever will."""

    trades: int
    is_whole: bool
    detail: str = ""


class Backfill:
    """Every open gap; `note` what the log says of them. One object a process."""

    def __init__(self, settings: Settings, names: Names, log: TradeLog) -> None:
        self._settings, self._names, self._log = settings, names, log
        self._todo: dict[str, dict[tuple[str, str], Todo]] = {venue: {} for venue in VENUES}
        self._news = {venue: asyncio.Event() for venue in VENUES}

    def note(self, gap: Gap) -> None:
        """A record of `gaps`."""
        name = instrument_key(gap.venue, gap.market, gap.symbol)
        todo = self._todo[gap.venue]
        key = (name, gap.gap_id)
        if gap.state == "closed":
            todo.pop(key, None)
        elif key not in todo:
            todo[key] = Todo(gap)
        elif todo[key].gap.until_ns != gap.until_ns:
            todo[key] = Todo(gap)  # it has ended: now it can be filled
        else:
            todo[key].gap = gap
        metrics.GAPS_OPEN.labels(gap.venue).set(len(todo))
        self._news[gap.venue].set()

    async def say(self, gap: Gap) -> None:
        """Put into the log what is known of a gap now, and go by it. Raises what the log raises."""
        gap = msgspec.structs.replace(gap, received_ns=time.time_ns(), line=LINE)
        await self._log.put(gap)
        self.note(gap)

    def open_gaps(self, name: str) -> list[Gap]:
        """Those of one instrument."""
        return [todo.gap for (one, _), todo in self._todo[name.partition("|")[0]].items() if one == name]

    async def run(self, venues: Sequence[str]) -> None:
        """Fill for ever. Raises what the log raises."""
        async with asyncio.TaskGroup() as group:
            for venue in venues:
                group.create_task(self._serve(venue))

    async def _serve(self, venue: str) -> None:
        url = Place.of(self._settings).rest_urls.get(venue)
        while True:
            todo = self._next(venue)
            if todo is None:
                await self._wait(venue)
                continue
            async with open_rest(venue, todo.gap.market, url) as rest:
                while todo is not None and todo.gap.market == rest.market:
                    await self._try(rest, todo)
                    todo = self._next(venue)

    def _next(self, venue: str) -> Todo | None:
        """The one that is due and newest: what people look at now comes first."""
        now_s = time.monotonic()
        due = [todo for todo in self._todo[venue].values() if todo.at_s is not None and todo.at_s <= now_s]
        return max(due, key=lambda todo: todo.gap.opened_ns, default=None)

    async def _wait(self, venue: str) -> None:
        self._news[venue].clear()
        times = [todo.at_s for todo in self._todo[venue].values() if todo.at_s is not None]
        timeout_s = max(0.0, min(times) - time.monotonic()) if times else None
        try:
            await asyncio.wait_for(self._news[venue].wait(), timeout_s)
        except TimeoutError:
            return

    async def _try(self, rest: Rest, todo: Todo) -> None:
        gap, name = todo.gap, instrument_key(todo.gap.venue, todo.gap.market, todo.gap.symbol)
        if gap.until_ns is None:  # it still lasts
            todo.at_s = None
            return
        try:
            found = await (self._fill_ids(rest, gap) if gap.first_id else self._fill_recent(rest, gap))
        except TROUBLES as error:
            pause_s = todo.later(time.monotonic())
            metrics.BACKFILL_ERRORS.labels(gap.venue).inc()
            _log.warning("not filled yet, trying again", instrument=name, pause_s=pause_s, error=str(error)[:300])
            return
        metrics.BACKFILLED.labels(gap.venue).inc(found.trades)
        if found.is_whole:
            await self.say(msgspec.structs.replace(gap, state="closed", filled=found.trades, detail=found.detail))
            _log.info("gap filled", instrument=name, gap=gap.gap_id, trades=found.trades, detail=found.detail)
        elif VENUES[gap.venue].ids_count:
            todo.later(time.monotonic())
        else:
            todo.at_s = None
            await self.say(msgspec.structs.replace(gap, filled=found.trades, detail=found.detail))
            _log.warning("gap stays open", instrument=name, gap=gap.gap_id, detail=found.detail)

    async def _fill_ids(self, rest: Rest, gap: Gap) -> Fetched:
        listing = self._names.listing(gap.venue, gap.market, gap.symbol)
        first, last = int(gap.first_id), int(gap.last_id)
        covered = trades = 0
        async for page in fetch_ids(rest, listing, first, last, id_kind=gap.id_kind):
            await self._put(gap, page)
            covered += sum(trade.count for trade in page)
            trades += len(page)
        absent = last - first + 1 - covered
        if not absent:
            return Fetched(trades, is_whole=True)
        is_settled = time.time_ns() - gap.opened_ns >= SETTLED_NS
        return Fetched(trades, is_settled, f"the venue has no trades of {absent} of these ids")

    async def _fill_recent(self, rest: Rest, gap: Gap) -> Fetched:
        listing = self._names.listing(gap.venue, gap.market, gap.symbol)
        page = await fetch_recent(rest, listing)
        missing = await not_in_log(self._settings, gap, page, gap.from_ns, gap.until_ns or gap.from_ns)
        if missing:
            await self._put(gap, missing)
        if reaches_back(page, gap.from_ns):
            return Fetched(len(missing), is_whole=True)
        return Fetched(len(missing), is_whole=False, detail=f"the venue gives only its last {len(page)} trades")

    async def _put(self, gap: Gap, trades: Sequence[Trade]) -> None:
        now_ns = time.time_ns()
        await self._log.put(TradeBatch(gap.venue, gap.market, gap.symbol, now_ns, LINE, list(trades)))
        await self._log.drain()  # the next look at the log sees them
