"""The eight indicators by other libraries: river's stats composed, TA-Lib's stream objects. One closed bar at a time.

Both share what can be shared: one mean and one deviation serve the average, the bands and the z-score.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from math import log, sqrt
from typing import NamedTuple, Protocol

import numpy as np

from sofia_streams.scored import Candle


class Eight(NamedTuple):
    """What each contestant gives behind a bar: the eight indicators are eleven numbers."""

    sma_20: float
    bb_upper: float
    bb_lower: float
    zscore_20: float
    ema_20: float
    rsi_14: float
    macd: float
    macd_signal: float
    macd_hist: float
    atr_pct_14: float
    rv_20: float


def _named(title: str, package: str) -> str:
    try:
        return f"{title} {version(package)}"
    except PackageNotFoundError:
        return title


class Contestant(Protocol):
    """Warm when it is made; then one bar at a time."""

    def update(self, candle: Candle) -> tuple[float, ...]: ...


class River:
    """Rolling variance, exponential means. Each exponential mean is seeded with its first value."""

    name = _named("river", "river")

    def __init__(self, history: Sequence[Candle]) -> None:
        """Raises ImportError where river is not installed."""
        stats, utils = import_module("river.stats"), import_module("river.utils")
        self._spread = utils.Rolling(stats.Var, window_size=20, ddof=0)
        self._mean = self._spread.obj.mean
        self._squares = utils.Rolling(stats.Sum, window_size=20)
        self._ema, self._fast, self._slow, self._signal = (stats.EWMean(2 / (size + 1)) for size in (20, 12, 26, 9))
        self._gains, self._losses, self._range = (stats.EWMean(1 / 14) for _ in range(3))
        self._close = history[0].close
        for candle in history:
            self.update(candle)

    def update(self, candle: Candle) -> tuple[float, ...]:
        """As `Eight`."""
        close, before = candle.close, self._close
        self._close = close
        self._spread.update(close)
        mean, deviation = self._mean.get(), sqrt(max(0.0, self._spread.get()))
        self._ema.update(close)
        change = close - before
        self._gains.update(max(change, 0.0))
        self._losses.update(max(-change, 0.0))
        gain, loss = self._gains.get(), self._losses.get()
        self._fast.update(close)
        self._slow.update(close)
        line = self._fast.get() - self._slow.get()
        self._signal.update(line)
        signal = self._signal.get()
        self._range.update(max(candle.high, before) - min(candle.low, before))
        self._squares.update(log(close / before) ** 2)
        return (
            mean, mean + 2.0 * deviation, mean - 2.0 * deviation, (close - mean) / deviation if deviation else 0.0,
            self._ema.get(), 100.0 * gain / (gain + loss) if gain + loss else 0.0, line, signal, line - signal,
            100.0 * self._range.get() / close, sqrt(max(0.0, self._squares.get())),
        )  # fmt: skip


class TaLib:
    """Stream objects in C; logarithm, root and z-score in Python. Their state cannot be stored."""

    name = _named("TA-Lib", "ta-lib")

    def __init__(self, history: Sequence[Candle]) -> None:
        """Raises ImportError where TA-Lib is not installed."""
        stream = import_module("talib.stream")
        high, low, close = (np.array([getattr(one, name) for one in history]) for name in ("high", "low", "close"))
        self._bands = stream.BBANDS(close, 20, 2.0, 2.0)
        self._ema, self._rsi = stream.EMA(close, 20), stream.RSI(close, 14)
        self._macd = stream.MACD(close, 12, 26, 9)
        self._range = stream.NATR(high, low, close, 14)
        self._squares = stream.SUM(np.log(close[1:] / close[:-1]) ** 2, 20)
        self._close = float(close[-1])

    def update(self, candle: Candle) -> tuple[float, ...]:
        """As `Eight`."""
        close = candle.close
        change = log(close / self._close)
        self._close = close
        upper, mean, lower = self._bands.update(close)
        width = upper - mean
        return (
            mean, upper, lower, 2.0 * (close - mean) / width if width else 0.0, self._ema.update(close),
            self._rsi.update(close), *self._macd.update(close), self._range.update(candle.high, candle.low, close),
            sqrt(max(0.0, self._squares.update(change * change))),
        )  # fmt: skip
