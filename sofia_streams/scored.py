"""The records that travel behind bars: features, predictions, signals, models. Plain data; floats here are float64.

Money stays exact elsewhere (`model`); features and probabilities are measurements, written so that reading gives the
same float. What it does not do: compute any of it (`core.features`, `core.scoring`, `core.signals`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from sofia_streams.model import Market, Quality

Value = float | None
"""None: not known, or not ready yet; never 0 in its place, and never NaN."""


class Candle(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A closed bar in float64. Prices in the quote currency, quantities in the unit of the venue's trades.

    `venues` has the close of each venue's own bar of the same window. A window without a trade repeats the close before
    it, has no quantity and `is_quiet`. None where the source does not say: klines of most venues know no taker side.
    """

    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: Value = None
    buy_volume: Value = None
    trade_count: int | None = None
    is_complete: bool = True
    """False where trades of the window are known to be missing, or a feed was dead (quality gap, stale)."""
    venues: dict[str, float] = {}
    is_quiet: bool = False


class FeatureValues(msgspec.Struct, frozen=True):
    """One declared set behind one bar: values in the set's order, and whether all that a model uses are known."""

    schema: str
    values: list[Value]
    is_ready: bool


class Features(msgspec.Struct, frozen=True, tag_field="kind", tag="features"):
    """What was known behind one consolidated bar, at its first revision (`features`).

    `candle` is what the features were computed from, so that they can be computed again bit for bit, also once the bar
    was revised; None for a quiet bar before the first price. `sets` by name: "base", "flow".
    """

    market: Market
    symbol: str
    size_ns: int
    start_ns: int
    quality: Quality
    candle: Candle | None
    sets: dict[str, FeatureValues]

    @property
    def end_ns(self) -> int:
        """End of the bar, outside: from then on this could be known."""
        return self.start_ns + self.size_ns


Abstention = Literal["no model", "gap", "stale", "no trades", "not ready", "expired", "refused"]
"""Why a bar was not scored; "refused": the model in force could not be loaded."""


class Prediction(msgspec.Struct, frozen=True, tag_field="kind", tag="prediction", omit_defaults=True):
    """What the model in force at the bar's end says of it, or why it says nothing (`predictions`); one a bar.

    raw_score          weighted mean of the members, 0 to 1
    calibrated_score   probability that the label comes true, 0 to 1
    prediction_class   "up" where that is above one half, else "down" or, where the label has a cost, "not up"
    confidence         calibrated probability of that class
    place              "topic/partition/offset" of the bar
    """

    market: Market
    symbol: str
    size_ns: int
    start_ns: int
    place: str
    model_type: str = ""
    model_id: str = ""
    label: str = ""
    horizon_bars: int = 0
    raw_score: Value = None
    calibrated_score: Value = None
    prediction_class: str = ""
    confidence: Value = None
    abstention: Abstention | None = None
    is_synthetic: bool = False

    @property
    def end_ns(self) -> int:
        """End of the bar, outside."""
        return self.start_ns + self.size_ns


Action = Literal["buy", "sell", "hold", "abstain"]


class Signal(msgspec.Struct, frozen=True, tag_field="kind", tag="signal", omit_defaults=True):
    """What to do behind one consolidated bar (`signals`); one a bar, so it says how far the symbol has come."""

    market: Market
    symbol: str
    size_ns: int
    start_ns: int
    action: Action
    reason: str
    close: Decimal | None = None
    confidence: Value = None
    model_id: str = ""
    place: str = ""
    """"topic/partition/offset" of the bar."""
    is_synthetic: bool = False

    @property
    def end_ns(self) -> int:
        """End of the bar, outside."""
        return self.start_ns + self.size_ns


class Silence(msgspec.Struct, frozen=True, tag_field="kind", tag="silence"):
    """No venue of the symbol is alive: no consolidated bar that ends at or before `until_ns` is still to come, but for
    revisions and what is backfilled.

    Behind the bars of the last venue that ended, and each second while that lasts (`bars`); behind their signals
    (`signals`), so that both say how far the symbol has come.
    """

    market: Market
    symbol: str
    until_ns: int


class Activation(msgspec.Struct, frozen=True, tag_field="kind", tag="activation", omit_defaults=True):
    """From a bar that ends at `from_ns` on, this model is in force, until another one is.

    It stands in `models`, kept for ever, and in every partition of `bars`, in order with the bars it is about.
    """

    activation_id: str
    model_id: str
    sha256: str
    """Of its model.json, which names the hash of its trees."""
    from_ns: int
    said_ns: int
    """Clock of who said it."""
    reason: str = ""


class Refusal(msgspec.Struct, frozen=True, tag_field="kind", tag="refusal"):
    """A worker could not load an activated model and goes on with the one before (`models`)."""

    activation_id: str
    model_id: str
    worker: str
    reason: str
    at_ns: int


class Kline(msgspec.Struct, frozen=True, array_like=True):
    """One candle of a venue, or of several joined (`History`); window [start_ns, start_ns + size).

    `volume` is in the unit of the venue's trades: base currency, or contracts. None where a venue does not say.
    """

    start_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal | None = None
    buy_volume: Decimal | None = None
    trade_count: int | None = None


class History(msgspec.Struct, frozen=True, tag_field="kind", tag="history"):
    """Bars of a symbol from before our own, backfilled: the venues' klines, ascending, without doubles (`bars`).

    Features take them up; stores do not, since no trade of ours stands behind them.
    """

    market: Market
    symbol: str
    size_ns: int
    venues: list[str]
    klines: list[Kline]
    received_ns: int
    is_synthetic: bool = False
    quality: Quality = "backfilled"


class ModelQuality(msgspec.Struct, frozen=True, tag_field="kind", tag="model_quality", omit_defaults=True):
    """How good a model's predictions of one symbol have been, over its last matured labels (`model_quality`).

    `brier`, `ece`, `accuracy`: 0 to 1; `base_rate`: share of labels that came true. `role`: whether it is in force, or
    scored only for comparison.
    """

    symbol: str
    model_id: str
    role: Literal["champion", "challenger"]
    start_ns: int
    """Of the bar whose label matured last."""
    labels: int
    accuracy: float
    brier: float
    ece: float
    base_rate: float
    log_loss: float
    drift_psi: float | None = None
    """Largest over the model's inputs, against its training data."""
    is_synthetic: bool = False


Scored = Features | Prediction | Signal | ModelQuality
"""What is said behind bars and stored in tables of its own."""
