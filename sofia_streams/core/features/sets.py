"""Which features there are: two sets, each with its order, units and schema hash. A model names its hash.

base   from open, high, low, close: any source of bars can give it
flow   needs our own trades: taker side, counts, every venue's close

Windows are counted in bars, so names follow the bar's size: a return over 60 bars is r_1h of minutes, r_1m of seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from math import isfinite, sqrt
from typing import Literal, NamedTuple

import msgspec

from sofia_streams.core.features.across import Across
from sofia_streams.core.features.atr import AtrPercent
from sofia_streams.core.features.bands import Bands
from sofia_streams.core.features.completeness import Completeness
from sofia_streams.core.features.ema import Ema
from sofia_streams.core.features.flow import Imbalance, Intensity, VwapDistance
from sofia_streams.core.features.indicator import Indicator
from sofia_streams.core.features.macd import Macd
from sofia_streams.core.features.returns import Return
from sofia_streams.core.features.rsi import Rsi
from sofia_streams.core.features.volatility import Volatility
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND
from sofia_streams.scored import Value

SetName = Literal["base", "flow"]
VERSION = 1
"""Changes with any formula: what was trained on another one is refused."""
SIGMA_BARS = 60
"""Over so many bars the base set knows volatility (`vol_sigma_*`)."""


class Feature(NamedTuple):
    """One number: its name, and its unit ("price": of no use to a model, since it is not stationary)."""

    name: str
    unit: str


class Part(NamedTuple):
    """An indicator of a set: what makes it, with which sizes, and the features it gives."""

    make: Callable[..., Indicator]
    sizes: Sequence[int]
    features: Sequence[Feature]

    def indicator(self) -> Indicator:
        """A new one, that has seen nothing."""
        return self.make(*self.sizes)


class FeatureSet:
    """A declared set for bars of one size. What follows from it is worked out once."""

    def __init__(self, name: SetName, size_ns: int, parts: Sequence[Part]) -> None:
        self.name, self.size_ns, self.parts = name, size_ns, parts

    @cached_property
    def features(self) -> list[Feature]:
        """In the order of a vector."""
        return [feature for part in self.parts for feature in part.features]

    @cached_property
    def inputs(self) -> list[int]:
        """Places in the vector of what models may use."""
        return [place for place, feature in enumerate(self.features) if feature.unit != "price"]

    @cached_property
    def sigma_place(self) -> int:
        """Place in the vector of the volatility over `SIGMA_BARS`. Raises ValueError where the set has none."""
        return [feature.name for feature in self.features].index(_sigma_name(self.size_ns))

    @cached_property
    def warm_up(self) -> int:
        """Bars until every feature may be known."""
        return max(part.indicator().warm_up for part in self.parts)

    @cached_property
    def schema(self) -> str:
        """Hash of everything that decides a vector's meaning, 16 hex digits."""
        formulas = [(part.make.__name__, [*part.sizes], [[*one] for one in part.features]) for part in self.parts]
        text = msgspec.json.encode([self.name, VERSION, self.size_ns, formulas])
        return hashlib.sha256(text).hexdigest()[:16]


def _span(bars: int, size_ns: int) -> str:
    """`5m` for five bars of a minute, `1h` for sixty."""
    unit, larger = {NS_PER_SECOND: ("s", "m"), NS_PER_MINUTE: ("m", "h")}[size_ns]
    return f"{bars // 60}{larger}" if bars % 60 == 0 else f"{bars}{unit}"


def _return(bars: int, size_ns: int) -> Part:
    return Part(Return, [bars], [Feature(f"r_{_span(bars, size_ns)}", "fraction")])


def _sigma_name(size_ns: int) -> str:
    return f"vol_sigma_{_span(SIGMA_BARS, size_ns)}"


def _priced(names: str) -> list[Feature]:
    return [Feature(name, "price") for name in names.split()]


@cache
def base_set(size_ns: int) -> FeatureSet:
    """Of prices alone. Raises KeyError for another size than a second or a minute."""
    bands = [
        *_priced("sma_20 bb_upper bb_lower"),
        Feature("bb_pct_b", "ratio"), Feature("bb_bandwidth", "ratio"), Feature("zscore_20", "deviations"),
    ]  # fmt: skip
    macd = [*_priced("macd macd_signal macd_hist"), Feature("macd_hist_bps", "bps")]
    volatility = [Feature("rv_20", "fraction"), Feature(_sigma_name(size_ns), "fraction")]
    return FeatureSet("base", size_ns, (
        *(_return(bars, size_ns) for bars in (1, 5, 60)),
        Part(Return, [14], [Feature("mom_14", "fraction")]),
        Part(Bands, [20], bands),
        Part(Ema, [20], [*_priced("ema_20"), Feature("ema_20_bps", "bps")]),
        Part(Rsi, [14], [Feature("rsi_14", "0 to 100")]),
        Part(Macd, [12, 26, 9], macd),
        Part(AtrPercent, [14], [Feature("atr_pct_14", "percent")]),
        Part(Volatility, [20, SIGMA_BARS], volatility),
        Part(Completeness, [60], [Feature("data_quality", "ratio")]),
    ))  # fmt: skip


@cache
def flow_set(size_ns: int) -> FeatureSet:
    """Of our own trades. Raises KeyError for another size than a second or a minute."""
    across = [Feature("venue_spread_bps", "bps"), Feature("venue_lead_bps", "bps"), Feature("lead_lag_60", "ratio")]
    return FeatureSet("flow", size_ns, (
        Part(Imbalance, [1], [Feature("imbalance_1", "ratio")]),
        Part(Imbalance, [20], [Feature("imbalance_20", "ratio")]),
        Part(Intensity, [60], [Feature("intensity_60", "ratio")]),
        Part(VwapDistance, [60], [Feature("vwap_60_bps", "bps")]),
        Part(Across, [60], across),
    ))  # fmt: skip


def sets_of(size_ns: int) -> tuple[FeatureSet, FeatureSet]:
    """All of them for bars of this size: base, flow. Raises KeyError for another size than a second or a minute."""
    return base_set(size_ns), flow_set(size_ns)


def bar_sigma(base: FeatureSet, values: Sequence[Value]) -> Value:
    """Deviation of one bar's log return, a fraction, by the values of the base set behind that bar.

    None where it is not known yet, or no finite number.
    """
    volatility = values[base.sigma_place]
    return None if volatility is None or not isfinite(volatility) else volatility / sqrt(SIGMA_BARS)
