"""What is known of the market at a moment: quotes, last trades, gaps, volume and volatility. Plain state, no decisions.

One `Feed` a venue and symbol, from `tickers` and `trades`; one `Swing` a symbol, from the closes of signals. What it
does not do: match orders (`matching`).
"""

from __future__ import annotations

import math
from decimal import Decimal

import msgspec

from sofia_streams.core.oms import reasons
from sofia_streams.core.oms.money import BPS, ZERO
from sofia_streams.core.oms.rules import Costs
from sofia_streams.model import NS_PER_DAY, NS_PER_MINUTE, Gap, Ticker

_CLOSES_MIN, _MEMORY = 30, 0.97


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
    gaps: list[str] = []
    place: str = ""
    evidence: str = ""

    def quote(self, ticker: Ticker, at_ns: int, place: str) -> None:
        """A ticker. One that is dead says nothing; one without bid and ask leaves those there are."""
        if ticker.state == "dead":
            return
        if ticker.bid is not None and ticker.ask is not None:
            self.bid, self.ask = ticker.bid, ticker.ask
            self.bid_quantity, self.ask_quantity = ticker.bid_quantity, ticker.ask_quantity
            self.quoted_ns, self.is_quoted = at_ns, True
            self.place, self.evidence = place, f"quote {ticker.received_ns}"
        if ticker.volume_24h is not None:
            self.volume_day = ticker.volume_24h

    def trade(self, price: Decimal, quantity: Decimal, at_ns: int, costs: Costs) -> None:
        """A print: volume, and a quote around it where the venue quotes none."""
        if self.since_ns < 0:
            self.since_ns = at_ns
        self.volume += quantity
        if not self.is_quoted:
            self.around(price, at_ns, costs)

    def around(self, price: Decimal, at_ns: int, costs: Costs) -> None:
        """A quote that is assumed: half a spread to either side of a price, of unknown size."""
        half = price * costs.half_spread_bps * BPS
        self.bid, self.ask, self.quoted_ns = price - half, price + half, at_ns

    def gap(self, gap: Gap) -> None:
        """A hole in the trades opens or is closed."""
        self.gaps = [one for one in self.gaps if one != gap.gap_id]
        if gap.state == "open":
            self.gaps.append(gap.gap_id)

    def trouble(self, at_ns: int, costs: Costs) -> str | None:
        """Why nothing can be bought or sold here now: a code of `reasons`; None where all is well."""
        if self.bid is None or self.ask is None:
            return reasons.NO_QUOTE
        if at_ns - self.quoted_ns > costs.quote_age_ns_max:
            return reasons.STALE_QUOTE
        if self.bid >= self.ask:
            return reasons.CROSSED_QUOTE
        return reasons.DATA_GAP if self.gaps else None

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


class Swing(msgspec.Struct, array_like=True):
    """How much a symbol's closes move: an exponentially weighted mean of squared log returns, as RiskMetrics (1996)
    has it (decay 0.97), plain mean until then.
    """

    close: float = 0.0
    variance: float = 0.0
    count: int = 0
    size_ns: int = NS_PER_MINUTE

    def add(self, close: Decimal | None, size_ns: int) -> None:
        """The next bar's close; None for a quiet bar."""
        self.size_ns = size_ns
        if close is None:
            return
        now = float(close)
        if self.close > 0.0:
            move = math.log(now / self.close)
            self.count += 1
            weight = max(1.0 / self.count, 1.0 - _MEMORY)
            self.variance += (move * move - self.variance) * weight
        self.close = now

    def daily(self, costs: Costs) -> float:
        """Daily volatility, a fraction; the configured one until 30 returns are known."""
        if self.count < _CLOSES_MIN:
            return float(costs.volatility_day)
        return math.sqrt(self.variance * NS_PER_DAY / self.size_ns)
