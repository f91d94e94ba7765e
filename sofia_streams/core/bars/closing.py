"""How far windows are closed by what the log says: one rule for the step that closes them and for who checks it. Pure.

`Closing` follows a log without its bars, for `sofia verify`: which windows must have one by now. What it does not do:
sums, revisions, what a window is worth (`candles`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from sofia_streams.core.bars.ohlcv import window_start_ns
from sofia_streams.core.bars.watermark import sure_ns
from sofia_streams.core.bars.windows import Joint, Rules, instrument_key, is_live, joins_consolidated
from sofia_streams.model import (
    CONSOLIDATED,
    NS_PER_MINUTE,
    NS_PER_SECOND,
    PUNCTUATION_LAG_NS,
    Gap,
    Punctuation,
    TradeBatch,
)
from sofia_streams.scored import Silence

Record = TradeBatch | Punctuation | Gap


def stopped_ns(closed_ns: int, newest_ns: int) -> int:
    """The end of the minute a feed stopped in: nothing of it stays open. `newest_ns` is in its newest second."""
    after_ns = window_start_ns(newest_ns, NS_PER_SECOND) + NS_PER_SECOND
    return -(-max(closed_ns, after_ns) // NS_PER_MINUTE) * NS_PER_MINUTE


def waits_after(joint: Joint, record: Record, closed_ns: int) -> dict[str, int]:
    """For which venues a consolidated window waits after this record, whose feed is now closed up to `closed_ns`."""
    waits_for = {venue: at_ns for venue, at_ns in joint.waits_for.items() if venue != record.venue}
    has_ended = isinstance(record, Punctuation) and not record.alive
    if is_live(record) or (record.venue in joint.waits_for and not has_ended):
        waits_for[record.venue] = closed_ns
    return waits_for


def silence_of(record: Record, waits_for: Mapping[str, int]) -> Silence | None:
    """What a feed that ended says of its symbol's consolidated bars, where no other venue is waited for; else None."""
    if waits_for or not isinstance(record, Punctuation) or record.alive:
        return None
    return Silence(record.market, record.symbol, max(0, record.received_ns - PUNCTUATION_LAG_NS))


def joint_closed_ns(closed_ns: int, reached_ns: int, waits_for: Mapping[str, int], rules: Rules) -> int:
    """Up to where consolidated windows are closed: the slowest venue alive, but for one that is too far behind."""
    if not waits_for:
        return max(closed_ns, reached_ns)
    return max(closed_ns, min(waits_for.values()), max(waits_for.values()) - rules.wait_max_ns)


class Closing:
    """Takes the records of `trades` in their order; it may begin anywhere in the log."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._closed_ns: dict[str, int] = defaultdict(int)
        self._newest_ns: dict[str, int] = defaultdict(lambda: -1)
        self._joints: dict[str, Joint] = defaultdict(Joint)
        self._sure_ns: dict[str, int] = defaultdict(int)

    def add(self, record: Record) -> None:
        """The next record."""
        key = instrument_key(record.venue, record.market, record.symbol)
        horizon_ns = self._horizon_ns(key, record)
        closed_ns = self._closed_ns[key] = max(self._closed_ns[key], window_start_ns(horizon_ns, NS_PER_SECOND))
        if joins_consolidated(record.venue, record.market):
            key = instrument_key(CONSOLIDATED, record.market, record.symbol)
            joint = self._joints[key]
            waits_for, reached_ns = waits_after(joint, record, closed_ns), max(joint.reached_ns, closed_ns)
            until_ns = joint_closed_ns(joint.closed_ns, reached_ns, waits_for, self._rules)
            self._joints[key] = Joint(until_ns, reached_ns=reached_ns, waits_for=waits_for)
            ahead_ns = max(waits_for.values(), default=0) - self._rules.wait_max_ns
            self._sure_ns[key] = max(self._sure_ns[key], ahead_ns)

    def closed_ns(self, instrument: str, *, saw_all: bool = True) -> int:
        """Windows that end at or before this are closed; 0 where nothing is known.

        Where not all of the log was seen (`saw_all`), a venue may be waited for that did not speak.
        """
        joint = self._joints.get(instrument)
        if joint is None:
            return self._closed_ns.get(instrument, 0)
        return joint.closed_ns if saw_all else self._sure_ns[instrument]

    def _horizon_ns(self, key: str, record: Record) -> int:
        if isinstance(record, Gap):
            return 0
        if isinstance(record, Punctuation) and record.alive:
            return sure_ns(record.exchange_ns, self._rules.lateness_ns)
        if isinstance(record, Punctuation):
            return stopped_ns(self._closed_ns[key], self._newest_ns[key])
        live = (trade.exchange_ns for trade in record.trades if not trade.snapshot)
        newest_ns = self._newest_ns[key] = max(self._newest_ns[key], max(live, default=-1))
        return newest_ns - self._rules.lateness_ns
