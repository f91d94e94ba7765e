"""Bars that no market made: a seeded random walk with a small effect planted in it, so that a model has what to find.

Returns have a volatility that clusters (its logarithm is an AR(1) process). The planted effect is a pull back to the
mean: each bar's expected return is -`PULL` times its deviation times the z-score of the last close within the last 20,
cut at 3: the feature `zscore_20` of the base set. Nothing else can be predicted. Pure: the same arguments give the same
bars, but for a last bit of `exp` on processors of another kind.

What it does not do: look like any real market; what is trained on it says so everywhere (`is_synthetic`).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np

from sofia_streams.core.features.sums import Window
from sofia_streams.model import NS_PER_MINUTE
from sofia_streams.scored import Candle
from sofia_streams.training.dataset import Floats, Seen
from sofia_streams.training.sources.bars import Bars

PULL = 0.12
"""Of a bar's deviation, for each unit of z-score."""
SIGMA_MINUTE = 6e-4
"""Usual deviation of the return of one minute; of a second 1 / sqrt(60) of it."""
_PERSISTENCE, _WILDNESS = 0.98, 0.08
_STEPS = 4
"""Moves within one bar: they make its high and low."""
_WINDOW, _CUT = 20, 3.0
_VENUES, _APART = ("one", "two"), 5e-5
"""Venues whose closes stand beside a bar's, so far from it as a fraction."""


def generate(
    prices: Mapping[str, float], *, size_ns: int, bars: int, until_ns: int, seed: int, pull: float = PULL
) -> Bars:
    """So many bars of each symbol, the last ending at `until_ns` at its price. `pull` 0 leaves nothing to find."""
    begin_ns = until_ns // size_ns * size_ns - bars * size_ns
    seen = []
    for symbol, price in sorted(prices.items()):
        random = np.random.default_rng([seed, zlib.crc32(symbol.encode())])
        path = _path(random, bars, SIGMA_MINUTE * (size_ns / NS_PER_MINUTE) ** 0.5, pull)
        path *= price / path[-1, -1]
        for number, candle in enumerate(_candles(random, path)):
            seen.append(Seen(symbol, begin_ns + number * size_ns, candle))
    return Bars(seen, f"generated bars, seed {seed}, pull {pull:g}", is_synthetic=True)


def _path(random: np.random.Generator, bars: int, sigma: float, pull: float) -> Floats:
    """Prices, shape (bars, 1 + steps): the close before, then each move within the bar."""
    shocks = random.standard_normal((bars, _STEPS)) / _STEPS**0.5
    wild = random.standard_normal(bars) * _WILDNESS
    path = np.empty((bars, _STEPS + 1))
    level, close, score, window = 0.0, 1.0, 0.0, Window(_WINDOW)
    for number in range(bars):
        level = _PERSISTENCE * level + wild[number]
        deviation = sigma * float(np.exp(level))
        drift = -pull * score / _STEPS
        path[number, 0] = close
        path[number, 1:] = close * np.exp(deviation * np.cumsum(drift + shocks[number]))
        close = float(path[number, -1])
        score = _z_score(window.push(close), close)
    return path


def _z_score(known: tuple[float, float] | None, close: float) -> float:
    if known is None or known[1] == 0.0:
        return 0.0
    return max(-_CUT, min(_CUT, (close - known[0]) / known[1]))


def _candles(random: np.random.Generator, path: Floats) -> list[Candle]:
    bars = len(path)
    moves = np.abs(path[:, -1] / path[:, 0] - 1.0)
    volumes = np.exp(random.standard_normal(bars) * 0.5) * (1.0 + moves / moves.mean())
    bought = volumes * np.clip(0.5 + 0.1 * random.standard_normal(bars), 0.0, 1.0)
    counts = 1 + np.floor(volumes * 20.0).astype(int)
    apart = path[:, -1:] * (1.0 + _APART * random.standard_normal((bars, len(_VENUES))))
    venues = [dict(zip(_VENUES, closes, strict=True)) for closes in apart.tolist()]
    found = zip(
        path[:, 0].tolist(), path.max(axis=1).tolist(), path.min(axis=1).tolist(), path[:, -1].tolist(),
        volumes.tolist(), (volumes * path.mean(axis=1)).tolist(), bought.tolist(), counts.tolist(), strict=True,
    )  # fmt: skip
    return [
        Candle(first, high, low, last, volume, quote, buy, count, venues=closes)
        for (first, high, low, last, volume, quote, buy, count), closes in zip(found, venues, strict=True)
    ]
