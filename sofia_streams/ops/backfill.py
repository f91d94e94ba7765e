"""`sofia backfill`: a stretch of one instrument's trades from its venue into the log, where the log has them not.

Bars are revised and stores written by the workers, as with any late trade. Open gaps that it fills are closed. What it
does not do: watch for holes (the `backfill` worker does).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from sofia_streams.core.feeds.gaps import Missing, without
from sofia_streams.errors import ConfigError
from sofia_streams.ingest.log_trades import Instrument
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.rest.client import Rest
from sofia_streams.ingest.rest.fill import LINE, Fetched, Stretch, fill, fill_ids, find_ids
from sofia_streams.ingest.rest.instruments import Place
from sofia_streams.ingest.trade_log import TradeLog
from sofia_streams.model import NS_PER_SECOND, Gap
from sofia_streams.ops.gaps import open_gaps
from sofia_streams.ops.times import stretch_of
from sofia_streams.settings import Settings
from sofia_streams.venues.registry import VENUES, check_venue

Say = Callable[[str], None]


class Done(NamedTuple):
    """What a backfill did: `absent` ids the venue says it has no trades of, `unanswered` ids it said nothing about.

    `is_whole`: the stretch is complete now, but for what is `absent`.
    """

    fetched: int
    absent: int
    unanswered: int
    gaps_closed: int
    is_whole: bool


def past_stretch_of(start: str, end: str, now_ns: int | None = None) -> tuple[int, int]:
    """As `ops.times.stretch_of`; what is still to come cannot be fetched, and is refused too. Raises ConfigError."""
    from_ns, to_ns = stretch_of(start, end)
    at_ns = time.time_ns() if now_ns is None else now_ns
    if to_ns > at_ns:
        now = f"it is {datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC):%Y-%m-%dT%H:%M:%S} UTC"
        raise ConfigError(f"--to: expected a time that has passed ({now}), found {end}, which is in the future.")
    return from_ns, to_ns


async def backfill(settings: Settings, wanted: Instrument, from_ns: int, to_ns: int, say: Say) -> Done:
    """Fetch the trades from `from_ns` to before `to_ns` (`past_stretch_of`) that the log does not have.

    Raises ConfigError, BadFrame, DependencyDown, KafkaError, UnknownSymbol.
    """
    check_venue(wanted.venue)
    names, place = Names(settings.listings()), Place.of(settings)
    stretch = Stretch(wanted, from_ns, to_ns - 1, passed_ns=to_ns)
    stretch.is_strict = True
    async with place.rest(wanted.venue, wanted.market) as rest, TradeLog(settings) as log:
        found = await _fetch(rest, settings, names, log, stretch, say)
        is_whole = found.state == "whole"
        filled = [gap for gap in await open_gaps(settings) if _holds(stretch, gap)] if is_whole else []
        for gap in filled:
            await log.put(_closed(gap))
    if found.detail:
        say(found.detail)
    return Done(found.trades, stretch.absent, _left(stretch), len(filled), is_whole)


async def _fetch(rest: Rest, settings: Settings, names: Names, log: TradeLog, stretch: Stretch, say: Say) -> Fetched:
    if not VENUES[rest.venue].ids_count:
        return await fill(rest, settings, names, log, stretch)
    listing = names.listing(*stretch.instrument)
    await find_ids(rest, settings, listing, stretch)
    first, last = stretch.ids or (0, -1)
    total = _left(stretch)
    if first <= last:
        say(f"ids {first} to {last}: {total} are not in the log")
    else:
        say(f"{rest.venue} shows no trades of {listing} in this stretch")
    return await fill_ids(rest, listing, log, stretch, lambda: say(f"{total - _left(stretch)} of {total} fetched"))


def _left(stretch: Stretch) -> int:
    return sum(one.ids() for one in stretch.left)


def _holds(stretch: Stretch, gap: Gap) -> bool:
    """Whether a gap lies within a stretch, by its ids where both have some, else by its times."""
    if Instrument(gap.venue, gap.market, gap.symbol) != stretch.instrument or gap.until_ns is None:
        return False
    if gap.first_id and stretch.ids:
        first, last = stretch.ids
        found = Missing(int(gap.first_id), int(gap.last_id), gap.from_ns, gap.until_ns)
        is_inside = gap.id_kind == stretch.id_kind and first <= found.first_id and found.last_id <= last
        return is_inside and without(found, stretch.outside) == [found]
    return stretch.from_ns <= gap.from_ns and gap.until_ns <= stretch.until_ns


def _closed(gap: Gap) -> Gap:
    detail = "filled by hand"
    return msgspec.structs.replace(gap, state="closed", received_ns=time.time_ns(), line=LINE, detail=detail)
