"""What a window's trades are worth. Pure; the meaning of each word stands at `model.Quality`."""

from __future__ import annotations

from collections.abc import Iterable

from sofia_streams.core.bars.windows import UNHEARD_NS, Feed, Heard, Hole, Joint, Span, is_live
from sofia_streams.model import NS_PER_MINUTE, Gap, Punctuation, Quality, TradeBatch

_ORDER: tuple[Quality, ...] = ("gap", "stale", "backfilled", "revised", "complete")
"""Worst first."""
AWAY_NS_MAX = 24 * 60 * NS_PER_MINUTE
"""For so long consolidated bars lack a venue that was heard and is away; then it counts as followed no more."""


def worst(marks: Iterable[Quality]) -> Quality:
    """The worst of some marks; `complete` of none."""
    return min(marks, key=_ORDER.index, default="complete")


def mark_of(holes: Iterable[Hole], start_ns: int, end_ns: int, known: Iterable[Quality] = ()) -> Quality:
    """The mark of the window [start_ns, end_ns) with these open gaps; `known` are marks of what it is made of."""
    found: list[Quality] = [("stale" if hole.is_stale else "gap") for hole in holes if hole.overlaps(start_ns, end_ns)]
    return worst([*found, *known])


def began_in(since_ns: int) -> Hole:
    """What is not known of the window in which a feed began: what came before its first record."""
    return Hole(since_ns, since_ns)


def marks_at_begin(since_ns: int, end_ns: int, *, is_fetched: bool) -> list[Quality]:
    """What a window is worth that begins before its feed is known: a gap, but for history that was fetched later."""
    return [] if is_fetched and end_ns <= since_ns else ["gap"]


def lacking(gaps: Iterable[Hole], heard: Heard, from_ns: int, until_ns: int) -> list[Hole]:
    """What the consolidated windows in [from_ns, until_ns) lack of a venue: its open gaps, its beginning, its absence.

    The venue is away from `heard.reached_ns` on; a gap that lasts counts as long as that.
    """
    if heard.since_ns == UNHEARD_NS:
        return []
    last_ns = heard.reached_ns + AWAY_NS_MAX
    found = [hole if hole.until_ns is not None else Hole(hole.from_ns, last_ns, hole.is_stale) for hole in gaps]
    if from_ns <= heard.since_ns:
        found.append(began_in(heard.since_ns))
    if heard.reached_ns < until_ns:
        found.append(Hole(heard.reached_ns, last_ns, is_stale=True))
    return found


def known_until_ns(reached_ns: int, gap: Gap) -> int:
    """Up to when a feed that was heard up to `reached_ns` is known once this gap of it is closed.

    So a venue whose gap is filled before it is heard again was not away in it.
    """
    return max(reached_ns, gap.known_until_ns) if gap.from_ns <= reached_ns else reached_ns


def absences(joint: Joint, record: TradeBatch | Punctuation | Gap, feed: Feed) -> dict[str, Span]:
    """`Joint.absent` after this record; `feed` is the row of its venue before it."""
    found = {venue: span for venue, span in joint.absent.items() if span[1] >= joint.closed_ns}
    if isinstance(record, Gap):
        span = found.get(record.venue)
        if span is not None and Hole(record.from_ns, record.until_ns).overlaps(*span):
            del found[record.venue]
    elif record.venue not in joint.waits_for and feed.since_ns != UNHEARD_NS and feed.reached_ns and is_live(record):
        back_ns = _first_ns(record)
        if back_ns > feed.reached_ns:
            found[record.venue] = feed.reached_ns, back_ns
    return found


def _first_ns(record: TradeBatch | Punctuation) -> int:
    if isinstance(record, Punctuation):
        return record.exchange_ns
    return min(trade.exchange_ns for trade in record.trades if not (trade.backfilled or trade.snapshot))
