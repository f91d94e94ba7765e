"""The rows of the `ohlcv` table, and their keys. Plain values: how they change stands in `candles`.

    "venue|market|symbol"               Feed: open seconds, watermark, last applied offset
    "venue|market|symbol|gaps"          Gaps: those that are open, where there ever were any
    "venue|market|symbol|1s|start_ns"   Window: a closed second, still revisable, with the ids it holds
    "venue|market|symbol|1m|start_ns"   Window: a closed minute
    "all|market|symbol"                 Joint: which venues a consolidated bar waits for
    "all|market|symbol|1s|start_ns"     Window: a closed consolidated second; likewise 1m

Rows are small and change one at a time, so that a changelog stays small.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from sofia_streams.core.bars.ohlcv import Sums
from sofia_streams.core.feeds.ids import IdSet
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND, Gap, Market, Punctuation, Quality, TradeBatch

SIZES_NS = {"1s": NS_PER_SECOND, "1m": NS_PER_MINUTE}
SIZE_NAME = {size_ns: name for name, size_ns in SIZES_NS.items()}
_COIN_CONTRACTS = {("binance", "linear"), ("bybit", "linear")}


class Rules(NamedTuple):
    """What may be set; all in ns of exchange time.

    lateness_ns   how far behind its newest trade, or its clock, a venue may still be when a second is closed
    kept_ns       how long a closed second stays revisable from state; whole minutes are kept
    wait_max_ns   how far the fastest venue may run ahead before a consolidated bar stops waiting for the slowest
    quiet_max_ns  how far apart the records of an instrument may be for what lies between to count as quiet: ingest
                  speaks at least each second or so while a feed is alive, and stays two seconds behind
    """

    lateness_ns: int = NS_PER_SECOND
    kept_ns: int = 2 * NS_PER_MINUTE
    wait_max_ns: int = NS_PER_MINUTE
    quiet_max_ns: int = 5 * NS_PER_SECOND


class Window(msgspec.Struct, frozen=True, array_like=True, tag="w"):
    """A window's candle, the ids in it by id kind (venue seconds only), and how often it was published again.

    `sums` is None where there was no trade, though the feed was alive. `mark` is its quality but for `revised`;
    `backfilled` whether a trade in it was fetched later.
    """

    sums: Sums | None
    ids: dict[str, IdSet] = {}
    revision: int = 0
    mark: Quality = "complete"
    backfilled: bool = False


class Hole(msgspec.Struct, frozen=True, array_like=True):
    """An open gap: from the trade before to the one after (None while it lasts), and whether the feed was dead."""

    from_ns: int
    until_ns: int | None
    is_stale: bool = False

    def overlaps(self, start_ns: int, end_ns: int) -> bool:
        """Whether some of [start_ns, end_ns) lies in it."""
        return self.from_ns < end_ns and (self.until_ns is None or start_ns <= self.until_ns)


UNHEARD_NS = 2**63 - 1
"""Since when a feed is known that was not heard yet."""
Span = tuple[int, int]
"""From and until, ns of exchange time."""


class Feed(msgspec.Struct, frozen=True, array_like=True, tag="f"):
    """One instrument of one venue.

    Every second before `closed_ns` is closed; rows from `kept_from_ns` on are kept. `late` counts trades that revised
    a closed window, `repeated` those that were there already, `rebuilt` those older than the kept rows.
    `reached_ns` is the newest moment that a record spoke of, one that closed a gap too; `unsure` are the stretches in
    which none of the feed's own did for longer than a quiet market explains; `gaps` are the open ones, which are stored
    in a row of their own (`Gaps`). What came before `since_ns`, the first moment that a live record spoke of, is not
    known (0: known for ever, of a row from before this was noted).
    """

    offset: int = -1
    newest_ns: int = 0
    closed_ns: int = 0
    kept_from_ns: int = 0
    open: dict[int, Window] = {}
    trades: int = 0
    late: int = 0
    repeated: int = 0
    rebuilt: int = 0
    reached_ns: int = 0
    unsure: list[Span] = []
    gaps: dict[str, Hole] = {}
    since_ns: int = 0


class Gaps(msgspec.Struct, frozen=True, array_like=True, tag="g"):
    """The open gaps of one instrument, by id, and the offset of the record that changed them last.

    There may be thousands, and a feed's own row is written with each record.
    """

    open: dict[str, Hole]
    offset: int


class Joint(msgspec.Struct, frozen=True, array_like=True, tag="j"):
    """One symbol over its venues.

    `waits_for` has `closed_ns` of each venue alive, `venues` all that ever were; `pending` are seconds that some venue
    closed and the joint has not published; `reached_ns` is the newest `closed_ns` of any venue. `absent` are stretches
    in which a venue was away that is back, until they are published or a gap of the venue says more.
    """

    closed_ns: int = 0
    kept_from_ns: int = 0
    reached_ns: int = 0
    waits_for: dict[str, int] = {}
    venues: list[str] = []
    pending: list[int] = []
    absent: dict[str, Span] = {}


Row = Feed | Gaps | Joint | Window


class Heard(NamedTuple):
    """From when and up to when a venue's feed of a symbol was heard, and its gaps that are open, by id."""

    since_ns: int
    reached_ns: int
    gaps: Mapping[str, Hole] = {}


class Minute(NamedTuple):
    """A minute of one venue's, or of the consolidated, candles of a symbol; its seconds go with it."""

    venue: str
    market: Market
    symbol: str
    start_ns: int


Name = tuple[str, Market, str]
"""Venue, market and symbol of an instrument."""


class Stretch(NamedTuple):
    """The bars of one venue in [from_ns, until_ns), the consolidated ones that it joins in [from_ns, joint_until_ns).

    Bars are in it by their start. A venue that is behind or away has its windows kept for longer than the consolidated.
    """

    venue: str
    market: Market
    symbol: str
    from_ns: int
    until_ns: int
    joint_until_ns: int

    @property
    def end_ns(self) -> int:
        """No bar of it begins here or later."""
        return max(self.until_ns, self.joint_until_ns)


def instrument_key(venue: str, market: Market, symbol: str) -> str:
    """The name of an instrument everywhere: `venue|market|symbol`."""
    return f"{venue}|{market}|{symbol}"


def gaps_key(instrument: str) -> str:
    """The key of the open gaps of an instrument."""
    return f"{instrument}|gaps"


def window_key(instrument: str, size_ns: int, start_ns: int) -> str:
    """The key of a closed window of an instrument."""
    return f"{instrument}|{SIZE_NAME[size_ns]}|{start_ns}"


def joins_consolidated(venue: str, market: Market) -> bool:
    """Whether quantities are in coins, so that venues may be added up (other contracts are left per venue)."""
    return market == "spot" or (venue, market) in _COIN_CONTRACTS


def is_live(record: TradeBatch | Punctuation | Gap) -> bool:
    """Whether a record says that its feed is alive: what was fetched later, or is known of a gap, does not."""
    if isinstance(record, TradeBatch):
        return any(not (trade.backfilled or trade.snapshot) for trade in record.trades)
    return isinstance(record, Punctuation) and record.alive
