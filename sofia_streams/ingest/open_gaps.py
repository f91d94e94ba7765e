"""Gaps that stay open are said again before retention drops their record. Fills none.

A worker that starts takes the open gaps from the topic `gaps`, which is kept no longer than the others. It cannot be
compacted instead: its key is the symbol, as everywhere, and the log has many gaps of one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import msgspec
import structlog
from aiokafka.errors import KafkaError

from sofia_streams import topics
from sofia_streams.core.feeds.gaps import gap_key, newest
from sofia_streams.logread import read_gaps
from sofia_streams.logwrite import Written, write_records
from sofia_streams.model import NS_PER_SECOND, Gap
from sofia_streams.settings import Settings

_log = structlog.get_logger("open_gaps")
_LOOK_S = 3600.0
_PARTS = 4
"""A record is said again after so large a part of the time that it is kept."""


async def repeat_open_gaps(settings: Settings) -> None:
    """Look each hour, for ever; where the broker is away, the next time."""
    while True:
        try:
            await repeat_once(settings, time.time_ns())
        except KafkaError as error:
            _log.warning("open gaps not looked at, again in an hour", error=str(error)[:300])
        await asyncio.sleep(_LOOK_S)


async def repeat_once(settings: Settings, now_ns: int) -> list[Gap]:
    """Say again what is due; what was said. Raises KafkaError.

    That a gap is closed is said in `trades` as well: an outdated record may stand there too.
    """
    records = [gap async for gap in read_gaps(settings)]
    found = due(records, now_ns, settings.topic_retention_hours)
    if found:
        written = [Written(topics.GAPS, gap.symbol, gap, now_ns) for gap in found]
        written += [Written(topics.TRADES, gap.symbol, gap, now_ns) for gap in found if gap.state == "closed"]
        await write_records(settings, written)
        put_right = len(_followed(records))
        text = "gaps said again: open ones that the log would drop, and those that an outdated record followed"
        _log.info(text, old=len(found) - put_right, put_right=put_right)
    return found


def due(records: Sequence[Gap], now_ns: int, retention_hours: int) -> list[Gap]:
    """What is to be said again, of all records of `gaps`: what is open and old, and what an outdated record followed.

    Stores go by the last record of a gap, and an outdated one must not outlive the one that overtook it.
    """
    followed = _followed(records)
    old_ns = retention_hours * 3600 * NS_PER_SECOND // _PARTS
    return [
        msgspec.structs.replace(gap, received_ns=now_ns)
        for gap in newest(records)
        if gap_key(gap) in followed or (gap.state == "open" and retention_hours and now_ns - gap.received_ns > old_ns)
    ]


def _followed(records: Sequence[Gap]) -> set[tuple[str, ...]]:
    """The gaps whose last record is an outdated one."""
    last = {gap_key(gap): gap for gap in records}
    return {gap_key(gap) for gap in newest(records) if last[gap_key(gap)] is not gap}
