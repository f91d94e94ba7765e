"""Fills a stretch of one instrument's trades over its venue's REST, as far as that answers. One way for all who fill.

Where ids count, the ids that are wanted are asked for together with some around them: that a venue has no trade of an
id is taken for true only where its answer shows trades on both sides, so that no answer, or one that ends too early, is
never taken for "there are none". Where they do not (Bybit), the venue's last trades are asked for. A trade that cannot
be true is not taken (`doubted`): it stays missing, and what it may be of is not whole.

What it does not do: say when to try again, or what becomes of a gap (`backfill`, `ops.backfill`).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Literal, NamedTuple

from sofia_streams.core.feeds.gaps import Missing, without
from sofia_streams.core.feeds.ids import IdSet, joined
from sofia_streams.core.feeds.pages import Answer
from sofia_streams.core.feeds.plausible import time_trouble
from sofia_streams.ingest.log_trades import Instrument, ids_between, not_in_log
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.rest.client import Rest
from sofia_streams.ingest.rest.doubted import Doubted
from sofia_streams.ingest.rest.trade_history import fetch_ids, fetch_recent, find_id, live_id_kind, reaches_back
from sofia_streams.ingest.trade_log import TradeLog
from sofia_streams.model import NS_PER_SECOND, Gap, IdKind, Trade, TradeBatch
from sofia_streams.settings import Settings
from sofia_streams.venues.registry import VENUES

LINE = "backfill"
"""The `line` of trades and gaps that come from here."""
SETTLED_NS = 20 * NS_PER_SECOND
"""A venue's REST may be behind its own sockets: what it does not have within so long it will not have."""
_AROUND = (10, 1_000)
"""So many ids on each side are asked for as well; the second where the venue shows none of the first."""


AfterPage = Callable[[], bool | None]
"""Called after each page that brought something; where it says True, that is enough for now."""


class Fetched(NamedTuple):
    """What a try brought: trades put into the log; how it stands; why, in words.

    state  whole: nothing more is missing, or the venue says that it has no more; later: ask again; never: the venue
           cannot give all of it any more; paused: whoever asked wanted no more pages for now
    """

    trades: int
    state: Literal["whole", "later", "never", "paused"]
    detail: str = ""


class Stretch:
    """Trades of one instrument that are wanted, both ends inside, and what of them is done. It outlives a try.

    passed_ns  since when it is over, and known to be
    ids        the first and last id; None until they are found by time (`find_ids`)
    """

    def __init__(
        self,
        instrument: Instrument,
        from_ns: int,
        until_ns: int,
        passed_ns: int,
        ids: tuple[int, int] | None = None,
        id_kind: IdKind | None = None,
    ) -> None:
        self.instrument, self.from_ns, self.until_ns, self.passed_ns = instrument, from_ns, until_ns, passed_ns
        self.ids, self.id_kind = ids, id_kind
        self.may_be_begun = False
        """Whether an earlier process may have put some of it into the log."""
        self.begins = self.ends = ids is not None
        """Whether nothing of it is before the first id, and after the last."""
        self.done = IdSet()
        """Ids that came, or that the venue has no trades of, or that were known before."""
        self.is_strict = False
        """Whether trades whose ids are in it, but whose times are not, are left out (`outside`) rather than taken."""
        self.outside = IdSet()
        self.doubted = Doubted()
        self.reached_ns = 0
        """Up to when it is whole, where ids do not count."""
        self.trades = self.absent = 0
        self.is_paused = False
        """Whether it was left in the midst of its ids: what is known of them need not be asked again."""

    @classmethod
    def of_gap(cls, gap: Gap) -> Stretch:
        """What is missing of a gap that has ended."""
        ids = (int(gap.first_id), int(gap.last_id)) if gap.first_id else None
        until_ns = gap.known_until_ns
        kind = gap.id_kind if ids else None
        passed_ns = max(gap.opened_ns, until_ns)
        found = cls(Instrument(gap.venue, gap.market, gap.symbol), gap.from_ns, until_ns, passed_ns, ids, kind)
        if ids:
            found.doubted = Doubted((gap.from_ns, passed_ns))  # all had happened when they were seen to be missing
        return found

    def holds(self, trade: Trade) -> bool:
        """Whether a trade is of it by its time."""
        return self.from_ns <= trade.exchange_ns <= self.until_ns

    def is_settled(self) -> bool:
        """Whether its venue's REST has had the time to have all of it."""
        return time.time_ns() - self.passed_ns >= SETTLED_NS

    @property
    def left(self) -> list[Missing]:
        """The ids that are still to be asked for, once they are known."""
        if self.ids is None or self.ids[0] > self.ids[1]:
            return []
        return without(Missing(*self.ids, self.from_ns, self.until_ns), self.done)


async def find_ids(rest: Rest, settings: Settings, listing: str, wanted: Stretch) -> None:
    """The ids of a stretch that is known by its times, where ids count; those that the log has are done.

    Raises as `find_id`.
    """
    kind = wanted.id_kind = live_id_kind(rest)
    # the end before the first: a trade that is printed between the two questions is behind both
    end = await find_id(rest, listing, wanted.until_ns + 1)
    first = await find_id(rest, listing, wanted.from_ns)
    wanted.ids = first, end - 1
    before = fetch_ids(rest, listing, max(0, first - _AROUND[1]), max(0, first - 1), id_kind=kind)
    wanted.begins = first <= 1 or await _any(before, lambda trade: trade.exchange_ns < wanted.from_ns)
    after = fetch_ids(rest, listing, end, end + _AROUND[0], id_kind=kind)
    wanted.ends = wanted.is_settled() or await _any(after, lambda trade: trade.exchange_ns > wanted.until_ns)
    await _leave_out_known(settings, wanted)


async def _leave_out_known(settings: Settings, wanted: Stretch) -> None:
    """What the log has is done. Raises DependencyDown."""
    kind = wanted.id_kind or "trade"
    known = await ids_between(settings, wanted.instrument, kind, wanted.from_ns, wanted.until_ns)
    wanted.done, wanted.may_be_begun = joined(wanted.done, known), False


async def fill(
    rest: Rest, settings: Settings, names: Names, log: TradeLog, wanted: Stretch, say: AfterPage = lambda: None
) -> Fetched:
    """Try once; `say` is called after each page. What has come is in the log, and done, whatever is raised.

    Another try goes on from there, also from one that `say` ended.

    Raises ConfigError, BadFrame, DependencyDown, KafkaError, UnknownSymbol.
    """
    listing = names.listing(*wanted.instrument)
    if not VENUES[wanted.instrument.venue].ids_count:
        return await _fill_recent(rest, settings, listing, log, wanted)
    if wanted.is_paused:
        return await fill_ids(rest, listing, log, wanted, say)
    if not (wanted.begins and wanted.ends):
        await find_ids(rest, settings, listing, wanted)
    elif wanted.may_be_begun:
        await _leave_out_known(settings, wanted)
    return await fill_ids(rest, listing, log, wanted, say)


async def fill_ids(rest: Rest, listing: str, log: TradeLog, wanted: Stretch, say: AfterPage = lambda: None) -> Fetched:
    """As `fill`, of a stretch whose ids were just found (`find_ids`)."""
    before = wanted.trades
    for around in _AROUND:
        for run in wanted.left:
            wanted.is_paused = await _fill_run(rest, listing, log, wanted, run, around, say)
            if wanted.is_paused:
                return Fetched(wanted.trades - before, "paused")
        if not wanted.is_settled():
            break
    trades, left = wanted.trades - before, _why_left(wanted)
    if left:
        return Fetched(trades, "later", left)
    if not (wanted.begins and wanted.ends):
        return Fetched(trades, "later", f"the venue shows no trade from {'after' if wanted.begins else 'before'} it")
    return Fetched(trades, "whole", f"the venue has no trades of {wanted.absent} of these ids" * bool(wanted.absent))


async def _fill_run(
    rest: Rest, listing: str, log: TradeLog, wanted: Stretch, run: Missing, around: int, say: AfterPage
) -> bool:
    """Whether `say` ended it."""
    answer, is_enough = Answer(run), False
    low, high = max(0, run.first_id - around), run.last_id + around
    async for page in fetch_ids(rest, listing, low, high, id_kind=wanted.id_kind or "trade"):
        reasons = wanted.doubted.of(page, run.first_id, run.last_id)
        taken = answer.take(page, reasons)
        if reasons:
            odd = [one for one in page if one.trade_id in reasons and run.first_id <= one.order <= run.last_id]
            await wanted.doubted.set_aside(log, wanted.instrument, odd, reasons, LINE)
        if taken:
            await _put(log, wanted, _inside(wanted, taken))
            wanted.done = joined(wanted.done, answer.came)
            is_enough = bool(say())
        if is_enough or answer.is_enclosed():
            break
    if wanted.is_settled():
        for one in answer.absent():
            wanted.done = wanted.done.union_range(one.first_id, one.last_id)
            wanted.absent += one.ids()
    return is_enough


def _why_left(wanted: Stretch) -> str:
    """Why ids are still missing; "" where none is."""
    left = wanted.left
    silent = sum(rest.ids() for one in left for rest in without(one, wanted.doubted.ids))
    odd = sum(one.ids() for one in left) - silent
    why = [f"the venue did not answer for {silent} of these ids"] * bool(silent)
    why += [f"{odd} of its trades are not believed ({wanted.doubted.why})"] * bool(odd)
    return "; ".join(why)


def _inside(wanted: Stretch, taken: Sequence[Trade]) -> Sequence[Trade]:
    """Those that are to be written."""
    if not wanted.is_strict:
        return taken
    for trade in taken:
        if not wanted.holds(trade):
            wanted.outside = wanted.outside.union_range(trade.first_order, trade.order)
    return [trade for trade in taken if wanted.holds(trade)]


async def _fill_recent(rest: Rest, settings: Settings, listing: str, log: TradeLog, wanted: Stretch) -> Fetched:
    shown = await fetch_recent(rest, listing)
    reasons = wanted.doubted.of(shown, 0, -1)
    page = [trade for trade in shown if trade.trade_id not in reasons]
    inside = [trade for trade in shown if wanted.holds(trade)]
    lacking = inside and await not_in_log(settings, wanted.instrument, inside, wanted.from_ns, wanted.until_ns)
    missing = [trade for trade in lacking if trade.trade_id not in reasons]
    if missing:
        await _put(log, wanted, missing)
    # of one whose time cannot be true nobody knows whether it is inside
    odd = [trade for trade in lacking if trade.trade_id in reasons] + [one for one in shown if not _has_a_time(one)]
    if odd:
        await wanted.doubted.set_aside(log, wanted.instrument, odd, reasons, LINE)
        return Fetched(len(missing), "later", f"{len(odd)} of its trades are not believed ({wanted.doubted.why})")
    joins = reaches_back(page, max(wanted.from_ns, wanted.reached_ns - 1))
    if joins:
        wanted.reached_ns = max(wanted.reached_ns, page[-1].exchange_ns)
    if not page or not (page[-1].exchange_ns >= wanted.until_ns or wanted.is_settled()):
        return Fetched(len(missing), "later", "the venue's last trades do not go as far yet")
    if joins:
        return Fetched(len(missing), "whole")
    why = f"; not believed: {wanted.doubted.why}" * bool(wanted.doubted.why)
    return Fetched(len(missing), "never", f"the venue gives only its last {len(page)} trades{why}")


async def _put(log: TradeLog, wanted: Stretch, trades: Sequence[Trade]) -> None:
    if not trades:
        return
    await log.put(TradeBatch(*wanted.instrument, time.time_ns(), LINE, list(trades)))
    await log.drain()  # the next look at the log sees them
    wanted.trades += len(trades)


async def _any(pages: AsyncIterator[list[Trade]], holds: Callable[[Trade], bool]) -> bool:
    async for page in pages:
        if any(holds(trade) for trade in page if _has_a_time(trade)):
            return True
    return False


def _has_a_time(trade: Trade) -> bool:
    """Whether its time may be true, as far as one can tell without the trades around it."""
    return time_trouble(trade.exchange_ns, time.time_ns(), history=True) is None
