"""From settings to the rules that a paper account goes by. Decides nothing: what they mean is in `core.oms`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from sofia_streams.core.oms.rules import Costs, Instrument, Limits, Lot, Rules, Strategy
from sofia_streams.core.oms.steps import AccountRow, PaperSteps
from sofia_streams.model import NS_PER_MS, NS_PER_SECOND, Market
from sofia_streams.settings import Settings

_MARKETS: dict[str, Market] = {"spot": "spot", "linear": "linear", "inverse": "inverse"}


def paper_rules(settings: Settings) -> Rules:
    """The rules that these settings say: percent become fractions, times ns, venues as CRYPTO_EXCHANGES has them."""
    return Rules(
        start_quote=settings.paper_initial_balance,
        currency=settings.paper_currency,
        venues=settings.crypto_exchanges,
        costs=_costs(settings),
        limits=_limits(settings),
        strategy=_strategy(settings),
        fees=settings.fees_bps(),
        seed=settings.paper_seed,
    )


def paper_instruments(settings: Settings) -> list[Instrument]:
    """Whose records are waited for: as replays set it, else every configured pair at every venue."""
    if settings.paper_instruments:
        found = [text.split("|") for text in settings.paper_instruments]
        return [Instrument(one[0], _MARKETS[one[1]], one[2], one[3:] == ["tickers"]) for one in found]
    market = settings.crypto_market
    return [Instrument(venue, market, pair) for venue in settings.crypto_exchanges for pair in settings.crypto_symbols]


def paper_steps(
    settings: Settings, lots: Mapping[tuple[str, str], Lot], row: AccountRow | None = None
) -> PaperSteps:
    """The account of these settings, new or from its row. Raises ConfigError for an unknown policy."""
    return PaperSteps(paper_rules(settings), paper_instruments(settings), lots, row)


def _costs(settings: Settings) -> Costs:
    return Costs(
        latency_ns=settings.paper_latency_ms * NS_PER_MS,
        half_spread_bps=settings.paper_half_spread_bps,
        impact=settings.paper_impact,
        volatility_day=_share(settings.paper_daily_volatility_pct),
        participation=_share(settings.paper_participation_pct),
        queue_position=settings.paper_queue_position,
        quote_age_ns_max=settings.paper_quote_age_s_max * NS_PER_SECOND,
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        position_share=_share(settings.paper_max_position_size_pct),
        gross_share=_share(settings.paper_gross_exposure_pct),
        order_notional_quote=settings.paper_order_notional_max,
        collar=_share(settings.paper_price_collar_pct),
        orders_per_second=settings.paper_orders_per_s,
        orders_per_minute=settings.paper_orders_per_min,
        open_orders_max=settings.paper_open_orders_max,
        daily_loss=_share(settings.paper_daily_loss_pct),
        drawdown=_share(settings.paper_drawdown_pct),
        losses_max=settings.paper_losses_max,
        cool_down_ns=settings.paper_cool_down_s * NS_PER_SECOND,
        signal_age_ns_max=settings.paper_signal_age_s_max * NS_PER_SECOND,
        short_enabled=settings.paper_short_enabled,
    )


def _strategy(settings: Settings) -> Strategy:
    return Strategy(
        policy=settings.paper_policy,
        confidence_min=settings.ai_min_signal_confidence,
        sizing=settings.paper_sizing,
        size_share=_share(settings.paper_size_pct),
        volatility_share=_share(settings.paper_volatility_pct),
        kelly_fraction=settings.paper_kelly_fraction,
        order_type=settings.paper_order_type,
        order_ttl_ns=settings.paper_order_ttl_s * NS_PER_SECOND,
        take_profit_bps=settings.paper_take_profit_bps,
        stop_loss_bps=settings.paper_stop_loss_bps,
        time_exit_bars=settings.paper_time_exit_bars,
    )


def _share(percent: Decimal) -> Decimal:
    """Percent as a fraction."""
    return percent / 100
