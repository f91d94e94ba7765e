"""Candles from before our own: the klines of several venues as one series, and when a symbol has need of them. Pure.

What it does not do: ask venues (`ingest.rest.history`), take the candles up (`book.Book.learn`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from sofia_streams.core.features.book import FILLED_MAX
from sofia_streams.core.features.sets import sets_of
from sofia_streams.model import CONSOLIDATED, NS_PER_HOUR, Bar
from sofia_streams.scored import History, Kline

WINDOWS_MAX = 400
"""More are of no use: after so many an average forgets what it began with (Wilder's of 14 keeps 1e-13 of it)."""


def windows_wanted(hours: int, size_ns: int) -> int:
    """How many windows of this size to ask venues for, where so many hours are configured."""
    return min(WINDOWS_MAX, hours * NS_PER_HOUR // size_ns)


def joined(by_venue: Mapping[str, Sequence[Kline]]) -> list[Kline]:
    """One series of the venues' klines of one size, ascending; a window that none of them has is left out.

    High and low are those of all, volumes and counts are sums; one that a venue does not say is not known of all. The
    open and close of a consolidated candle are the first and last trade of any venue, which klines do not tell; those
    of the venue with the largest volume in the window are the likeliest to be near them, since it trades most often.
    Where volumes are equal, the first by name counts.
    """
    windows: dict[int, list[Kline]] = {}
    for venue in sorted(by_venue):
        for kline in by_venue[venue]:
            windows.setdefault(kline.start_ns, []).append(kline)
    return [_one(start_ns, windows[start_ns]) for start_ns in sorted(windows)]


def _one(start_ns: int, klines: Sequence[Kline]) -> Kline:
    largest = max(klines, key=lambda kline: kline.volume)  # the first of those that are equal
    counts = [kline.trade_count for kline in klines]
    return Kline(
        start_ns,
        largest.open,
        max(kline.high for kline in klines),
        min(kline.low for kline in klines),
        largest.close,
        sum((kline.volume for kline in klines), Decimal(0)),
        _sum([kline.quote_volume for kline in klines]),
        _sum([kline.buy_volume for kline in klines]),
        None if None in counts else sum(count for count in counts if count is not None),
    )


def _sum(values: Sequence[Decimal | None]) -> Decimal | None:
    """None where one is not known."""
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) if len(known) == len(values) else None


class Run:
    """How many of a symbol's consolidated bars have come in a row: as `Book` counts, without its indicators.

    began_ns   start of the first of them; None before there is any
    """

    def __init__(self, size_ns: int) -> None:
        """Raises KeyError for another size than a second or a minute."""
        self.size_ns = size_ns
        self._warm_up = max(one.warm_up for one in sets_of(size_ns))
        self.began_ns: int | None = None
        self.last_ns: int | None = None
        self._seen = self._filled = 0

    @property
    def is_warm(self) -> bool:
        """Whether there were enough of them for every feature: history is of no use any more."""
        return self._seen >= self._warm_up

    def take(self, bar: Bar) -> bool:
        """Whether features begin anew with this bar: the first with a price, or one behind too many that are missing.

        A window that was taken before, or another revision of it, changes nothing.
        """
        if self.last_ns is None:
            if bar.close is None:
                return False
            return self._begin(bar)
        missing = (bar.start_ns - self.last_ns) // self.size_ns - 1
        if missing < 0:
            return False
        if missing and missing + self._filled > FILLED_MAX:
            return self._begin(bar)
        self.last_ns, self._seen = bar.start_ns, self._seen + missing + 1
        self._filled = self._filled + missing + 1 if bar.close is None else 0
        return False

    def _begin(self, bar: Bar) -> bool:
        self.began_ns = self.last_ns = bar.start_ns
        self._seen, self._filled = 1, int(bar.close is None)
        return True


class Before:
    """Whether a symbol's features go on at the bar that starts at `first_ns`, by what stands before it in the log."""

    def __init__(self, first_ns: int, size_ns: int) -> None:
        self._first_ns, self._run = first_ns, Run(size_ns)
        self._history_ns: int | None = None

    def take(self, record: Bar | History) -> None:
        """The next record of the symbol, up to the end of the log; those behind that bar do not count, but history."""
        if record.size_ns != self._run.size_ns:
            return
        if isinstance(record, History):
            self._history_ns = record.klines[-1].start_ns if record.klines else self._history_ns
        elif record.venue == CONSOLIDATED and record.start_ns <= self._first_ns:
            self._run.take(record)

    def is_known(self) -> bool:
        """Whether there are enough bars in a row, or their history is there."""
        began_ns = self._run.began_ns
        has_history = self._history_ns is not None and began_ns is not None and self._history_ns >= began_ns
        return self._run.is_warm or has_history
