"""What pages of fetched trades say: which ids the venue has (`Answer`), and which rows cannot be true (`doubts`).

The rules for rows are those for live prints (`plausible`), but many are seen at once:

times   as of history that a venue replays
price   within the factor of one that is known, or of so many rows of the page that a live print would be believed; with
        none known, of more than half of the page. So neither the first row nor a single odd one is the measure.

What it does not do: fetch, or know where in time a row should lie.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterable, Sequence
from decimal import Decimal

from sofia_streams.core.feeds.gaps import Missing, without
from sofia_streams.core.feeds.ids import IdSet, joined
from sofia_streams.core.feeds.plausible import AGREEING, FACTOR_MAX, time_trouble
from sofia_streams.model import Trade


class Answer:
    """What a venue's pages say of a run of ids: which it has, and how far down and up it showed any."""

    def __init__(self, wanted: Missing) -> None:
        self._wanted = wanted
        self.came = IdSet()
        self._doubted = IdSet()
        self.lowest: int | None = None
        self.highest: int | None = None

    def take(self, page: Iterable[Trade], doubted: Container[str] = ()) -> list[Trade]:
        """The trades of a page that were wanted; those whose ids are doubted neither came nor are absent."""
        taken = []
        for trade in page:
            first = trade.first_order
            self.lowest = first if self.lowest is None else min(self.lowest, first)
            self.highest = trade.order if self.highest is None else max(self.highest, trade.order)
            if trade.trade_id in doubted:
                self._doubted = self._doubted.union_range(first, trade.order)
            elif first <= self._wanted.last_id and trade.order >= self._wanted.first_id:
                self.came = self.came.union_range(first, trade.order)
                taken.append(trade)
        return taken

    def is_enclosed(self) -> bool:
        """Whether it showed trades on both sides."""
        below = self.lowest is not None and self.lowest < self._wanted.first_id
        return below and self.highest is not None and self.highest > self._wanted.last_id

    def absent(self) -> list[Missing]:
        """What the venue has no trades of: it showed one before and one after."""
        if self.lowest is None or self.highest is None:
            return []
        left = without(self._wanted, joined(self.came, self._doubted))
        return [one for one in left if self.lowest < one.first_id and one.last_id < self.highest]


def doubts(page: Sequence[Trade], known: Decimal | None, now_ns: int) -> dict[str, str]:
    """By trade id, why a row is not believed. `known` is a believed price of the instrument, near in time."""
    prices = sorted(trade.price for trade in page)
    least = AGREEING + 1 if known is not None else min(AGREEING + 1, len(prices) // 2 + 1)
    found = {}
    for trade in page:
        why = time_trouble(trade.exchange_ns, now_ns, history=True) or _price_trouble(trade.price, known, prices, least)
        if why is not None:
            found[trade.trade_id] = why
    return found


def _price_trouble(price: Decimal, known: Decimal | None, prices: Sequence[Decimal], least: int) -> str | None:
    low, high = price / FACTOR_MAX, price * FACTOR_MAX
    if known is not None and low <= known <= high:
        return None
    agreeing = bisect_right(prices, high) - bisect_left(prices, low)
    if agreeing >= least:
        return None
    near = f"the last one, {known}" if known is not None else f"others of its page, {prices[len(prices) // 2]}"
    return f"expected a price within a factor of {FACTOR_MAX} of {near}, found {price}"
