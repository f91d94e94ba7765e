"""Bars of a made-up market in a real log, models in a registry, signals workers as processes; what they wrote."""

import hashlib
import math
from collections.abc import Iterable
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random

import lightgbm
import msgspec
import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sofia_streams import codec, topics
from sofia_streams.core.features.sets import base_set
from sofia_streams.core.scoring.document import FORMAT, Calibration, CheckRow, Document, LinearPart
from sofia_streams.logread import whole_topic
from sofia_streams.logwrite import log_producer
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, NS_PER_MS, Bar
from sofia_streams.scored import Features, Prediction, Signal
from sofia_streams.settings import Settings
from sofia_streams.training.registry import Registry, Stored

SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT", "ADA/USDT", "DOT/USDT")
VENUES = ("binance", "okx", "bybit")
BEGIN_NS = 1_760_000_000_000_000_000 // NS_PER_MINUTE * NS_PER_MINUTE
BASE = base_set(NS_PER_MINUTE)


def bars_of(symbol: str, minutes: range, *, size_ns: int = NS_PER_MINUTE, seed: int = 1) -> Iterable[Bar]:
    """Venues' bars and then the consolidated one, minute by minute, with quiet ones, gaps and holes."""
    draw = Random(f"{symbol} {seed}")
    price = 100.0
    for number in range(minutes.stop):
        price *= math.exp(draw.gauss(0, 0.002))
        kind = draw.random()
        made = [_bar(symbol, venue, number, price * (1 + draw.gauss(0, 1e-4)), draw, size_ns) for venue in VENUES]
        if number not in minutes or kind < 0.003:  # a hole of one window
            continue
        if kind < 0.01:
            yield _quiet(symbol, number, size_ns)
            continue
        yield from made
        quality = "gap" if kind < 0.03 else "stale" if kind < 0.04 else "complete"
        whole = _bar(symbol, CONSOLIDATED, number, price, draw, size_ns)
        yield msgspec.structs.replace(whole, quality=quality)
        if kind > 0.95:  # a later revision: nothing scores it
            yield msgspec.structs.replace(whole, revision=1, close=whole.high, quality="revised")


def _bar(symbol: str, venue: str, number: int, close: float, draw: Random, size_ns: int) -> Bar:
    opened = close * math.exp(draw.gauss(0, 0.001))
    high, low = max(opened, close) * 1.0005, min(opened, close) * 0.9995
    prices = [Decimal(f"{one:.4f}") for one in (opened, high, low, close)]
    volume, share = Decimal(f"{draw.expovariate(0.1) + 1:.3f}"), Decimal(f"{draw.random():.3f}")
    return Bar(
        venue, "spot", symbol, size_ns, BEGIN_NS + number * size_ns, *prices, volume, volume * prices[3],
        volume * share, 1 + int(draw.expovariate(0.05)), prices[3], "1", "9",
    )  # fmt: skip


def _quiet(symbol: str, number: int, size_ns: int) -> Bar:
    zero = Decimal(0)
    start_ns = BEGIN_NS + number * size_ns
    return Bar(
        CONSOLIDATED, "spot", symbol, size_ns, start_ns, None, None, None, None, zero, zero, zero, 0, None, "", ""
    )


async def write_bars(settings: Settings, bars: Iterable[Bar]) -> None:
    """Many at a time, those of a symbol in order."""
    name = topics.wire_name(topics.BARS, settings.namespace)
    async with log_producer(settings) as producer:
        for one in bars:
            at_ms = (one.start_ns + one.size_ns) // NS_PER_MS
            await producer.send(name, codec.encode(one), key=one.symbol.encode(), timestamp_ms=at_ms)
        await producer.flush()


@cache
def _trained(seed: int, size_ns: int) -> tuple[Document, str]:
    """A model of all inputs of the base set, on noise: what it says does not matter here, that it says it does."""
    rng = np.random.default_rng(seed)
    base = base_set(size_ns)
    names = [f"base.{base.features[place].name}" for place in base.inputs]
    rows = rng.normal(size=(2_000, len(names))) * 0.01
    labels = (rows @ rng.normal(size=len(names)) + rng.normal(size=2_000) * 0.01 > 0).astype(int)
    options = {"objective": "binary", "num_threads": 1, "deterministic": True, "verbosity": -1, "seed": seed}
    booster = lightgbm.train(options, lightgbm.Dataset(rows, labels), 20)
    scaler = StandardScaler().fit(rows)
    logistic = LogisticRegression().fit(scaler.transform(rows), labels)
    raw = 0.6 * booster.predict(rows, num_threads=1) + 0.4 * logistic.predict_proba(scaler.transform(rows))[:, 1]
    isotonic = IsotonicRegression(out_of_bounds="clip", y_min=0.01, y_max=0.99).fit(raw, labels)
    found = zip(rows[:32], raw[:32], isotonic.predict(raw[:32]), strict=True)
    checks = [CheckRow(row.tolist(), float(one), float(two)) for row, one, two in found]
    trees = booster.model_to_string()
    linear = LinearPart(
        logistic.coef_[0].tolist(), float(logistic.intercept_[0]), scaler.mean_.tolist(), scaler.scale_.tolist()
    )
    knots = Calibration(isotonic.X_thresholds_.tolist(), isotonic.y_thresholds_.tolist())
    return Document(
        FORMAT, f"forward-{1_700_000_000 + seed}-{seed:08x}", "forward", size_ns, 15, {"base": base.schema}, names,
        {"lightgbm": 0.6, "logistic": 0.4}, knots, 0, BEGIN_NS, BEGIN_NS * 2, True, checks, linear,
        hashlib.sha256(trees.encode()).hexdigest(),
    ), trees  # fmt: skip


def stored_model(settings: Settings, seed: int, size_ns: int = NS_PER_MINUTE) -> Stored:
    """A model in the registry of the settings; another seed, another model."""
    Path(settings.models_folder()).mkdir(parents=True, exist_ok=True)
    return Registry(settings.models_folder()).save(*_trained(seed, size_ns), {})


async def outputs(settings: Settings) -> dict[str, list[Features | Prediction | Signal]]:
    """What the workers wrote behind bars, by topic; that of a symbol in order."""
    found = {}
    for topic in (topics.FEATURES, topics.PREDICTIONS):
        found[topic.name] = [codec.decode_scored(value) async for value in whole_topic(settings, topic)]
    found[topics.SIGNALS.name] = [one for one in await signals(settings) if isinstance(one, Signal)]
    return found


async def signals(settings: Settings) -> list[codec.InSignals]:
    """All of `signals`; that of a symbol in order."""
    return [codec.decode_signals(value) async for value in whole_topic(settings, topics.SIGNALS)]


def by_window(records: Iterable[Features | Prediction | Signal]) -> dict[tuple[str, int], list[bytes]]:
    """Each record as it stands in the log, but for its place, which another log has elsewhere."""
    found: dict[tuple[str, int], list[bytes]] = {}
    for one in records:
        same = one if isinstance(one, Features) else msgspec.structs.replace(one, place="")
        found.setdefault((one.symbol, one.start_ns), []).append(codec.encode(same))
    return found
