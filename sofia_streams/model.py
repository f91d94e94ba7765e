"""The records that travel: trades, tickers, punctuation, bars, reports. Plain data, exact decimals, times in int ns.

What it does not do: no I/O, no clock, no venue knowledge. Wire form: `codec.py`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Literal

import msgspec

Side = Literal["buy", "sell"]
Market = Literal["spot", "linear", "inverse"]
IdKind = Literal["trade", "agg"]
Quality = Literal["complete", "gap", "backfilled", "stale", "revised"]
"""What a bar's trades are worth, worst first: gap (some are known to be missing, or the feed began in it and what came
before is not known), stale (the feed was dead for a part of the window; of a consolidated bar, that of a venue),
backfilled (complete, some fetched later), revised (complete, some came late), complete."""

NS_PER_MS = 1_000_000
NS_PER_SECOND = 1_000_000_000
NS_PER_MINUTE = 60 * NS_PER_SECOND
NS_PER_HOUR = 60 * NS_PER_MINUTE
NS_PER_DAY = 24 * NS_PER_HOUR
CONSOLIDATED = "all"
"""The `venue` of a bar that joins every venue of a symbol."""

_DECIMAL = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?", re.ASCII)
_POSITIVE = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?", re.ASCII)


def decimal_from_text(text: str) -> Decimal:
    """The exact number in `text`: ASCII digits, at most 20 before and after the point, nothing else.

    `Decimal()` itself takes "NaN", "1_000", "1e999999999" and full-width digits; venues never send those.
    Raises ValueError.
    """
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError(f"expected plain decimal digits, found {text[:40]!r}")
    return Decimal(text)


def positive_from_text(text: str) -> Decimal:
    """As `decimal_from_text`, above zero: a price or a quantity. Raises ValueError."""
    if _POSITIVE.fullmatch(text) is None or not (value := Decimal(text)):
        raise ValueError(f"expected plain decimal digits above zero, found {text[:40]!r}")
    return value


class Trade(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One print. Its instrument and receipt stand on the batch that carries it.

    `order` is the venue's own order among trades of one `exchange_ns` (the trade id where ids are numbers, else a
    sequence), so that the first and last trade of a window do not depend on arrival. `snapshot` marks history that
    a venue replays on subscribing: stored, but left out of bars.
    """

    trade_id: str
    price: Decimal
    quantity: Decimal
    taker_side: Side
    exchange_ns: int
    order: int
    id_kind: IdKind = "trade"
    snapshot: bool = False
    stale: bool = False
    """Older than the limit at receipt (`STALE_AFTER_S`)."""
    count: int = 1
    """How many of the venue's consecutive ids this print covers; `trade_id` is the last of them (OKX)."""
    backfilled: bool = False
    """Fetched over REST after its time had passed."""

    @property
    def first_order(self) -> int:
        """The first of the ids that it covers, where ids are numbers; `order` is the last."""
        return self.order - self.count + 1


class TradeBatch(msgspec.Struct, frozen=True, tag_field="kind", tag="trades"):
    """Trades of one instrument that arrived together: one log record (`trades`)."""

    venue: str
    market: Market
    symbol: str
    received_ns: int
    line: str
    trades: list[Trade]


PUNCTUATION_LAG_NS = 2 * NS_PER_SECOND
"""How far punctuation stays behind the venue's clock, so that what is on its way comes before it."""


class Punctuation(msgspec.Struct, frozen=True, tag_field="kind", tag="punctuation"):
    """The feed of an instrument was alive, and everything up to `exchange_ns` has been sent (or `alive` is false).

    Each second of every instrument without trades, also where its connection is silent or gone: `exchange_ns` then
    stays where it was, and the record only keeps `last_id` in the end of the log, where a restart looks for it.
    """

    venue: str
    market: Market
    symbol: str
    received_ns: int
    line: str
    exchange_ns: int
    alive: bool = True
    last_id: str = ""
    """The newest trade id of the instrument that ingest knows, where ids count."""
    id_kind: IdKind = "trade"
    """The kind of that id."""
    last_ns: int = 0
    """The exchange time of that trade; 0 where it is not known."""


class Gap(msgspec.Struct, frozen=True, tag_field="kind", tag="gap"):
    """A hole in the trades of one instrument, as it is known now. A later record with its `gap_id` replaces it, but for
    one that was overtaken on its way (`core.feeds.gaps.is_outdated`).

    It stands in `trades`, in order with what it is about, and in `gaps`. Bars that overlap [from_ns, until_ns] of an
    open gap say so.
    """

    venue: str
    market: Market
    symbol: str
    received_ns: int
    line: str
    gap_id: str
    """Unique for the instrument; made from what is missing, so that the same hole found twice is one."""
    cause: Literal["ids", "outage", "stale", "klines", "retention"]
    state: Literal["open", "closed"]
    from_ns: int
    """Exchange time of the last trade before the hole."""
    until_ns: int | None = None
    """Exchange time of the first trade after it; None while it lasts."""
    id_kind: IdKind = "trade"
    first_id: str = ""
    last_id: str = ""
    """The ids that are missing, both ends inside; empty where ids do not count."""
    missing: int | None = None
    """How many trades; None where ids do not count."""
    filled: int = 0
    """How many a backfill brought."""
    missing_volume: Decimal | None = None
    """By the venue's own candles, where its trades cannot be had."""
    opened_ns: int = 0
    """Receiver's clock when it was found; a closed one's `received_ns` is when it was closed."""
    detail: str = ""
    """In words, why it is as it is."""

    @property
    def known_until_ns(self) -> int:
        """Its end as far as that is known: `from_ns` while it lasts."""
        return self.from_ns if self.until_ns is None else self.until_ns


class Ticker(msgspec.Struct, frozen=True, omit_defaults=True):
    """Last price, best bid and ask, 24 h statistics; None where the venue's message does not say.

    An instrument of which nothing was written for a second is said again, with `received_ns` of then: every ticker of
    it that was received before is in the log. `state` of those: "quiet" while its connection speaks, else "dead".
    """

    venue: str
    market: Market
    symbol: str
    received_ns: int
    exchange_ns: int | None = None
    last: Decimal | None = None
    bid: Decimal | None = None
    bid_quantity: Decimal | None = None
    ask: Decimal | None = None
    ask_quantity: Decimal | None = None
    open_24h: Decimal | None = None
    high_24h: Decimal | None = None
    low_24h: Decimal | None = None
    volume_24h: Decimal | None = None
    quote_volume_24h: Decimal | None = None
    state: Literal["said", "quiet", "dead"] = "said"


class ParsedTrade(msgspec.Struct, frozen=True, gc=False):
    """A trade with the venue's own symbol, as a parser returns it."""

    venue_symbol: str
    trade: Trade


class ParsedTicker(msgspec.Struct, frozen=True):
    """A ticker update with the venue's own symbol; merged onto the last known one by the caller.

    `fields` holds only what this message said, named as in `Ticker`; None says that there is none (an empty book).
    """

    venue_symbol: str
    fields: dict[str, Decimal | None]
    exchange_ns: int | None = None


class Control(msgspec.Struct, frozen=True):
    """Anything that is not data: what it was, and what the connection must do about it.

    kind: ack, error, ping, pong, heartbeat, notice (`reconnect` says whether a planned reconnect is asked for),
    ignored (a known message that carries nothing for us).
    """

    kind: Literal["ack", "error", "ping", "pong", "heartbeat", "notice", "ignored"]
    detail: str = ""
    reply: str | None = None
    reconnect: bool = False


class Refused(msgspec.Struct, frozen=True):
    """A row of a frame that could not be taken, and why; the other rows were."""

    reason: str


Parsed = ParsedTrade | ParsedTicker | Control | Refused


class Bar(msgspec.Struct, frozen=True, tag_field="kind", tag="bar"):
    """One candle. Window [start_ns, start_ns + size_ns) of exchange time; sums are exact.

    A window without a trade has prices None: a quiet one while the feed was alive. A dead feed has no bar.
    """

    venue: str
    market: Market
    symbol: str
    size_ns: int
    start_ns: int
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    volume: Decimal
    quote_volume: Decimal
    buy_volume: Decimal
    trade_count: int
    vwap: Decimal | None
    first_trade_id: str
    last_trade_id: str
    revision: int = 0
    quality: Quality = "complete"

    def without_revision(self) -> Bar:
        """The bar as its window's trades alone make it: what hashes and comparisons are taken over."""
        return msgspec.structs.replace(self, revision=0, quality="complete")


class Quarantined(msgspec.Struct, frozen=True, omit_defaults=True):
    """Bytes that could not be understood, and why (`quarantine`). `data` is what came, at most 64 KiB, as text."""

    source: str
    reason: str
    data: str
    received_ns: int
    place: str = ""
    """topic/partition/offset where it came from the log."""


class Progress(msgspec.Struct, frozen=True):
    """What a worker has counted so far (`health`); `finished` when its input has an end and it was reached."""

    component: str
    at_ns: int
    counts: dict[str, dict[str, int]]
    finished: bool = False


class Outage(msgspec.Struct, frozen=True):
    """A store that could not be written (`outages`): what of the log its fallback took instead. Same id: replaces.

    `first` and `last` are offsets by "topic/partition": the records the primary missed, both ends inside.
    """

    outage_id: str
    store: str
    state: Literal["open", "filling", "closed"]
    opened_ns: int
    at_ns: int
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    rows: int = 0
    detail: str = ""


class Alert(msgspec.Struct, frozen=True):
    """Something that must reach a person (`alerts`); the same id is the same matter."""

    alert_id: str
    severity: Literal["info", "warning", "critical"]
    source: str
    text: str
    at_ns: int
