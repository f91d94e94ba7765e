"""Records of `bars` for tests of steps: venues' and consolidated bars, history, activations; and a small model."""

from decimal import Decimal

from hypothesis import strategies as st

from sofia_streams.core.features.sets import sets_of
from sofia_streams.core.scoring.document import FORMAT, Calibration, CheckRow, Document, LinearPart
from sofia_streams.core.scoring.scorer import Score, Scorer
from sofia_streams.core.signals.predicting import Model
from sofia_streams.errors import BadModel
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, Bar
from sofia_streams.scored import Activation, History, Kline

SETS = sets_of(NS_PER_MINUTE)
BEGIN_NS = 1_700_000_000_000_000_000 // NS_PER_MINUTE * NS_PER_MINUTE
FAR_NS = 2**62


def bar(number, close, *, venue=CONSOLIDATED, symbol="BTC/USDT", quality="complete", revision=0):
    """The minute `number`; `close` None is a quiet one."""
    prices = [None if close is None else Decimal(str(close))] * 4
    volume = Decimal(0) if close is None else Decimal(3)
    return Bar(
        venue, "spot", symbol, NS_PER_MINUTE, BEGIN_NS + number * NS_PER_MINUTE, *prices, volume,
        volume * (prices[0] or 0), volume / 2, 0 if close is None else 4, prices[0], "1", "4", revision, quality,
    )  # fmt: skip


def minute(number, close, **changes):
    """Two venues' bars, and the consolidated one behind them."""
    venues = [bar(number, close and close * share, venue=venue) for venue, share in (("binance", 1), ("okx", 1.0001))]
    return [*venues, bar(number, close, **changes)]


def history(numbers, close=lambda at: 100 + at % 7 / 8):
    """Klines of those minutes."""
    rows = [Kline(BEGIN_NS + at * NS_PER_MINUTE, *[Decimal(str(close(at)))] * 4, Decimal(3)) for at in numbers]
    return History("spot", "BTC/USDT", NS_PER_MINUTE, ["binance"], rows, 0)


def a_model(model_id="forward-1-00000001", *, tilt=0.0, sets=SETS, expires_ns=FAR_NS, **changes):
    """One weight for each input of the base set, none of them zero; `tilt` is added to what it says."""
    names = [f"base.{SETS[0].features[place].name}" for place in SETS[0].inputs]
    weights = [0.01 * (1 + at % 3) for at in range(len(names))]
    rows = [[0.1 * (at % 5) + 0.01 * row for at in range(len(names))] for row in range(16)]
    linear = LinearPart(weights, tilt, [0.0] * len(names), [1.0] * len(names))
    knots = Calibration([0.0, 1.0], [0.0, 1.0])
    given = {"format": FORMAT, "model_id": model_id, "label": "forward", "size_ns": NS_PER_MINUTE, "horizon_bars": 15,
             "schemas": {"base": SETS[0].schema}, "inputs": names, "members": {"logistic": 1.0}, "calibration": knots,
             "trained_from_ns": 0, "trained_until_ns": 1, "expires_ns": expires_ns, "is_synthetic": True,
             "checks": [], "linear": linear}  # fmt: skip
    given |= changes
    scored = [_by_hand(row, given["linear"]) for row in rows]
    checks = [CheckRow(row, one.raw, one.calibrated) for row, one in zip(rows, scored, strict=True)]
    return Model(Scorer(Document(**(given | {"checks": checks})), None), sets)


def _by_hand(row, linear):
    from math import exp

    raw = 1 / (1 + exp(-sum(w * x for w, x in zip(linear.weights, row, strict=True)) - linear.bias))
    return Score(raw, raw)


MODELS = {name: a_model(name, tilt=tilt) for name, tilt in (("one", 0.0), ("two", 2.0), ("three", -2.0))}


def load(activation):
    """The models above by their ids."""
    if activation.model_id not in MODELS:
        raise BadModel(f"model {activation.model_id}: expected it in models/, found nothing. Activate another.")
    return MODELS[activation.model_id]


def activation(model_id, from_minute, serial=0):
    """In force from the bar that ends then."""
    from_ns = BEGIN_NS + from_minute * NS_PER_MINUTE
    return Activation(f"{model_id}@{serial}", model_id, "0" * 64, from_ns, serial)


@st.composite
def logs(draw, most=30):
    """Records of one partition: mostly one minute behind the other, with everything that happens between.

    Half of them begin with a model and with history, so that there is something to score at once.
    """
    records, number = [], 0
    if draw(st.booleans()):
        records = [activation("one", -99, -1), history(range(-90, 0))]
    for serial in range(draw(st.integers(1, most))):
        kind = draw(st.integers(0, 19))
        if kind == 0:
            name = draw(st.sampled_from([*MODELS, "lost"]))
            records.append(activation(name, number + draw(st.integers(-3, 9)), serial))
        elif kind == 1:
            records.append(history(range(number - draw(st.integers(1, 90)), number)))
        elif kind == 2:
            number += draw(st.integers(1, 8))
        else:
            close = draw(st.one_of(st.none(), st.integers(900, 1100).map(lambda price: price / 10)))
            quality = draw(st.sampled_from(["complete"] * 6 + ["gap", "stale", "backfilled"]))
            found = minute(number, close, quality=quality)
            records += found if kind > 4 else [*found, found[-1]]
            number += 1
    return records
