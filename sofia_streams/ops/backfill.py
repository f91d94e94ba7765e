"""`sofia backfill`: a stretch of one instrument's trades from its venue into the log, where the log has them not.

Bars are revised and stores written by the workers, as with any late trade. Open gaps that it fills are closed. What it
does not do: watch for holes (the `backfill` worker does).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from sofia_streams.core.gaps import Missing, without
from sofia_streams.errors import ConfigError
from sofia_streams.ingest.log_trades import Instrument, ids_between, not_in_log
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.rest.backfill import LINE, SETTLED_NS
from sofia_streams.ingest.rest.client import Rest, open_rest
from sofia_streams.ingest.rest.instruments import Place
from sofia_streams.ingest.rest.trade_history import fetch_ids, fetch_recent, find_id, live_id_kind, reaches_back
from sofia_streams.ingest.trade_log import TradeLog
from sofia_streams.model import Gap, Trade, TradeBatch
from sofia_streams.ops.gaps import open_gaps
from sofia_streams.settings import Settings
from sofia_streams.venues.registry import VENUES, check_venue

Say = Callable[[str], None]


class Done(NamedTuple):
    """What a backfill did; `absent` ids the venue has no trades of, `is_whole` whether the stretch is complete now."""

    fetched: int
    absent: int
    gaps_closed: int
    is_whole: bool


async def backfill(settings: Settings, wanted: Instrument, from_ns: int, to_ns: int, say: Say) -> Done:
    """Fetch the trades from `from_ns` to before `to_ns` that the log does not have.

    Raises ConfigError, BadFrame, DependencyDown, KafkaError, UnknownSymbol.
    """
    check_venue(wanted.venue)
    if not 0 <= from_ns < to_ns:
        raise ConfigError(f"backfill: expected --from before --to, found {from_ns} and {to_ns} ns.")
    listing = Names(settings.listings()).listing(*wanted)
    url = Place.of(settings).rest_urls.get(wanted.venue)
    async with open_rest(wanted.venue, wanted.market, url) as rest, TradeLog(settings) as log:
        if VENUES[wanted.venue].ids_count:
            return await _by_ids(settings, rest, log, wanted, listing, from_ns, to_ns, say)
        return await _recent(settings, rest, log, wanted, listing, from_ns, to_ns)


async def _by_ids(
    settings: Settings, rest: Rest, log: TradeLog, wanted: Instrument, listing: str, from_ns: int, to_ns: int, say: Say
) -> Done:
    first, last = await find_id(rest, listing, from_ns), await find_id(rest, listing, to_ns) - 1
    kind = live_id_kind(rest)
    known = await ids_between(settings, wanted, kind, from_ns, to_ns - 1)
    missing = without(Missing(first, last, from_ns, to_ns), known) if first <= last else []
    total = sum(one.ids() for one in missing)
    say(f"ids {first} to {last}: {total} are not in the log")
    fetched = covered = 0
    for one in missing:
        async for page in fetch_ids(rest, listing, one.first_id, one.last_id, id_kind=kind):
            await _put(log, wanted, page)
            fetched, covered = fetched + len(page), covered + sum(trade.count for trade in page)
            say(f"{covered} of {total} fetched")
    is_whole = total == covered or time.time_ns() - to_ns >= SETTLED_NS
    closed = 0
    for gap in await _open_gaps(settings, wanted) if is_whole else []:
        if gap.first_id and gap.id_kind == kind and first <= int(gap.first_id) and int(gap.last_id) <= last:
            await _close(log, gap)
            closed += 1
    return Done(fetched, total - covered, closed, is_whole)


async def _recent(
    settings: Settings, rest: Rest, log: TradeLog, wanted: Instrument, listing: str, from_ns: int, to_ns: int
) -> Done:
    page = await fetch_recent(rest, listing)
    new = await not_in_log(settings, wanted, page, from_ns, to_ns - 1)
    if new:
        await _put(log, wanted, new)
    is_whole = reaches_back(page, from_ns)
    closed = 0
    for gap in await _open_gaps(settings, wanted) if is_whole else []:
        if from_ns <= gap.from_ns and gap.until_ns is not None and gap.until_ns < to_ns:
            await _close(log, gap)
            closed += 1
    return Done(len(new), 0, closed, is_whole)


async def _put(log: TradeLog, wanted: Instrument, trades: list[Trade]) -> None:
    await log.put(TradeBatch(*wanted, time.time_ns(), LINE, trades))


async def _close(log: TradeLog, gap: Gap) -> None:
    detail = "filled by hand"
    await log.put(msgspec.structs.replace(gap, state="closed", received_ns=time.time_ns(), line=LINE, detail=detail))


async def _open_gaps(settings: Settings, wanted: Instrument) -> list[Gap]:
    return [gap for gap in await open_gaps(settings) if Instrument(gap.venue, gap.market, gap.symbol) == wanted]
