"""A set of trade ids, small when they are consecutive numbers: ranges for numbers, a list for the rest.

Frozen: adding gives a new set. What it does not do: forget; a set belongs to one window and goes with it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

import msgspec


class IdSet(msgspec.Struct, frozen=True, array_like=True):
    """Ids seen. `ranges` is sorted, disjoint and never touching: [first, last, first, last, ...]."""

    ranges: list[int] = []
    others: list[str] = []

    def union(self, ids: Iterable[str]) -> IdSet:
        """The set with `ids` in it."""
        numbers = sorted(int(trade_id) for trade_id in ids if _is_number(trade_id))
        others = sorted({*self.others, *(trade_id for trade_id in ids if not _is_number(trade_id))})
        return IdSet(_merged(self.ranges, numbers), others)

    def union_range(self, first: int, last: int) -> IdSet:
        """The set with the numbers from first to last in it, both inside; cheap behind all others."""
        if not self.ranges or first > self.ranges[-1] + 1:
            return IdSet([*self.ranges, first, last], self.others)
        place = bisect_right(self.ranges, first)
        if place % 2 == 1 and last <= self.ranges[place]:
            return self
        return IdSet(_merged_spans([*_spans(self.ranges), (first, last)]), self.others)

    def __contains__(self, trade_id: str) -> bool:
        if not _is_number(trade_id):
            return trade_id in self.others
        place = bisect_right(self.ranges, int(trade_id))
        return place % 2 == 1 or (place > 0 and self.ranges[place - 1] == int(trade_id))

    def __len__(self) -> int:
        return len(self.others) + sum(last - first + 1 for first, last in _spans(self.ranges))


def joined(ids: IdSet, more: IdSet) -> IdSet:
    """The set with the numbers of both in it."""
    for first, last in _spans(more.ranges):
        ids = ids.union_range(first, last)
    return ids


def _is_number(trade_id: str) -> bool:
    """A number that is written back the same: ASCII digits without a leading zero."""
    return trade_id.isascii() and trade_id.isdigit() and (trade_id[0] != "0" or trade_id == "0")


def _spans(ranges: list[int]) -> list[tuple[int, int]]:
    return list(zip(ranges[::2], ranges[1::2], strict=True))


def _merged(ranges: list[int], numbers: list[int]) -> list[int]:
    return _merged_spans([*_spans(ranges), *((number, number) for number in numbers)])


def _merged_spans(spans: list[tuple[int, int]]) -> list[int]:
    merged: list[int] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1] + 1:
            merged[-1] = max(merged[-1], last)
        else:
            merged += (first, last)
    return merged
