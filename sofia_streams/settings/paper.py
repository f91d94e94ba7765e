"""Settings of paper trading: costs, limits, sizing, exits. Defaults are those of `core.oms.rules`. Reads nothing.

What it does not do: turn them into rules (`paper_rules`), or judge any of them together.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_settings import BaseSettings

from sofia_streams.settings.values import Exchange, fees_of, split_list


class PaperSettings(BaseSettings):
    """Those of `Settings` that begin with PAPER_."""

    paper_initial_balance: Annotated[
        Decimal, Field(gt=0, description="paper account at the start, in PAPER_CURRENCY")
    ] = Decimal(10_000)
    paper_max_position_size_pct: Annotated[
        Decimal, Field(gt=0, le=100, description="largest position, percent of the account")
    ] = Decimal(10)
    paper_currency: Annotated[
        str,
        Field(
            pattern=r"^[A-Z0-9]{2,12}$",
            description="currency of the account; only pairs quoted in it are traded",
            examples=["USDT"],
        ),
    ] = "USDT"
    paper_policy: Annotated[
        str,
        Field(
            pattern=r"^[a-z][a-z0-9_]{0,40}$",
            description="policy that turns signals into positions",
            examples=["follow"],
        ),
    ] = "follow"
    paper_sizing: Annotated[
        Literal["fixed", "volatility", "kelly"], Field(description="how large a position becomes")
    ] = "fixed"
    paper_size_pct: Annotated[
        Decimal, Field(gt=0, le=100, description="a full position, percent of the account; caps the other two sizings")
    ] = Decimal(5)
    paper_volatility_pct: Annotated[
        Decimal, Field(gt=0, le=100, description="sizing by volatility: what a position may add a day, percent")
    ] = Decimal("0.5")
    paper_kelly_fraction: Annotated[
        Decimal, Field(gt=0, le=1, description="sizing by Kelly: the share of its size that is taken")
    ] = Decimal("0.25")
    paper_order_type: Annotated[Literal["market", "limit"], Field(description="orders that open a position")] = "market"
    paper_order_ttl_s: Annotated[
        int, Field(ge=1, le=86_400, description="an order that opens a position expires after, s")
    ] = 60
    paper_take_profit_bps: Annotated[
        Decimal, Field(ge=0, le=100_000, description="a position is closed at this gain, bps; 0: never")
    ] = Decimal(0)
    paper_stop_loss_bps: Annotated[
        Decimal, Field(ge=0, le=10_000, description="a position is closed at this loss, bps; 0: never")
    ] = Decimal(0)
    paper_time_exit_bars: Annotated[
        int, Field(ge=0, le=100_000, description="a position is closed after so many candles; 0: never")
    ] = 0
    paper_short_enabled: Annotated[bool, Field(description="whether more may be sold than is held")] = False

    paper_fees: Annotated[
        tuple[str, ...],
        BeforeValidator(split_list),
        Field(description="maker/taker, bps, instead of a venue's schedule", examples=["binance=10/10,okx=8/10"]),
    ] = ()
    paper_latency_ms: Annotated[
        int, Field(ge=0, le=60_000, description="from a candle's end until its order can be filled, ms")
    ] = 1_250
    paper_half_spread_bps: Annotated[
        Decimal, Field(ge=0, le=1_000, description="half of ask less bid where a venue quotes none, bps")
    ] = Decimal(1)
    paper_impact: Annotated[
        Decimal, Field(ge=0, le=100, description="Y of the square-root law of price impact; 0: none")
    ] = Decimal(1)
    paper_daily_volatility_pct: Annotated[
        Decimal, Field(gt=0, le=100, description="daily volatility until it is known from candles, percent")
    ] = Decimal(3)
    paper_participation_pct: Annotated[
        Decimal, Field(gt=0, le=100, description="the most of the market's volume that an order takes, percent")
    ] = Decimal(10)
    paper_queue_position: Annotated[
        bool, Field(description="limit orders also fill at their own price, once the size before them has traded")
    ] = False
    paper_quote_age_s_max: Annotated[int, Field(ge=1, le=3_600, description="older quotes fill nothing, s")] = 5
    paper_seed: Annotated[int, Field(ge=0, description="seed of a backtest's random entries and of its intervals")] = 1

    paper_gross_exposure_pct: Annotated[
        Decimal, Field(gt=0, le=1_000, description="all positions together, percent of the account")
    ] = Decimal(100)
    paper_order_notional_max: Annotated[
        Decimal, Field(gt=0, description="largest order, in PAPER_CURRENCY")
    ] = Decimal(1_000)
    paper_price_collar_pct: Annotated[
        Decimal, Field(gt=0, le=100, description="no order further from the middle of bid and ask, percent")
    ] = Decimal(2)
    paper_orders_per_s: Annotated[int, Field(ge=1, le=1_000, description="most orders within a second")] = 5
    paper_orders_per_min: Annotated[int, Field(ge=1, le=60_000, description="most orders within a minute")] = 60
    paper_open_orders_max: Annotated[int, Field(ge=1, le=10_000, description="most orders open at once")] = 20
    paper_daily_loss_pct: Annotated[
        Decimal,
        Field(gt=0, le=100, description="a day's loss after which positions only shrink, percent; 1.5 times: halt"),
    ] = Decimal(2)
    paper_drawdown_pct: Annotated[
        Decimal, Field(gt=0, le=100, description="loss from the peak equity: halt until `sofia resume`, percent")
    ] = Decimal(10)
    paper_losses_max: Annotated[
        int,
        Field(ge=0, le=1_000, description="losing trades in a row, then nothing new for PAPER_COOL_DOWN_S; 0: never"),
    ] = 5
    paper_cool_down_s: Annotated[int, Field(ge=0, le=86_400, description="the pause after such losses, s")] = 600
    paper_signal_age_s_max: Annotated[int, Field(ge=1, le=3_600, description="older signals become no order, s")] = 10

    @field_validator("paper_fees")
    @classmethod
    def _fees(cls, fees: tuple[str, ...]) -> tuple[str, ...]:
        fees_of(fees, get_args(Exchange))
        return fees

    @model_validator(mode="after")
    def _orders_come_in_time(self) -> PaperSettings:
        if self.paper_latency_ms >= self.paper_order_ttl_s * 1_000:
            raise ValueError(
                f"PAPER_LATENCY_MS: expected less than PAPER_ORDER_TTL_S={self.paper_order_ttl_s} s, or orders expire "
                f"on their way, found {self.paper_latency_ms}. Make the one smaller or the other larger."
            )
        return self

    def fees_bps(self) -> tuple[tuple[str, Decimal, Decimal], ...]:
        """`paper_fees` as (venue, maker, taker), bps."""
        return fees_of(self.paper_fees, get_args(Exchange))
