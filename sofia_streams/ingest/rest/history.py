"""Warm start: the venues' candles from before our own into the log, so that long features are ready in seconds.

Where a symbol's consolidated bars begin, or go on behind a hole, its venues are asked for the candles up to them, and
what they gave is written once, joined (`History`). A venue in trouble is left out; while all are, they are asked again,
with growing pauses, until there are enough bars of our own. Writing the same history twice does no harm.

What it does not do: fill bars of our own (`backfill` fills their trades), compute features (`core.features.book`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

import structlog

from sofia_streams import scored
from sofia_streams.codec import InBars
from sofia_streams.core.bars.windows import SIZES_NS
from sofia_streams.core.features.history import Run, joined, windows_wanted
from sofia_streams.ingest.log_bars import known_before
from sofia_streams.ingest.rest.backfill import TROUBLES
from sofia_streams.ingest.rest.client import Rest
from sofia_streams.ingest.rest.instruments import Place
from sofia_streams.ingest.rest.klines import klines_over, serves
from sofia_streams.model import CONSOLIDATED, Bar, Market
from sofia_streams.settings import Settings

_log = structlog.get_logger("history")
_ANSWER_S = 10.0
"""A venue that has not given a symbol's candles by then is left out."""
_LISTED_S, _AGAIN_S = 5.0, 0.5
"""So long a venue is given to show the candle of a window that has ended, and how often it is asked for it."""
_PAUSE_S_FIRST, _PAUSE_S_MAX = 2.0, 300.0
_AT_ONCE = 16
"""Symbols that are asked for at the same time."""
Look = Callable[[Settings, Mapping[str, int], int], Awaitable[set[str]]]


class HistoryLog(Protocol):
    """Where histories are written."""

    async def history(self, history: scored.History) -> None: ...  # noqa: D102


class _Wanted:
    """A symbol that needs history: the first of its bars, when it is asked for next (monotonic s)."""

    def __init__(self, bar: Bar, *, may_be_known: bool) -> None:
        self.market: Market = bar.market
        self.symbol, self.first_ns = bar.symbol, bar.start_ns
        self.may_be_known = may_be_known
        """Whether the log may have earlier bars: it is the first that this process sees."""
        self.at_s = self.noted_s = time.monotonic()
        self._pause_s = _PAUSE_S_FIRST

    def later(self) -> float:
        """Ask again after a pause that doubles; how many seconds."""
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, _PAUSE_S_MAX)
        self.at_s = time.monotonic() + pause_s
        return pause_s


class WarmStart:
    """Follows the bars of the log (`note`), and writes histories (`run`). One object a process."""

    def __init__(self, settings: Settings, log: HistoryLog, look: Look = known_before) -> None:
        """`look` says which symbols have enough in the log already."""
        self._settings, self._log, self._look = settings, log, look
        self._size, self._size_ns = settings.signals_bar_size, SIZES_NS[settings.signals_bar_size]
        market, venues = settings.crypto_market, settings.crypto_exchanges
        self._venues = [venue for venue in venues if serves(venue, market, self._size)]
        self._windows = windows_wanted(settings.signals_history_hours, self._size_ns) if self._venues else 0
        self._runs: dict[str, Run] = {}
        self._todo: dict[str, _Wanted] = {}
        self._news = asyncio.Event()

    def note(self, record: InBars) -> None:
        """A record of `bars`; only consolidated bars of the size that is scored are of interest."""
        if not isinstance(record, Bar) or record.venue != CONSOLIDATED or record.size_ns != self._size_ns:
            return
        if (run := self._runs.get(record.symbol)) is None:
            run = self._runs[record.symbol] = Run(self._size_ns)
        is_new = run.last_ns is None
        if run.take(record) and self._windows:
            self._todo[record.symbol] = _Wanted(record, may_be_known=is_new)
            self._news.set()

    def wanted(self) -> list[str]:
        """Symbols whose history is still to be written."""
        return [*self._todo]

    async def run(self) -> None:
        """Write what is wanted, for ever. Raises what the log raises."""
        if not self._venues:
            _log.warning("features begin with our own bars: no venue has candles of their size", size=self._size)
        while True:
            await self._wait()
            if not await self._needed():
                continue  # a client takes a second and its memory
            async with self._clients() as rests:
                while due := await self._needed():
                    await asyncio.gather(*(self._try(rests, one) for one in due))

    def _due(self) -> list[_Wanted]:
        now_s = time.monotonic()
        return [one for one in self._todo.values() if one.at_s <= now_s][:_AT_ONCE]

    async def _wait(self) -> None:
        while not self._due():
            self._news.clear()
            times = [one.at_s for one in self._todo.values()]
            try:
                await asyncio.wait_for(self._news.wait(), max(0.0, min(times) - time.monotonic()) if times else None)
            except TimeoutError:
                continue

    @asynccontextmanager
    async def _clients(self) -> AsyncIterator[Mapping[str, Rest]]:
        """A client of each venue that has such candles, open as long as there is work."""
        place, market = Place.of(self._settings), self._settings.crypto_market
        async with AsyncExitStack() as stack:
            yield {venue: await stack.enter_async_context(place.rest(venue, market)) for venue in self._venues}

    async def _needed(self) -> list[_Wanted]:
        """Those that are due, but for those whose bars in the log go far enough back, or have their history there.

        Raises DependencyDown.
        """
        unsure = [one for one in self._due() if one.may_be_known]
        firsts = {one.symbol: one.first_ns for one in unsure}
        known = await self._look(self._settings, firsts, self._size_ns) if firsts else set()
        for one in unsure:
            one.may_be_known = False
            if one.symbol in known:
                self._drop(one)
        return [one for one in self._due() if not one.may_be_known]

    async def _try(self, rests: Mapping[str, Rest], one: _Wanted) -> None:
        run = self._runs[one.symbol]
        if run.is_warm:
            self._drop(one)
            return
        until_ns = (run.last_ns or one.first_ns) + self._size_ns
        asked = {venue: self._klines(rest, one, until_ns) for venue, rest in rests.items()}
        answers = dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))
        found = {venue: klines for venue, klines in answers.items() if klines}
        if not found:
            _log.warning("no history yet, asking again", symbol=one.symbol, pause_s=one.later(), venues=[*asked])
            return
        is_listed = all(klines[-1].start_ns >= one.first_ns for klines in found.values())
        if not is_listed and time.monotonic() < one.noted_s + _LISTED_S:
            one.at_s = time.monotonic() + _AGAIN_S
            return
        await self._write(one, found)
        self._drop(one)

    async def _klines(self, rest: Rest, one: _Wanted, until_ns: int) -> list[scored.Kline]:
        """Those of a venue, none where it is in trouble, which is said."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await klines_over(
                    rest, one.symbol, self._size, one.first_ns - self._windows * self._size_ns, until_ns,
                    listings=self._settings.listings(), place=Place.of(self._settings),
                    now_ns=max(time.time_ns(), until_ns),
                )  # fmt: skip
        except (*TROUBLES, TimeoutError) as error:
            reason = str(error)[:300] or f"no answer within {_ANSWER_S:.0f} s"
            _log.warning("history without this venue", venue=rest.venue, symbol=one.symbol, error=reason)
            return []

    async def _write(self, one: _Wanted, found: Mapping[str, list[scored.Kline]]) -> None:
        klines = joined(found)
        await self._log.history(
            scored.History(
                one.market, one.symbol, self._size_ns, sorted(found), klines, time.time_ns(),
                is_synthetic=self._settings.simulator_url is not None,
            )
        )  # fmt: skip
        took_s = time.monotonic() - one.noted_s
        about = {"candles": len(klines), "venues": sorted(found), "took_s": round(took_s, 1)}
        _log.info("history written", symbol=one.symbol, **about)

    def _drop(self, one: _Wanted) -> None:
        if self._todo.get(one.symbol) is one:  # not one that is behind another hole
            del self._todo[one.symbol]
