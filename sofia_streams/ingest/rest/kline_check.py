"""Compares our minutes with the venue's own candles where ids do not count, so that no loss goes without a trace.

A minute in which the venue counts more than we do opens a gap that says how much; an open gap whose minutes all agree
is closed. Uses volumes, which are exact sums on both sides. What it does
not do: fetch trades (`backfill`).
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import structlog

from sofia_streams.core.ohlcv import window_start_ns
from sofia_streams.core.windows import instrument_key
from sofia_streams.ingest.log_trades import Instrument, has_any, trades_between
from sofia_streams.ingest.rest.backfill import LINE, TROUBLES, Backfill
from sofia_streams.ingest.rest.client import Rest, open_rest
from sofia_streams.ingest.rest.instruments import Place
from sofia_streams.ingest.rest.klines import klines_over
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, NS_PER_SECOND, Bar, Gap
from sofia_streams.settings import Settings
from sofia_streams.venues.registry import VENUES

_log = structlog.get_logger("klines")
_AFTER_NS = 8 * NS_PER_SECOND
"""So long after its end a minute is whole on both sides."""
_BEFORE_NS = 30 * NS_PER_MINUTE
_KEPT_MINUTES = 240
_BACK_MINUTES = 120
"""What has passed is compared this far back; the venue keeps its candles for years, we ask for little."""
_AGAIN_NS = 15 * NS_PER_MINUTE
"""So long before its end a worker may have failed to compare, with REST in trouble."""
_SETTLED_NS = 5 * NS_PER_MINUTE
"""What the log has of an older minute is remembered; if that is revised, its bar says so."""


class KlineCheck:
    """Our own volume of each minute, from the bars of the log. One object a process."""

    def __init__(self, settings: Settings, backfill: Backfill, was_at_work_ns: Callable[[], int | None]) -> None:
        """`was_at_work_ns`: when an earlier process of this worker was last known to be at work, if one was."""
        self._settings, self._backfill = settings, backfill
        self._was_at_work_ns = was_at_work_ns
        self._volumes: dict[Instrument, dict[int, Decimal]] = defaultdict(dict)
        self._agreed_ns: dict[Instrument, int] = {}

    def note(self, bar: Bar) -> None:
        """A bar of the log; those of venues whose ids count are of no interest."""
        if bar.size_ns != NS_PER_MINUTE or bar.venue == CONSOLIDATED or VENUES[bar.venue].ids_count:
            return
        volumes = self._volumes[Instrument(bar.venue, bar.market, bar.symbol)]
        volumes[bar.start_ns] = bar.volume
        while len(volumes) > _KEPT_MINUTES:
            del volumes[min(volumes)]

    async def run(self) -> None:
        """For ever, a few seconds after each minute. Raises what the log raises."""
        while True:
            now_ns = time.time_ns()
            due_ns = window_start_ns(now_ns - _AFTER_NS, NS_PER_MINUTE) + NS_PER_MINUTE + _AFTER_NS
            await asyncio.sleep((due_ns - now_ns) / 1e9)
            await self.compare_all(time.time_ns)

    async def compare_all(self, clock: Callable[[], int]) -> None:
        """Every instrument, over one client of each venue and market. A venue's trouble is said, and ends nothing."""
        place = Place.of(self._settings)
        for venue, market in dict.fromkeys((one.venue, one.market) for one in self._volumes):
            try:
                async with open_rest(venue, market, place.rest_urls.get(venue)) as rest:
                    await self._compare_over(rest, clock)
            except TROUBLES as error:
                _log.warning("not compared with the venue's candles", venue=venue, error=str(error)[:300])

    async def _compare_over(self, rest: Rest, clock: Callable[[], int]) -> None:
        for one in [one for one in self._volumes if (one.venue, one.market) == (rest.venue, rest.market)]:
            try:
                await self._compare(rest, one, clock())
            except TROUBLES as error:
                _log.warning("not compared with the venue's candles", instrument=one, error=str(error)[:300])

    async def _compare(self, rest: Rest, one: Instrument, now_ns: int) -> None:
        """Compare what has passed since the last time, and the minutes of open gaps. Raises as `klines_over`."""
        end_ns = window_start_ns(now_ns - _AFTER_NS, NS_PER_MINUTE)
        oldest_ns = end_ns - _BACK_MINUTES * NS_PER_MINUTE
        opened = self._backfill.open_gaps(instrument_key(*one))
        known = [gap for gap in opened if gap.until_ns is not None and gap.until_ns >= oldest_ns]
        starts = [self._agreed_ns.get(one) or self._begins_ns(end_ns)]
        starts += [window_start_ns(gap.from_ns, NS_PER_MINUTE) for gap in known]
        first_ns = max(min(starts), oldest_ns)
        if first_ns >= end_ns:
            return
        place, listings = Place.of(self._settings), self._settings.listings()
        found = await klines_over(
            rest, one.symbol, "1m", first_ns, end_ns, listings=listings, place=place, now_ns=now_ns
        )
        ours = await self._ours(one, [kline.start_ns for kline in found], end_ns)
        short = {kline.start_ns: kline.volume - ours[kline.start_ns] for kline in found}
        undecided = [start_ns for start_ns in range(first_ns, end_ns, NS_PER_MINUTE) if start_ns not in short]
        undecided += await self._open_gaps(one, short, known, now_ns)
        for gap in known:
            await self._judge(gap, short)
        self._agreed_ns[one] = min([end_ns, *undecided])

    async def _open_gaps(
        self, one: Instrument, short: Mapping[int, Decimal], known: Sequence[Gap], now_ns: int
    ) -> list[int]:
        """A gap for each minute in which we lack something; those that cannot be judged yet.

        Where in a minute it is lacking nobody says. So a gap that is about a part of it does not speak for the rest;
        but while such a gap is being filled, the minute waits.
        """
        undecided = []
        for start_ns, missing in short.items():
            if missing < 0:
                _log.warning("more than the venue's own candle has", instrument=one, minute_ns=start_ns, by=-missing)
            touching = [gap for gap in known if _touches(gap, start_ns)]
            if missing <= 0 or any(_covers(gap, start_ns) for gap in touching):
                continue
            if any(gap.missing_volume is None and not gap.detail for gap in touching):
                undecided.append(start_ns)
            elif await self._was_subscribed(one, start_ns):
                await self._open(one, start_ns, missing, now_ns)
        return undecided

    def _begins_ns(self, end_ns: int) -> int:
        """The first minute that is compared after a start: what a process before this one may not have come to."""
        was_ns = self._was_at_work_ns()
        last_ns = end_ns - NS_PER_MINUTE
        return last_ns if was_ns is None else min(last_ns, window_start_ns(was_ns - _AGAIN_NS, NS_PER_MINUTE))

    async def _ours(self, one: Instrument, starts_ns: Sequence[int], end_ns: int) -> dict[int, Decimal]:
        """Our volume of each of these minutes: of its bar, else of its trades in the log."""
        known = self._volumes[one]
        sums = {start_ns: Decimal(0) for start_ns in starts_ns if start_ns not in known}
        if sums:  # from before we began, or not closed yet: nothing newer has come
            for trade in await trades_between(self._settings, one, min(sums), max(sums) + NS_PER_MINUTE - 1):
                start_ns = window_start_ns(trade.exchange_ns, NS_PER_MINUTE)
                sums[start_ns] = sums.get(start_ns, Decimal(0)) + trade.quantity
        ours = {start_ns: known[start_ns] if start_ns in known else sums[start_ns] for start_ns in starts_ns}
        known |= {start_ns: found for start_ns, found in ours.items() if start_ns < end_ns - _SETTLED_NS}
        return ours

    async def _was_subscribed(self, one: Instrument, start_ns: int) -> bool:
        """Whether the minute began after we did: the log has trades from before it."""
        return await has_any(self._settings, one, start_ns - _BEFORE_NS, start_ns - 1)

    async def _open(self, one: Instrument, start_ns: int, missing: Decimal, now_ns: int) -> None:
        gap = Gap(
            *one, received_ns=now_ns, line=LINE, gap_id=f"klines:{start_ns}", cause="klines", state="open",
            from_ns=start_ns, until_ns=start_ns + NS_PER_MINUTE - 1, missing_volume=missing, opened_ns=now_ns,
            detail="the venue's own candle has more",
        )  # fmt: skip
        await self._backfill.say(gap)

    async def _judge(self, gap: Gap, short: dict[int, Decimal]) -> None:
        """Close a gap whose minutes all agree; else say how much is missing, where that is news.

        One that is not over, or reaches back beyond what is compared, is left as it is.
        """
        last_ns = window_start_ns(gap.until_ns or gap.from_ns, NS_PER_MINUTE)
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


def _covers(gap: Gap, start_ns: int) -> bool:
    return gap.from_ns <= start_ns and gap.until_ns is not None and gap.until_ns >= start_ns + NS_PER_MINUTE - 1


def _touches(gap: Gap, start_ns: int) -> bool:
    return gap.from_ns < start_ns + NS_PER_MINUTE and (gap.until_ns is None or gap.until_ns >= start_ns)
