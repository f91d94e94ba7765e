"""Shared by the tests of databases: records behind bars, with the floats that are hardest to keep."""

from decimal import Decimal

from sofia_streams.core.features.sets import sets_of
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND
from sofia_streams.scored import Candle, Features, FeatureValues, ModelQuality, Prediction, Signal

BEGAN_NS = 1_754_000_040_000_000_000
HARD = [
    *(0.1 + 0.2, 1e-300, 5e-324, 2.2250738585072014e-308, 2.225073858507201e-308, 1.7976931348623157e308),
    *(-1.0000000000000002, 123456789012345680.0, 1e22, 1e23, 9007199254740993.0, -0.0, 0.0, 4.35, 2.5e-15, 1 / 3),
]
"""Subnormals, the ends of what there is, neighbours of short decimals, both zeros."""


def features(size_ns: int, symbol: str = "BTC/USDT", *, start_ns: int = BEGAN_NS) -> Features:
    """All of HARD are among its values; the last ones of the base set are not known."""
    sets, found = sets_of(size_ns), {}
    for at, one in enumerate(sets):
        values = [*HARD[7 * at :], *[None] * len(one.features)][: len(one.features)]
        found[one.name] = FeatureValues(one.schema, values, is_ready=at == 0)
    candle = Candle(0.1 + 0.2, 1e23, 5e-324, 4.35, 1 / 3, 2.5e-15, None, 7, True, {"okx": 0.1, "bybit": 1e-300})
    return Features("spot", symbol, size_ns, start_ns, "revised", candle, found)


NOTHING_KNOWN = Features("spot", "ETH/USDT", NS_PER_SECOND, BEGAN_NS, "stale", None, {})
SCORED = [
    features(NS_PER_SECOND),
    features(NS_PER_MINUTE),
    NOTHING_KNOWN,
    Prediction(
        "spot", "BTC/USDT", NS_PER_SECOND, BEGAN_NS, "sofia.bars.v1/2/77", "ensemble", "forward-1772323200-0a1b2c3d",
        "forward", 15, 0.1 + 0.2, 0.7000000000000001, "up", 0.7000000000000001, is_synthetic=True,
    ),
    Prediction("spot", "BTC/USDT", NS_PER_MINUTE, BEGAN_NS, "sofia.bars.v1/2/78", abstention="no model"),
    Signal(
        "spot", "BTC/USDT", NS_PER_SECOND, BEGAN_NS, "buy", "up", Decimal("61234.50000001"), 0.7000000000000001,
        "forward-1772323200-0a1b2c3d", "sofia.bars.v1/2/77", is_synthetic=True,
    ),
    Signal("spot", "BTC/USDT", NS_PER_MINUTE, BEGAN_NS, "abstain", "no model", place="sofia.bars.v1/2/78"),
    ModelQuality("BTC/USDT", "forward-1772323200-0a1b2c3d", "champion", BEGAN_NS, 500, 0.55, 0.2475, 1 / 3, 0.1, 2.0),
    ModelQuality(
        "BTC/USDT", "forward-1772323200-0a1b2c3d", "challenger", BEGAN_NS, 500, 0.5, 1e-300, 0.0, 0.1, 0.69, 0.25,
        is_synthetic=True,
    ),
]  # fmt: skip
