"""What indicators should give, by TA-Lib or by their definition in numpy over whole arrays; and a book's columns."""

import numpy as np
import pytest
from feature_bars import taken

from sofia_streams.core.features.book import Book
from sofia_streams.core.features.sets import base_set
from sofia_streams.model import NS_PER_MINUTE

talib = pytest.importorskip("talib", reason="needs TA-Lib, a test dependency")
PRICED = frozenset(("macd", "macd_signal", "macd_hist"))
"""Differences of prices: as exact as the prices are."""


def columns(bars, sets=(base_set,), venues=lambda one: {}):
    """One array a feature, NaN where it is not known."""
    made = [one(NS_PER_MINUTE) for one in sets]
    book = Book(made)
    rows = [[value for vector in taken(book, one, venues(one)) for value in vector.values] for one in bars]
    return matrix(rows, [feature.name for one in made for feature in one.features])


def matrix(rows, names):
    """One array a name, NaN where it is not known."""
    return {name: np.array([np.nan if row[at] is None else row[at] for row in rows]) for at, name in enumerate(names)}


def closes_of(bars):
    """The series that TA-Lib gets: a quiet bar repeats the close before it."""
    prices, close = [], None
    for one in bars:
        close = float(one.close) if one.close is not None else close
        prices.append([float(one.high or close), float(one.low or close), close])
    return np.array(prices).T


def references(high, low, close):
    change = np.diff(np.log(close), prepend=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view
    mean, deviation = windows(close, 20).mean(axis=1), windows(close, 20).std(axis=1)
    upper, _, lower = talib.BBANDS(close, 20, 2.0, 2.0)
    line, signal, hist = talib.MACD(close, 12, 26, 9)
    with np.errstate(divide="ignore", invalid="ignore"):
        zscore = np.where(deviation < 1e-12 * close[19:], np.nan, (close[19:] - mean) / deviation)
    late = lambda values, first: np.concatenate([np.full(first, np.nan), values])  # noqa: E731
    return {
        **{name: talib.ROCP(close, n) for name, n in (("r_1m", 1), ("r_5m", 5), ("r_1h", 60), ("mom_14", 14))},
        "sma_20": talib.SMA(close, 20), "ema_20": talib.EMA(close, 20), "bb_upper": upper, "bb_lower": lower,
        "zscore_20": late(zscore, 19), "rsi_14": talib.RSI(close, 14), "macd": line, "macd_signal": signal,
        "macd_hist": hist, "atr_pct_14": talib.NATR(high, low, close, 14),
        "rv_20": late(np.sqrt((windows(change[1:], 20) ** 2).sum(axis=1)), 20),
        "vol_sigma_1h": late(windows(change[1:], 60).std(axis=1, ddof=1) * np.sqrt(60), 60),
    }  # fmt: skip


def check_all(found, expected, close):
    """Every reference against ours, bar by bar: known at the same bars, and equal to 1e-9 relative.

    What is a difference is as exact as what it is taken of: prices (`close`, an array), or one deviation of a z-score;
    of returns the last ten digits below 1e-6 do not count. TA-Lib has no z-score; where all closes but one are alike,
    whether it is known is a matter of the last digits.
    """
    floors = {"zscore_20": 1.0, "r_1m": 1e-6, "r_5m": 1e-6, "r_1h": 1e-6, "mom_14": 1e-6}
    for name, theirs in expected.items():
        ours, floor = found[name], close if name in PRICED else np.full(len(close), floors.get(name, 0.0))
        if name == "zscore_20":
            ours, theirs = np.where(np.isnan(theirs), np.nan, ours), np.where(np.isnan(ours), np.nan, theirs)
        assert (np.isnan(ours) == np.isnan(theirs)).all(), name
        known = ~np.isnan(ours)
        assert known.any(), name
        apart = np.abs(ours - theirs)[known] - 1e-9 * np.maximum(np.abs(theirs), floor)[known]
        assert apart.max() <= 0.0, f"{name}: {apart.max()} over at bar {np.flatnonzero(known)[apart.argmax()]}"
