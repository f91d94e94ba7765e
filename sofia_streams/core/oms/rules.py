"""What paper trading goes by: costs, limits, sizing, exits. Plain values with their units; decides nothing.

Defaults are those of a small account on liquid pairs; half spread, impact and latency are judgements, not measurements
(docs/paper_trading.md). Fractions are 0 to 1 unless a name says `_bps` (1/10,000).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, NamedTuple

from sofia_streams.model import NS_PER_SECOND, Market

_SECOND = NS_PER_SECOND
Sizing = Literal["fixed", "volatility", "kelly"]


class Costs(NamedTuple):
    """How an order meets the market.

    latency_ns       from the bar's end to the venue: our lateness (1 s by default) and the way there
    half_spread_bps  half of best ask less best bid, where a venue quotes none
    impact           Y of the square-root law, impact = Y * daily volatility * sqrt(quantity / daily volume)
    volatility_day   daily volatility (fraction) until it is known from 30 returns
    participation    the largest share of the market's volume that an order may be
    queue_position   True: a resting order also fills at its own price, once the size ahead of it has traded
    quote_age_ns_max older quotes fill nothing
    """

    latency_ns: int = 1_250_000_000
    half_spread_bps: Decimal = Decimal(1)
    impact: Decimal = Decimal(1)
    volatility_day: Decimal = Decimal("0.03")
    participation: Decimal = Decimal("0.1")
    queue_position: bool = False
    quote_age_ns_max: int = 5 * _SECOND


class Limits(NamedTuple):
    """What is checked before every order. Shares are of the account's equity; what bounds orders is the most there may
    be.

    collar           how far from the middle an order may be priced or filled, a fraction of it
    daily_loss       a fraction of the day's first equity lost: REDUCING until the next UTC day; 1.5 times that: HALTED
    drawdown         a fraction of the highest equity lost: HALTED until it is resumed
    losses_max       so many losing round trips in a row, then nothing new for cool_down_ns
    """

    position_share: Decimal = Decimal("0.1")
    gross_share: Decimal = Decimal(1)
    order_notional_quote: Decimal = Decimal(1_000)
    collar: Decimal = Decimal("0.02")
    orders_per_second: int = 5
    orders_per_minute: int = 60
    open_orders_max: int = 20
    daily_loss: Decimal = Decimal("0.02")
    drawdown: Decimal = Decimal("0.1")
    losses_max: int = 5
    cool_down_ns: int = 600 * _SECOND
    signal_age_ns_max: int = 10 * _SECOND
    short_enabled: bool = False


class Strategy(NamedTuple):
    """From signals to target positions, and out of them again. 0 bps or bars: no such exit.

    size_share        share of equity that a full position is (fixed), and the cap of the other two
    volatility_share  daily volatility that a position may add to the account (volatility)
    kelly_fraction    share of the Kelly size that is taken (kelly)
    """

    policy: str = "follow"
    confidence_min: Decimal = Decimal("0.6")
    sizing: Sizing = "fixed"
    size_share: Decimal = Decimal("0.05")
    volatility_share: Decimal = Decimal("0.005")
    kelly_fraction: Decimal = Decimal("0.25")
    order_type: Literal["market", "limit"] = "market"
    order_ttl_ns: int = 60 * _SECOND
    take_profit_bps: Decimal = Decimal(0)
    stop_loss_bps: Decimal = Decimal(0)
    time_exit_bars: int = 0


class Rules(NamedTuple):
    """Everything an account goes by. It begins with `start_quote` of `currency`, the quote of the pairs it trades;
    `venues` in the order in which they are preferred; `fees` by venue, in bps as (maker, taker), instead of the
    schedule's; `seed` of what is drawn about it (random entries, bootstrap), never of fills.
    """

    start_quote: Decimal = Decimal(10_000)
    currency: str = "USDT"
    venues: tuple[str, ...] = ("binance", "okx", "coinbase", "bybit")
    costs: Costs = Costs()
    limits: Limits = Limits()
    strategy: Strategy = Strategy()
    fees: tuple[tuple[str, Decimal, Decimal], ...] = ()
    seed: int = 1


class Lot(NamedTuple):
    """How finely a venue trades an instrument; None: not known, and then six digits of the price are kept.

    price_tick, quantity_step  what prices and quantities are multiples of
    quantity_min, notional_min_quote  the least of one order
    """

    price_tick: Decimal | None = None
    quantity_step: Decimal | None = None
    quantity_min: Decimal | None = None
    notional_min_quote: Decimal | None = None


class Instrument(NamedTuple):
    """One that paper trading listens to; `has_tickers`: its quotes are waited for."""

    venue: str
    market: Market
    symbol: str
    has_tickers: bool = True
