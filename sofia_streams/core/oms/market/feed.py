"""What is known of an instrument at a moment: quotes, last trades, gaps, volume. Plain state, no decisions.

One `Feed` a venue and symbol, from `tickers` and `trades`. What it does not do: match orders (`matching`).
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from sofia_streams.core.oms import reasons
from sofia_streams.core.oms.money import BPS, ZERO, told
from sofia_streams.core.oms.rules import Costs
from sofia_streams.model import NS_PER_DAY, NS_PER_MINUTE, Gap, Ticker


class Feed(msgspec.Struct, array_like=True):
    """One instrument of one venue, changed in place. A quote is as old as the last record that said it still stands.

    `volume` has been traded since `since_ns`, `volume_day` is what the venue says of the last 24 hours; base currency.
    """

    bid: Decimal | None = None
    ask: Decimal | None = None
    bid_quantity: Decimal | None = None
    ask_quantity: Decimal | None = None
    quoted_ns: int = -1
    is_quoted: bool = False
    """Whether the venue quotes bid and ask; else they are made of the last trade and a half spread."""
    volume_day: Decimal | None = None
    volume: Decimal = ZERO
    since_ns: int = -1
    gaps: dict[str, int] = {}
    """Holes that last, by gap_id: exchange time of the last trade before."""
    evidence: str = ""
    """What it follows from, as `Fill.evidence` has it: "quote <received_ns>" or "bar <start_ns>"."""
    is_empty: bool = False
    """Whether the venue said last that it has no bid or no ask; `bid` and `ask` are those before."""
    printed: tuple[int, int] = (-1, -1)
    """Time and the venue's order of the newest print."""

    def is_new(self, made_ns: int, order: int) -> bool:
        """Whether a print stands behind all before it, and then it is the newest. One that does not came again (an
        ingest worker that was killed says its last prints once more), or late.
        """
        place = made_ns, order
        if place <= self.printed:
            return False
        self.printed = place
        return True

    def quote(self, ticker: Ticker, at_ns: int) -> bool:
        """A ticker; whether it has bid and ask. One that is dead, or older than the last, says nothing at all."""
        if ticker.state == "dead" or at_ns < self.quoted_ns:
            return False
        if ticker.volume_24h is not None:
            self.volume_day = ticker.volume_24h
        self.is_empty = ticker.bid is None or ticker.ask is None
        if self.is_empty:
            return False
        self.bid, self.ask = ticker.bid, ticker.ask
        self.bid_quantity, self.ask_quantity = ticker.bid_quantity, ticker.ask_quantity
        self.quoted_ns, self.is_quoted = at_ns, True
        self.evidence = f"quote {ticker.received_ns}"
        return True

    def trade(self, price: Decimal, quantity: Decimal, at_ns: int, costs: Costs) -> None:
        """A print: volume, and a quote around it where the venue quotes none. It ends the holes before it."""
        if self.gaps:
            self.gaps = {gap_id: from_ns for gap_id, from_ns in self.gaps.items() if from_ns >= at_ns}
        if self.since_ns < 0:
            self.since_ns = at_ns
        self.volume += quantity
        if not self.is_quoted and at_ns >= self.quoted_ns:
            self.around(price, at_ns, costs)

    def around(self, price: Decimal, at_ns: int, costs: Costs, size: Decimal | None = None) -> None:
        """A quote that is assumed: half a spread to either side of a price. `size` None: nobody knows how much."""
        half = price * costs.half_spread_bps * BPS
        self.bid, self.ask, self.quoted_ns = price - half, price + half, at_ns
        self.bid_quantity = self.ask_quantity = size

    def gap(self, gap: Gap) -> None:
        """A hole in the trades. It holds orders while it lasts; one that has an end lies behind, filled or not."""
        self.gaps.pop(gap.gap_id, None)
        if gap.state == "open" and gap.until_ns is None:
            self.gaps[gap.gap_id] = gap.from_ns

    def trouble(self, at_ns: int, costs: Costs) -> str | None:
        """Why nothing can be bought or sold here now: a code of `reasons` and what was found; None: all is well."""
        if self.bid is None or self.ask is None or (self.is_empty and self.is_quoted):
            return reasons.reason(reasons.NO_QUOTE, "neither bid nor ask, or only one of them")
        age_ns = at_ns - self.quoted_ns
        if age_ns > costs.quote_age_ns_max:
            return reasons.reason(reasons.STALE_QUOTE, f"expected at most {costs.quote_age_ns_max} ns, found {age_ns}")
        if self.is_crossed():
            return reasons.reason(reasons.CROSSED_QUOTE, f"bid {told(self.bid)}, ask {told(self.ask)}")
        return reasons.reason(reasons.DATA_GAP, f"{', '.join(self.gaps)} lasts") if self.gaps else None

    def is_crossed(self) -> bool:
        """Whether bid and ask cannot be: a venue's must be apart, those that are assumed may be one price."""
        if self.bid is None or self.ask is None:
            return False
        return self.bid >= self.ask if self.is_quoted else self.bid > self.ask

    def middle(self) -> Decimal | None:
        """Halfway between bid and ask."""
        return None if self.bid is None or self.ask is None else (self.bid + self.ask) / 2

    def add_volume(self, volume: Decimal, since_ns: int) -> None:
        """Of a whole bar."""
        if self.since_ns < 0:
            self.since_ns = since_ns
        self.volume += volume

    def day_volume(self, at_ns: int) -> Decimal:
        """Of 24 hours: as the venue says, else what was traded so far at that pace; 0 within the first minute."""
        if self.volume_day is not None:
            return self.volume_day
        elapsed_ns = at_ns - self.since_ns
        if self.since_ns < 0 or elapsed_ns < NS_PER_MINUTE:
            return ZERO
        return self.volume * NS_PER_DAY / max(elapsed_ns, NS_PER_MINUTE)
