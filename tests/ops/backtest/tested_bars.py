"""Generated minutes, settings and a walk for tests of backtests. Everything is seeded; bars are made once."""

from decimal import Decimal
from functools import cache

from sofia_streams.core.features.sets import sets_of
from sofia_streams.core.scoring.labels import Rule
from sofia_streams.model import NS_PER_HOUR, NS_PER_MINUTE
from sofia_streams.ops.backtest.walk import Walk
from sofia_streams.settings import Settings
from sofia_streams.training.fitting.run import Order
from sofia_streams.training.sources.generated import generate

UNTIL_NS = 1_790_000_000 // 86_400 * 86_400 * 10**9
SETS = sets_of(NS_PER_MINUTE)
ORDER = Order(["base"], NS_PER_MINUTE, Rule("forward", 3), ["logistic"], 24 * NS_PER_HOUR, 0, 0.0, 0.5)
WALK = Walk(ORDER, 24 * NS_PER_HOUR, 8 * NS_PER_HOUR)


@cache
def bars(count=2_900, seed=5):
    prices = {"BTC/USDT": 60_000.0, "ETH/USDT": 3_000.0}
    return generate(prices, size_ns=NS_PER_MINUTE, bars=count, until_ns=UNTIL_NS, seed=seed, pull=0.3)


def settings(folder, **values):
    """Trades often: confidence from 0.52, positions held for three bars."""
    return Settings(
        data_dir=folder, ai_min_signal_confidence=Decimal("0.52"), paper_time_exit_bars=3, paper_losses_max=1_000,
        paper_drawdown_pct=Decimal(90), paper_daily_loss_pct=Decimal(60), **values,
    )  # fmt: skip


def quiet(stage, done, total):
    """No progress."""
