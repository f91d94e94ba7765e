"""One step's view of the `ohlcv` rows: reads through to the stored ones, keeps what it writes and what to publish.

What a window is worth is worked out here, where it is published. What it does not do: decide which windows are due
(`candles`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from sofia_streams.core.bars.ohlcv import bar_of, merge_all, window_start_ns
from sofia_streams.core.bars.quality import lacking, mark_of, marks_at_begin
from sofia_streams.core.bars.windows import (
    SIZES_NS,
    UNHEARD_NS,
    Feed,
    Gaps,
    Heard,
    Hole,
    Joint,
    Minute,
    Name,
    Row,
    Rules,
    Stretch,
    Window,
    gaps_key,
    instrument_key,
    joins_consolidated,
    window_key,
)
from sofia_streams.model import (
    CONSOLIDATED,
    NS_PER_MINUTE,
    NS_PER_SECOND,
    Bar,
    Gap,
    Market,
    Punctuation,
    Quality,
    TradeBatch,
)
from sofia_streams.scored import Silence

_SECONDS_A_MINUTE = NS_PER_MINUTE // NS_PER_SECOND
_WALKED_NS_MAX = 60 * NS_PER_MINUTE


class StepRows:
    """What one record changes. `touched` are venue seconds that closed, or changed after closing.

    `since_ns` is from when on the record's feed is known; its caller changes it before anything is published.
    """

    def __init__(self, stored: Mapping[str, Row], record: TradeBatch | Punctuation | Gap, rules: Rules) -> None:
        self.stored, self.rules = stored, rules
        self.venue, self.symbol = record.venue, record.symbol
        self.market: Market = record.market
        self._gaps_key = gaps_key(instrument_key(self.venue, self.market, self.symbol))
        self.changed: dict[str, Row | None] = {}
        self.bars: list[Bar] = []
        self.touched: set[int] = set()
        self.rebuild: set[Minute] = set()
        self.remark: Stretch | None = None
        self.silence: Silence | None = None
        self.since_ns = UNHEARD_NS

    def name_old(self, venue: str, start_ns: int) -> None:
        """A window that is no longer kept has changed: its minute must be made again from the log."""
        self.rebuild.add(Minute(venue, self.market, self.symbol, window_start_ns(start_ns, NS_PER_MINUTE)))

    def name_late(self, start_ns: int) -> None:
        """A second of the record's venue that is no longer kept has changed, and the consolidated one with it."""
        self.name_old(self.venue, start_ns)
        if joins_consolidated(self.venue, self.market):
            self.name_old(CONSOLIDATED, start_ns)

    def get(self, key: str) -> Row | None:
        """A row as this step sees it."""
        return self.changed[key] if key in self.changed else self.stored.get(key)

    def feed(self, venue: str) -> Feed:
        """A venue's own row of this symbol."""
        key = instrument_key(venue, self.market, self.symbol)
        row, gaps = self.get(key), self.get(gaps_key(key))
        feed = row if isinstance(row, Feed) else Feed(since_ns=UNHEARD_NS)
        return msgspec.structs.replace(feed, gaps=gaps.open) if isinstance(gaps, Gaps) else feed

    def keep(self, feed: Feed) -> None:
        """Store the record's own feed, and its gaps where they changed; the last of a step, since it has the offset."""
        stored = self._gaps()
        if feed.gaps is not stored.open and feed.gaps != stored.open:
            self.changed[self._gaps_key] = Gaps(feed.gaps, feed.offset)
        key = instrument_key(self.venue, self.market, self.symbol)
        self.changed[key] = msgspec.structs.replace(feed, gaps={}) if feed.gaps else feed

    def are_gaps_ahead(self, feed: Feed) -> bool:
        """Whether a crash left the gaps of the record's own feed stored without it: their record comes again."""
        return self._gaps().offset > feed.offset

    def _gaps(self) -> Gaps:
        row = self.stored.get(self._gaps_key)
        return row if isinstance(row, Gaps) else Gaps({}, -1)

    def joint(self) -> Joint:
        """The row of the symbol over its venues."""
        row = self.get(instrument_key(CONSOLIDATED, self.market, self.symbol))
        return row if isinstance(row, Joint) else Joint()

    def heard(self) -> dict[Name, Heard]:
        """Of every venue of the symbol, from when and up to when it was heard."""
        venues = self.joint().venues if joins_consolidated(self.venue, self.market) else [self.venue]
        feeds = {(venue, self.market, self.symbol): self.feed(venue) for venue in venues}
        return {name: Heard(one.since_ns, one.reached_ns, one.gaps) for name, one in feeds.items()}

    def joint_holes(self, feed: Feed, joint: Joint) -> list[Hole]:
        """What the consolidated windows that are kept and closed lack of any venue; `feed` is the record's own."""
        found = [Hole(*span, is_stale=True) for span in joint.absent.values()]
        for venue in joint.venues:
            one = feed if venue == self.venue else self.feed(venue)
            since_ns = self.since_ns if venue == self.venue else one.since_ns
            reached_ns = one.closed_ns if venue in joint.waits_for else one.reached_ns
            if one.gaps or since_ns >= joint.kept_from_ns or reached_ns < joint.closed_ns:
                heard = Heard(since_ns, reached_ns)
                found += lacking(one.gaps.values(), heard, joint.kept_from_ns, joint.closed_ns)
        return found

    def window(self, venue: str, size_ns: int, start_ns: int) -> Window | None:
        """A closed window that is kept."""
        row = self.get(self._key(venue, size_ns, start_ns))
        return row if isinstance(row, Window) else None

    def seconds_between(self, from_ns: int, until_ns: int) -> Iterable[int]:
        """The seconds in [from_ns, until_ns), ascending; of a long stretch only those of which any venue has a row."""
        if until_ns - from_ns <= _WALKED_NS_MAX:
            return range(from_ns, until_ns, NS_PER_SECOND)
        part = self._key("", NS_PER_SECOND, 0)[:-1]
        known = {int(key.rpartition("|")[2]) for key in [*self.stored, *self.changed] if part in key}
        return sorted(start_ns for start_ns in known if from_ns <= start_ns < until_ns)

    def publish_second(self, start_ns: int, window: Window, holes: Iterable[Hole]) -> None:
        """Store a closed second of the record's venue, and its bar."""
        self.touched.add(start_ns)
        known: list[Quality] = ["backfilled"] if window.backfilled else []
        if start_ns <= self.since_ns:
            known += marks_at_begin(self.since_ns, start_ns + NS_PER_SECOND, is_fetched=window.backfilled)
        mark = mark_of(holes, start_ns, start_ns + NS_PER_SECOND, known)
        self._publish(self.venue, NS_PER_SECOND, start_ns, msgspec.structs.replace(window, mark=mark))

    def publish_minutes(self, venue: str, seconds: Iterable[int], closed_ns: int, holes: Iterable[Hole]) -> None:
        """Derive the minutes of these seconds that end at or before `closed_ns`."""
        for minute_ns in sorted({window_start_ns(start_ns, NS_PER_MINUTE) for start_ns in seconds}):
            end_ns = minute_ns + NS_PER_MINUTE
            if end_ns <= closed_ns:
                found = (self.window(venue, NS_PER_SECOND, at_ns) for at_ns in range(minute_ns, end_ns, NS_PER_SECOND))
                parts = [part for part in found if part is not None]
                if len(parts) == _SECONDS_A_MINUTE or any(part.sums is not None for part in parts):
                    self._publish_joined(venue, NS_PER_MINUTE, minute_ns, parts, holes)

    def publish_joint_second(self, venues: Iterable[str], start_ns: int, holes: Iterable[Hole]) -> None:
        """Derive a consolidated second from the closed seconds of its venues."""
        found = (self.window(venue, NS_PER_SECOND, start_ns) for venue in venues)
        parts = [part for part in found if part is not None]
        if parts:
            self._publish_joined(CONSOLIDATED, NS_PER_SECOND, start_ns, parts, holes)

    def forget(self, venue: str, kept_from_ns: int, was_closed_ns: int, floor_ns: int, done: Iterable[int]) -> int:
        """Delete the windows of minutes that ended `kept_ns` before `floor_ns`; from where rows are kept now.

        Rows stand only between `kept_from_ns` and `was_closed_ns`, and at `done`, which this step closed.
        """
        until_ns = max(kept_from_ns, window_start_ns(max(floor_ns - self.rules.kept_ns, 0), NS_PER_MINUTE))
        known = range(kept_from_ns, min(until_ns, was_closed_ns), NS_PER_SECOND)
        for start_ns in sorted({*known, *(start_ns for start_ns in done if start_ns < until_ns)}):
            for size_ns in SIZES_NS.values():
                key = self._key(venue, size_ns, start_ns)
                if start_ns % size_ns == 0 and self.stored.get(key) is not None:
                    self.changed[key] = None
                else:
                    self.changed.pop(key, None)  # made and forgotten in one step
        return until_ns

    def _publish_joined(
        self, venue: str, size_ns: int, start_ns: int, parts: list[Window], holes: Iterable[Hole]
    ) -> None:
        sums = merge_all(part.sums for part in parts if part.sums is not None)
        mark = mark_of(holes, start_ns, start_ns + size_ns, (part.mark for part in parts))
        backfilled = any(part.backfilled for part in parts)
        self._publish(venue, size_ns, start_ns, Window(sums, mark=mark, backfilled=backfilled))

    def _publish(self, venue: str, size_ns: int, start_ns: int, window: Window) -> None:
        """Store a closed window and its bar: first time revision 0, changed one more, as it was nothing."""
        known = self.window(venue, size_ns, start_ns)
        revision = 0
        if known is not None:
            if known.sums == window.sums and known.mark == window.mark:
                return
            revision = known.revision + 1
        window = msgspec.structs.replace(window, revision=revision)
        self.changed[self._key(venue, size_ns, start_ns)] = window
        bar = bar_of(
            window.sums,
            venue=venue,
            market=self.market,
            symbol=self.symbol,
            size_ns=size_ns,
            start_ns=start_ns,
            revision=revision,
            mark=window.mark,
        )
        self.bars.append(bar)

    def _key(self, venue: str, size_ns: int, start_ns: int) -> str:
        return window_key(instrument_key(venue, self.market, self.symbol), size_ns, start_ns)
