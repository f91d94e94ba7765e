"""Holes in the log filled over REST, and what was before it.   in gaps, bars   out trades, gaps, bars (history)"""

from __future__ import annotations

import asyncio
from typing import Any

from sofia_streams import codec, topics
from sofia_streams.app import create_app, quarantine, topic_on
from sofia_streams.errors import BadRecord
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.open_gaps import repeat_open_gaps
from sofia_streams.ingest.rest.backfill import Backfill
from sofia_streams.ingest.rest.history import WarmStart
from sofia_streams.ingest.rest.kline_check import KlineCheck
from sofia_streams.ingest.trade_log import TradeLog
from sofia_streams.logread import read_gaps
from sofia_streams.settings import load_settings

settings = load_settings()
app = create_app("backfill", settings)
log = TradeLog(settings)
backfill = Backfill(settings, Names(settings.listings()), log)
check = KlineCheck(settings, backfill, app.log_check.was_at_work_ns)
warm_start = WarmStart(settings, log)


@app.task
async def run() -> None:
    """Take up what is open, then fill, compare and write histories for ever."""
    async for gap in read_gaps(settings):
        backfill.remember(gap)
    async with log, asyncio.TaskGroup() as group:
        group.create_task(backfill.run(settings.crypto_exchanges))
        group.create_task(check.run())
        group.create_task(warm_start.run())
        group.create_task(repeat_open_gaps(settings))


async def note(stream: Any, decode: Any, take: Any) -> None:
    """Hand every record of a topic over; unreadable ones are quarantined."""
    async for event in stream.events():
        try:
            take(decode(event.value))
        except BadRecord as error:
            await quarantine(app, settings, event, error)


@app.agent(topic_on(app, topics.GAPS, settings), name="note_gaps")
async def note_gaps(stream: Any) -> None:
    """What ingest finds missing."""
    await note(stream, codec.decode_gap, backfill.note)


@app.agent(topic_on(app, topics.BARS, settings), name="note_bars")
async def note_bars(stream: Any) -> None:
    """What our own minutes hold, and where bars begin."""

    def take(record: codec.InBars) -> None:
        check.note(record)
        warm_start.note(record)

    await note(stream, codec.decode_bars, take)


if __name__ == "__main__":
    app.main()
