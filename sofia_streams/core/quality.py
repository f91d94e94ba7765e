"""What a window's trades are worth. Pure; the meaning of each word stands at `model.Quality`."""

from __future__ import annotations

from collections.abc import Iterable

from sofia_streams.core.windows import Hole
from sofia_streams.model import Quality

_ORDER: tuple[Quality, ...] = ("gap", "stale", "backfilled", "revised", "complete")
"""Worst first."""


def worst(marks: Iterable[Quality]) -> Quality:
    """The worst of some marks; `complete` of none."""
    return min(marks, key=_ORDER.index, default="complete")


def mark_of(holes: Iterable[Hole], start_ns: int, end_ns: int, known: Iterable[Quality] = ()) -> Quality:
    """The mark of the window [start_ns, end_ns) with these open gaps; `known` are marks of what it is made of."""
    found: list[Quality] = [("stale" if hole.is_stale else "gap") for hole in holes if hole.overlaps(start_ns, end_ns)]
    return worst([*found, *known])
