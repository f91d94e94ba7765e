"""Compares our minutes with the venue's own candles where ids do not count, so that no loss goes without a trace.

A minute in which the venue counts more than we do opens a gap that says how much; an open gap whose minutes all agree
is closed. Each minute is compared once, however long a pair was quiet, its venue in trouble or this worker away: what
has gathered meanwhile is caught up on in pages, one a minute and instrument. Uses volumes, which are exact sums on both
sides. What it does not do: fetch trades (`backfill`).
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

import msgspec
import structlog

from sofia_streams.codec import InBars
from sofia_streams.core.bars.ohlcv import window_start_ns
from sofia_streams.core.bars.windows import instrument_key
from sofia_streams.ingest.log_trades import Instrument, volumes_of, was_heard
from sofia_streams.ingest.rest.backfill import TROUBLES, Backfill
from sofia_streams.ingest.rest.client import Rest
from sofia_streams.ingest.rest.fill import LINE
from sofia_streams.ingest.rest.instruments import Place
from sofia_streams.ingest.rest.klines import klines_over
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND, Bar, Gap
from sofia_streams.scored import Kline
from sofia_streams.settings import Settings
from sofia_streams.venues.registry import VENUES

_log = structlog.get_logger("klines")
_AFTER_NS = 8 * NS_PER_SECOND
"""So long after its end a minute is whole on both sides."""
_HEARD_NS = 30 * NS_PER_MINUTE
"""So far back the log is asked for a sign of life of a feed that no bar has spoken of since this process began; a feed
that is alive gives one each second, a dead one has a gap."""
_PAGE_MINUTES, _ASKED_MINUTES = 120, 960
"""How many minutes are compared at once, and over how many candles are asked for: the venue may have none of some."""
_LISTED_NS = 12 * 60 * NS_PER_MINUTE
"""A venue that has no candle of a minute, nor of a later one, is asked again for so long."""
_KEPT_MINUTES = 7 * 24 * 60
"""At most so many bars of an instrument wait to be compared: those of a week, come in the log while nobody read it."""
_AGAIN_NS = 15 * NS_PER_MINUTE
"""So long before its end a worker may have failed to compare, with REST in trouble."""
_SETTLED_NS = 5 * NS_PER_MINUTE
"""What the log has of an older minute is remembered; if that is revised, its bar says so."""
Opener = Callable[[str, Any], Any]
"""Gives the client of a venue and market."""


class _Page(NamedTuple):
    """The minutes of an instrument that are compared now: from `first_ns` to before `until_ns`, those of `klines`.

    `sure_ns` is where the venue's answer ends; `known` are the open gaps.
    """

    one: Instrument
    first_ns: int
    until_ns: int
    sure_ns: int
    klines: Sequence[Kline]
    known: Sequence[Gap]
    now_ns: int


class KlineCheck:
    """Our own volume of each minute, from the bars of the log. One object a process."""

    def __init__(self, settings: Settings, backfill: Backfill, was_at_work_ns: Callable[[], int | None]) -> None:
        """`was_at_work_ns`: when an earlier process of this worker was last known to be at work, if one was."""
        self._settings, self._backfill = settings, backfill
        self._was_at_work_ns = was_at_work_ns
        self._volumes: dict[Instrument, dict[int, Decimal]] = defaultdict(dict)
        self._began_ns: dict[Instrument, int] = {}
        self._agreed_ns: dict[Instrument, int] = {}

    def note(self, bar: InBars) -> None:
        """A bar of the log, of a quiet minute too; those of venues whose ids count are of no interest."""
        if not isinstance(bar, Bar) or bar.size_ns != NS_PER_MINUTE:
            return
        if bar.venue not in VENUES or VENUES[bar.venue].ids_count:
            return
        one = Instrument(bar.venue, bar.market, bar.symbol)
        volumes = self._volumes[one]
        volumes[bar.start_ns] = bar.volume
        self._heard(one, bar.start_ns)
        if len(volumes) > _KEPT_MINUTES:
            del volumes[min(volumes)]

    async def run(self) -> None:
        """For ever, a few seconds after each minute. Raises what the log raises."""
        async with self.clients() as clients:
            while True:
                due_ns = window_start_ns(time.time_ns() - _AFTER_NS, NS_PER_MINUTE) + NS_PER_MINUTE + _AFTER_NS
                await asyncio.sleep((due_ns - time.time_ns()) / 1e9)
                # a timer may be early by the clock of the wall: the minute is due all the same
                await self.compare_all(clients, partial(_not_before, due_ns))

    @asynccontextmanager
    async def clients(self) -> AsyncIterator[Opener]:
        """Inside, a client of each venue and market, kept open: one of ccxt's has ten thousand objects to make."""
        place, found = Place.of(self._settings), dict[tuple[str, str], Rest]()
        async with AsyncExitStack() as stack:

            async def opened(venue: str, market: Any) -> Rest:
                if (venue, market) not in found:
                    found[venue, market] = await stack.enter_async_context(place.rest(venue, market))
                return found[venue, market]

            yield opened

    async def compare_all(self, clients: Opener, clock: Callable[[], int]) -> None:
        """Every instrument, with one reading of the log a venue. A venue's trouble is said, and ends nothing."""
        for venue, market in dict.fromkeys((one.venue, one.market) for one in self._volumes):
            try:
                await self._compare_over(await clients(venue, market), clock)
            except TROUBLES as error:
                _log.warning("not compared with the venue's candles", venue=venue, error=str(error)[:300])

    async def _compare_over(self, rest: Rest, clock: Callable[[], int]) -> None:
        pages = []
        for one in [one for one in self._volumes if (one.venue, one.market) == (rest.venue, rest.market)]:
            with _its_own_trouble(one):
                pages.append(await self._page(rest, one, clock()))
        ours = await self._ours([page for page in pages if page is not None])
        for page, volumes in ours:
            with _its_own_trouble(page.one):
                await self._compare(page, volumes)

    async def _page(self, rest: Rest, one: Instrument, now_ns: int) -> _Page | None:
        """What has passed since the last time, and the minutes of open gaps; None before there is any.

        Raises as `klines_over`, and DependencyDown.
        """
        end_ns = window_start_ns(now_ns - _AFTER_NS, NS_PER_MINUTE)
        if one not in self._agreed_ns:
            self._agreed_ns[one] = await self._begins_ns(one, end_ns)
        agreed_ns = self._agreed_ns[one]
        oldest_ns = min(agreed_ns, end_ns - _PAGE_MINUTES * NS_PER_MINUTE)
        opened = self._backfill.open_gaps(instrument_key(*one))
        known = [gap for gap in opened if gap.until_ns is not None and gap.until_ns >= oldest_ns]
        starts = [agreed_ns, *(window_start_ns(gap.from_ns, NS_PER_MINUTE) for gap in known)]
        first_ns = max(min(starts), oldest_ns)
        if first_ns >= end_ns:
            return None
        asked_ns = min(end_ns, first_ns + _ASKED_MINUTES * NS_PER_MINUTE)
        found = await klines_over(
            rest, one.symbol, "1m", first_ns, asked_ns,
            listings=self._settings.listings(), place=Place.of(self._settings), now_ns=now_ns,
        )  # fmt: skip
        begin_ns = found[0].start_ns if found else first_ns
        until_ns = min(asked_ns, begin_ns + _PAGE_MINUTES * NS_PER_MINUTE)
        sure_ns = max(found[-1].start_ns + NS_PER_MINUTE if found else first_ns, end_ns - _LISTED_NS)
        klines = [kline for kline in found if kline.start_ns < until_ns]
        return _Page(one, first_ns, until_ns, sure_ns, klines, known, now_ns)

    async def _compare(self, page: _Page, ours: Mapping[int, Decimal]) -> None:
        """Open and judge gaps. Raises DependencyDown, KafkaError."""
        short = {kline.start_ns: kline.volume - ours[kline.start_ns] for kline in page.klines if kline.start_ns in ours}
        undecided = await self._open_gaps(page, short)
        undecided += [kline.start_ns for kline in page.klines if kline.start_ns not in ours]  # forgotten meanwhile
        for gap in page.known:
            await self._judge(gap, short)
        self._agreed_ns[page.one] = min([page.until_ns, page.sure_ns, *undecided])
        volumes, kept_ns = self._volumes[page.one], page.now_ns - (_PAGE_MINUTES + 1) * NS_PER_MINUTE
        kept_ns = min(kept_ns, self._agreed_ns[page.one])
        for start_ns in [start_ns for start_ns in volumes if start_ns < kept_ns]:
            del volumes[start_ns]

    async def _open_gaps(self, page: _Page, short: Mapping[int, Decimal]) -> list[int]:
        """A gap for each minute in which we lack something; those that cannot be judged yet.

        Where in a minute it is lacking nobody says. So a gap that is about a part of it does not speak for the rest;
        but while such a gap is being filled, the minute waits.
        """
        undecided = []
        for start_ns, missing in short.items():
            if missing < 0:
                at = {"instrument": page.one, "minute_ns": start_ns, "by": -missing}
                _log.warning("more than the venue's own candle has", **at)
            touching = [gap for gap in page.known if _touches(gap, start_ns)]
            if missing <= 0 or any(_covers(gap, start_ns) for gap in touching):
                continue
            if any(self._backfill.is_filling(gap) for gap in touching):
                undecided.append(start_ns)
            elif await self._was_subscribed(page.one, start_ns, touching):
                await self._open(page.one, start_ns, missing, page.now_ns)
        return undecided

    async def _begins_ns(self, one: Instrument, end_ns: int) -> int:
        """The first minute that is compared after a start: what a process before this one may not have come to.

        Raises DependencyDown.
        """
        was_ns, last_ns = self._was_at_work_ns(), end_ns - NS_PER_MINUTE
        if was_ns is None:
            return last_ns
        begin_ns = window_start_ns(was_ns - _AGAIN_NS, NS_PER_MINUTE)
        if not await was_heard(self._settings, one, begin_ns - _HEARD_NS, was_ns):
            begin_ns = max(begin_ns, self._began_ns[one])  # an instrument that is new
        return min(last_ns, begin_ns)

    async def _ours(self, pages: Sequence[_Page]) -> list[tuple[_Page, dict[int, Decimal]]]:
        """Our volume of each page's minutes: of the bar, else of the trades in the log. Raises DependencyDown."""
        lacking = {
            page.one: [kline.start_ns for kline in page.klines if kline.start_ns not in self._volumes[page.one]]
            for page in pages
        }
        sums = await volumes_of(self._settings, lacking)  # from before we began, or not closed yet
        for page in pages:
            settled_ns = page.now_ns - _AFTER_NS - _SETTLED_NS
            found = sums.get(page.one, {})
            self._volumes[page.one] |= {at_ns: volume for at_ns, volume in found.items() if at_ns < settled_ns}
        return [(page, {**sums.get(page.one, {}), **self._volumes[page.one]}) for page in pages]

    async def _was_subscribed(self, one: Instrument, start_ns: int, touching: Sequence[Gap]) -> bool:
        """Whether the minute began after we did: something spoke of the instrument before, a trade or its quiet."""
        for gap in touching:
            self._heard(one, gap.from_ns)
        if self._began_ns[one] >= start_ns and await was_heard(self._settings, one, start_ns - _HEARD_NS, start_ns - 1):
            self._heard(one, start_ns - 1)
        return self._began_ns[one] < start_ns

    def _heard(self, one: Instrument, at_ns: int) -> None:
        self._began_ns[one] = min(at_ns, self._began_ns.get(one, at_ns))

    async def _open(self, one: Instrument, start_ns: int, missing: Decimal, now_ns: int) -> None:
        gap = Gap(
            *one, received_ns=now_ns, line=LINE, gap_id=f"klines:{start_ns}", cause="klines", state="open",
            from_ns=start_ns, until_ns=start_ns + NS_PER_MINUTE - 1, missing_volume=missing, opened_ns=now_ns,
            detail="the venue's own candle has more",
        )  # fmt: skip
        await self._backfill.say(gap)

    async def _judge(self, gap: Gap, short: Mapping[int, Decimal]) -> None:
        """Close a gap whose minutes all agree; else say how much is missing, where that is news.

        One that is not over, or reaches back beyond what is compared, is left as it is.
        """
        last_ns = window_start_ns(gap.known_until_ns, NS_PER_MINUTE)
        minutes = range(window_start_ns(gap.from_ns, NS_PER_MINUTE), last_ns + 1, NS_PER_MINUTE)
        if any(start_ns not in short for start_ns in minutes):
            return
        missing = sum((max(short[start_ns], Decimal(0)) for start_ns in minutes), Decimal(0))
        if not missing:
            detail = "the venue's own candles agree"
            changes: dict[str, Any] = {"state": "closed", "missing_volume": None, "detail": detail}
        elif missing != gap.missing_volume:
            changes = {"missing_volume": missing}
        else:
            return
        await self._backfill.say(msgspec.structs.replace(gap, **changes))


def _not_before(due_ns: int) -> int:
    return max(due_ns, time.time_ns())


@contextmanager
def _its_own_trouble(one: Instrument) -> Iterator[None]:
    """What goes wrong with one instrument costs the others nothing."""
    try:
        yield
    except TROUBLES as error:
        _log.warning("not compared with the venue's candles", instrument=one, error=str(error)[:300])


def _covers(gap: Gap, start_ns: int) -> bool:
    return gap.from_ns <= start_ns and gap.until_ns is not None and gap.until_ns >= start_ns + NS_PER_MINUTE - 1


def _touches(gap: Gap, start_ns: int) -> bool:
    return gap.from_ns < start_ns + NS_PER_MINUTE and (gap.until_ns is None or gap.until_ns >= start_ns)
