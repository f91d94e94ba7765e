"""A made-up market with something to find in it, as bars in a real log, and what the trainer made of it."""

from collections.abc import Iterator
from decimal import Decimal

from signals_scene import BEGIN_NS

from sofia_streams import codec, topics
from sofia_streams.core.scoring.labels import Rule
from sofia_streams.logread import whole_topic
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, Alert, Bar
from sofia_streams.scored import Activation
from sofia_streams.settings import Settings
from sofia_streams.training.activation import said_of_models
from sofia_streams.training.fitting.run import Order, run
from sofia_streams.training.registry import Registry, Stored
from sofia_streams.training.sources.generated import generate

SYMBOL, HORIZON, PULL = "BTC/USDT", 5, 0.25


async def alerts(settings: Settings) -> list[Alert]:
    return [codec.decode_alert(value) async for value in whole_topic(settings, topics.ALERTS)]


async def activated(settings: Settings) -> list[str]:
    return [one.model_id for one in await said_of_models(settings) if isinstance(one, Activation)]


def a_model(settings: Settings, *, pull: float, seed: int) -> Stored:
    """Trained on minutes in which a pull of that strength can be found; 0: nothing can."""
    bars = generate({SYMBOL: 100.0}, size_ns=NS_PER_MINUTE, bars=6_000, until_ns=BEGIN_NS, seed=seed, pull=pull)
    rule, lifetime_ns = Rule("forward", HORIZON), 10_000 * NS_PER_MINUTE
    order = Order(["base"], NS_PER_MINUTE, rule, ["lightgbm", "logistic"], lifetime_ns, 0, 0.002, 0.6)
    return run(bars, order, Registry(settings.models_folder()), lambda *told: None)[0]


def market(minutes: int, *, pull: float = PULL, begin_ns: int = BEGIN_NS) -> Iterator[Bar]:
    """Of one symbol, with the pull in it."""
    until_ns = begin_ns + minutes * NS_PER_MINUTE
    made = generate({SYMBOL: 100.0}, size_ns=NS_PER_MINUTE, bars=minutes, until_ns=until_ns, seed=77, pull=pull)
    for one in made.seen:
        candle = one.candle
        prices = [Decimal(f"{price:.8f}") for price in (candle.open, candle.high, candle.low, candle.close)]
        volume = Decimal(f"{candle.volume:.3f}")
        yield Bar(
            CONSOLIDATED, "spot", SYMBOL, NS_PER_MINUTE, one.start_ns, *prices, volume, volume * prices[3],
            volume / 2, candle.trade_count, prices[3], "1", "9",
        )  # fmt: skip
