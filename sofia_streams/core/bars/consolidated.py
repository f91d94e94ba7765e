"""The consolidated candles' part of a step: what one venue's record finishes or changes of its symbol over all venues.

A consolidated second is its venues' seconds merged, once every venue alive has closed it. What it lacks of any venue is
said by its mark. What it does not do: a venue's own windows (`candles`), when one is closed (`closing`).
"""

from __future__ import annotations

import msgspec

from sofia_streams.core.bars.closing import joint_closed_ns, silence_of, waits_after
from sofia_streams.core.bars.quality import absences
from sofia_streams.core.bars.step_rows import StepRows
from sofia_streams.core.bars.windows import Feed, Hole, Joint, instrument_key
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, Gap, Punctuation, TradeBatch

_replace = msgspec.structs.replace


def consolidate(work: StepRows, feed: Feed, record: TradeBatch | Punctuation | Gap) -> int:
    """Publish the consolidated windows that this step finished or changed, then the symbol's silence if it is silent;
    up to where they are closed.

    `feed` is the row of the record's venue as this step leaves it; what it closed or changed is in `work.touched`.
    """
    was = work.joint()
    late = {start_ns for start_ns in work.touched if start_ns < was.closed_ns}
    waiting = {*was.pending, *work.touched} - late
    now = _advanced(was, work, feed, record)
    work.silence = silence_of(record, now.waits_for)
    due = sorted(late | {start_ns for start_ns in waiting if start_ns < now.closed_ns})
    kept = [start_ns for start_ns in due if start_ns >= now.kept_from_ns]
    if not isinstance(record, Gap):  # its news reaches those by `Step.remark`
        for start_ns in due:
            if start_ns < now.kept_from_ns:
                work.name_old(CONSOLIDATED, start_ns)
    holes: list[Hole] = []
    if due or now.closed_ns // NS_PER_MINUTE > was.closed_ns // NS_PER_MINUTE:
        holes = work.joint_holes(feed, now)
    for start_ns in kept:
        work.publish_joint_second(now.venues, start_ns, holes)
    work.publish_minutes(CONSOLIDATED, {was.closed_ns, *kept}, now.closed_ns, holes)
    kept_from_ns = work.forget(CONSOLIDATED, was.kept_from_ns, was.closed_ns, now.closed_ns, due)
    pending = sorted(start_ns for start_ns in waiting if start_ns >= now.closed_ns)
    now = _replace(now, kept_from_ns=kept_from_ns, pending=pending)
    if now != was:
        work.changed[instrument_key(CONSOLIDATED, work.market, work.symbol)] = now
    return now.closed_ns


def _advanced(was: Joint, work: StepRows, feed: Feed, record: TradeBatch | Punctuation | Gap) -> Joint:
    """How far consolidated windows are closed by this record, and who is waited for or away."""
    waits_for = waits_after(was, record, feed.closed_ns)
    reached_ns = max(was.reached_ns, feed.closed_ns)
    absent = was.absent
    if absent or work.venue not in was.waits_for:
        absent = absences(was, record, work.feed(work.venue))
    return _replace(
        was,
        closed_ns=joint_closed_ns(was.closed_ns, reached_ns, waits_for, work.rules),
        reached_ns=reached_ns,
        waits_for=waits_for,
        venues=was.venues if work.venue in was.venues else sorted([*was.venues, work.venue]),
        absent=absent,
    )
