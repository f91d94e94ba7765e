"""Fetches what is missing: each open gap over the venue's REST, until it is closed or the venue cannot give more.

Where ids count, a hole is closed when all came or the venue's own answer says that it has no more (`fill`). Where they
do not (Bybit), it is closed if the venue's last trades reach back behind it, else it stays open, and the venue's own
candles bound it: each minute they are compared with ours, which also finds what was lost without a trace. A venue that
is down, busy, behind or silent is asked again, with growing pauses; its budget and bans are `ingest.rest.client`'s. One
venue never waits for another, and a long gap lets others of its venue have turns between its pages.

What it does not do: find missing ids (`gap_watch`), revise bars (`core.bars.candles` does, from what is logged here).
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from functools import partial

import msgspec
import structlog

from sofia_streams.core.bars.windows import instrument_key
from sofia_streams.core.feeds.gaps import is_outdated
from sofia_streams.errors import BadFrame, ConfigError, DependencyDown, UnknownSymbol
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.rest.client import Rest
from sofia_streams.ingest.rest.fill import LINE, Stretch, fill
from sofia_streams.ingest.rest.instruments import Place
from sofia_streams.ingest.trade_log import TradeLog
from sofia_streams.model import Gap
from sofia_streams.obs import metrics
from sofia_streams.settings import Settings
from sofia_streams.venues.registry import VENUES

_log = structlog.get_logger("backfill")
_PAUSE_S_FIRST, _PAUSE_S_MAX = 1.0, 300.0
_PROOF_S = 30.0
"""So long a hole is left to the next trade of its instrument, where ids count: that shows what is missing."""
_CLOSED_MAX = 10_000
"""Of so many gaps it is remembered that they are closed, until all that was said of them before has been read."""
_PAGES_A_TURN = 20
"""A gap that is not filled after so many pages gives way to others that are due (OKX: six seconds)."""
TROUBLES = (DependencyDown, BadFrame, UnknownSymbol, ConfigError)
"""What a venue's REST may do to us; none of it ends the work."""


class Todo:
    """An open gap and when it is tried again (monotonic s); None when the venue has given all it can."""

    def __init__(self, gap: Gap) -> None:
        self.gap, self.wanted = gap, Stretch.of_gap(gap)
        is_left = gap.cause == "stale" and VENUES[gap.venue].ids_count
        self.at_s: float | None = time.monotonic() + _PROOF_S if is_left else 0.0
        self._pause_s = _PAUSE_S_FIRST
        self.pages = 0
        """How many its present turn has brought."""
        self.gave_way = 0
        """The number of the turn after which it was left in its midst; 0 where it was not."""

    def later(self, now_s: float) -> float:
        """Try again after a pause that doubles; how many seconds."""
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, _PAUSE_S_MAX)
        self.at_s = now_s + pause_s
        return pause_s


class Backfill:
    """Every open gap; `note` what the log says of them. One object a process."""

    def __init__(self, settings: Settings, names: Names, log: TradeLog) -> None:
        self._settings, self._names, self._log = settings, names, log
        self._todo: dict[str, dict[tuple[str, str], Todo]] = {venue: {} for venue in VENUES}
        self._closed: dict[tuple[str, str], Gap] = {}
        self._news = {venue: asyncio.Event() for venue in VENUES}
        self._turns = itertools.count(1)
        self._pages_between = dict.fromkeys(VENUES, 0)  # of others, since one that had given way went on

    def note(self, gap: Gap) -> None:
        """A record of `gaps`; of a venue that is not known it is nobody's."""
        if gap.venue not in VENUES:
            return
        name = instrument_key(gap.venue, gap.market, gap.symbol)
        todo = self._todo[gap.venue]
        key = (name, gap.gap_id)
        known = todo[key].gap if key in todo else self._closed.get(key)
        if known is not None and is_outdated(gap, known):
            return
        if gap.state == "closed":
            todo.pop(key, None)
            self._remember_closed(key, gap)
        elif key not in todo:
            todo[key] = Todo(gap)
        elif todo[key].gap.until_ns != gap.until_ns:
            todo[key] = Todo(gap)  # it has ended: now it can be filled
        else:
            todo[key].gap = gap
        metrics.GAPS_OPEN.labels(gap.venue).set(len(todo))
        self._news[gap.venue].set()

    def _remember_closed(self, key: tuple[str, str], gap: Gap) -> None:
        self._closed[key] = gap
        if len(self._closed) > _CLOSED_MAX:
            del self._closed[next(iter(self._closed))]

    def remember(self, gap: Gap) -> None:
        """A record of `gaps` from before this process: an earlier one may have begun to fill it."""
        self.note(gap)
        key = (instrument_key(gap.venue, gap.market, gap.symbol), gap.gap_id)
        todo = self._todo.get(gap.venue, {}).get(key)
        if todo is not None:
            todo.wanted.may_be_begun = True

    async def say(self, gap: Gap) -> None:
        """Put into the log what is known of a gap now, and go by it. Raises what the log raises."""
        gap = msgspec.structs.replace(gap, received_ns=time.time_ns(), line=LINE)
        await self._log.put(gap)
        self.note(gap)

    def open_gaps(self, name: str) -> list[Gap]:
        """Those of one instrument."""
        return [todo.gap for (one, _), todo in self._todo[name.partition("|")[0]].items() if one == name]

    def is_filling(self, gap: Gap) -> bool:
        """Whether the venue may still give some of an open gap: it was not asked yet, or is asked again."""
        todo = self._todo[gap.venue].get((instrument_key(gap.venue, gap.market, gap.symbol), gap.gap_id))
        return todo is not None and todo.at_s is not None

    async def run(self, venues: Sequence[str]) -> None:
        """Fill for ever. Raises what the log raises."""
        async with asyncio.TaskGroup() as group:
            for venue in venues:
                group.create_task(self._serve(venue))

    async def _serve(self, venue: str) -> None:
        place = Place.of(self._settings)
        while True:
            todo = self._next(venue)
            if todo is None:
                await self._wait(venue)
                continue
            async with place.rest(venue, todo.gap.market) as rest:
                while todo is not None and todo.gap.market == rest.market:
                    await self._turn(rest, todo)
                    todo = self._next(venue)

    async def _turn(self, rest: Rest, todo: Todo) -> None:
        venue, was_begun, todo.pages = todo.gap.venue, todo.gave_way > 0, 0
        await self._try(rest, todo)
        others_wait = any(one.gave_way for one in self._todo[venue].values() if one is not todo)
        between = self._pages_between[venue] + max(1, todo.pages)
        self._pages_between[venue] = between if others_wait and not was_begun else 0

    def _due(self, venue: str) -> list[Todo]:
        now_s = time.monotonic()
        return [todo for todo in self._todo[venue].values() if todo.at_s is not None and todo.at_s <= now_s]

    def _next(self, venue: str) -> Todo | None:
        """The one that is due and newest: what people look at now comes first.

        Those that gave way go on when there is no other, and after a turn's pages of others; they take turns.
        """
        due = self._due(venue)
        fresh = [todo for todo in due if not todo.gave_way]
        if fresh and (len(fresh) == len(due) or self._pages_between[venue] < _PAGES_A_TURN):
            return max(fresh, key=lambda todo: todo.gap.opened_ns)
        return min((todo for todo in due if todo.gave_way), key=lambda todo: todo.gave_way, default=None)

    def _had_page(self, todo: Todo) -> bool:
        """Whether it is another one's turn now."""
        todo.pages += 1
        return todo.pages >= _PAGES_A_TURN and any(one is not todo for one in self._due(todo.gap.venue))

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
            had_page = partial(self._had_page, todo)
            found = await fill(rest, self._settings, self._names, self._log, todo.wanted, had_page)
        except TROUBLES as error:
            pause_s = todo.later(time.monotonic())
            metrics.BACKFILL_ERRORS.labels(gap.venue).inc()
            _log.warning("not filled yet, trying again", instrument=name, pause_s=pause_s, error=str(error)[:300])
            return
        metrics.BACKFILLED.labels(gap.venue).inc(found.trades)
        if self._todo[gap.venue].get((name, gap.gap_id)) is not todo:
            return  # it was closed meanwhile, or is another stretch now
        todo.gave_way = next(self._turns) if found.state == "paused" else 0
        if found.state == "paused":
            return
        news = msgspec.structs.replace(gap, filled=todo.wanted.trades, detail=found.detail)
        if found.state == "whole":
            await self.say(msgspec.structs.replace(news, state="closed"))
            _log.info("gap filled", instrument=name, gap=gap.gap_id, trades=news.filled, detail=found.detail)
        elif found.state == "later":
            pause_s = todo.later(time.monotonic())
            if todo.wanted.doubted.why and gap.detail != found.detail:
                await self.say(news)
            _log.info("gap not filled yet", instrument=name, gap=gap.gap_id, pause_s=pause_s, detail=found.detail)
        else:
            todo.at_s = None
            await self.say(news)
            _log.warning("gap stays open", instrument=name, gap=gap.gap_id, detail=found.detail)
