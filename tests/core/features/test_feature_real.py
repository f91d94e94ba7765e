"""Indicators on real bars of several venues and sizes: whole months, holes, very small and large prices, restarts."""

import random
from itertools import cycle, pairwise

import msgspec
import numpy as np
import pytest
from feature_bars import real_candles
from feature_references import PRICED, check_all, matrix, references

from sofia_streams.core.features.book import FILLED_MAX, Book, Memory, flat
from sofia_streams.core.features.sets import sets_of
from sofia_streams.model import NS_PER_MINUTE

MONTHS = (
    "binance-um-1m/LINKUSDT-1m-2026-02.csv.gz",
    "binance-um-1m/FILUSDT-1m-2023-08.csv.gz",
    "binance-um-1m/NEARUSDT-1m-2025-09.csv.gz",
    "bybit-linear-1m/BTCUSDT-1m-202506.csv.gz",
    "bybit-linear-1m/SOLUSDT-1m-202506.csv.gz",
    "bybit-linear-5m/ETHUSDT-5m-2025q2.csv.gz",
)
SETS = sets_of(NS_PER_MINUTE)
NAMES = [feature.name for one in SETS for feature in one.features]
PRICES = PRICED | {"sma_20", "ema_20", "bb_upper", "bb_lower"}


def taken(book, numbered):
    """Values of every feature behind each (window, candle)."""
    return [[value for values in book.take(at * NS_PER_MINUTE, one) for value in values] for at, one in numbered]


def columns(candles):
    return matrix(taken(Book(SETS), enumerate(candles)), NAMES)


def arrays(candles):
    return np.array([(one.high, one.low, one.close) for one in candles]).T


@pytest.mark.slow
@pytest.mark.parametrize("name", MONTHS)
def test_a_whole_file_of_real_bars(name):
    candles = real_candles(name)
    assert len(candles) > 25_000
    high, low, close = arrays(candles)
    check_all(columns(candles), references(high, low, close), close)


@pytest.mark.parametrize("seed", range(3))
def test_holes_cut_at_random(seed):
    """Behind up to `FILLED_MAX` missing windows the close goes on; behind more of them everything begins anew."""
    draw = random.Random(seed)
    candles = real_candles("bybit-linear-1m/SOLUSDT-1m-202506.csv.gz", 4_000)
    cuts = cycle(draw.sample([*range(1, FILLED_MAX + 2), 20], FILLED_MAX + 2))
    left, at = [], 0
    while at < len(candles):
        length = draw.randint(30, 400)
        left += range(at, min(at + length, len(candles)))
        at += length + next(cuts)
    found = matrix(taken(Book(SETS), [(at, candles[at]) for at in left]), NAMES)
    holes = [after - before - 1 for before, after in pairwise(left)]
    assert {FILLED_MAX, FILLED_MAX + 1} <= {*holes}
    edges = [0, *(place + 1 for place, hole in enumerate(holes) if hole > FILLED_MAX), len(left)]
    for first, last in pairwise(edges):
        part = left[first:last]
        if part[-1] - part[0] < 70:
            continue  # too short for the longest window
        there, filled = {*part}, []
        for at in range(part[0], part[-1] + 1):
            filled.append(candles[at] if at in there else flat(filled[-1].close, is_complete=False, quantity=None))
        high, low, close = arrays(filled)
        places = np.array(part) - part[0]
        expected = {name: values[places] for name, values in references(high, low, close).items()}
        check_all({name: values[first:last] for name, values in found.items()}, expected, close[places])


@pytest.mark.parametrize("shift", [-8, 6])
def test_very_small_and_large_prices(shift):
    """The same market in other units: prices of about 1e-8 and 1e6. TA-Lib takes a variance below 1e-14 as none, so
    it is given the market at its own scale.
    """
    candles = real_candles("bybit-linear-1m/SOLUSDT-1m-202506.csv.gz", 3_000)
    close = arrays(candles)[2]
    by = 10.0**shift / close[0]
    scaled = [
        msgspec.structs.replace(one, **{key: getattr(one, key) * by for key in ("open", "high", "low", "close")})
        for one in candles
    ]
    assert scaled[0].close == pytest.approx(10.0**shift)
    found = {name: values / by if name in PRICES else values for name, values in columns(scaled).items()}
    check_all(found, references(*arrays(candles)), close)


@pytest.mark.parametrize("price", [1e-8, 0.3, 60_000.1, 1e6])
def test_flat_prices_within_a_real_market(price):
    """Bands close to nothing, no z-score, RSI as it was left; and it goes on behind."""
    candles = real_candles("bybit-linear-1m/SOLUSDT-1m-202506.csv.gz", 300)
    by = price / candles[199].close
    moving = [
        msgspec.structs.replace(one, **{key: getattr(one, key) * by for key in ("open", "high", "low", "close")})
        for one in candles
    ]
    level = moving[199].close
    still = [flat(level, is_complete=True, quantity=None)] * 100
    found = columns([*moving[:200], *still, *moving[200:]])
    for name in ("bb_upper", "bb_lower", "sma_20"):
        assert found[name][219:300] == pytest.approx(np.full(81, level), rel=1e-15), name
    assert (found["bb_bandwidth"][219:300] == 0.0).all()
    assert np.isnan(found["zscore_20"][219:300]).all() and np.isnan(found["bb_pct_b"][219:300]).all()
    assert (found["rv_20"][220:300] == 0.0).all()
    assert (found["vol_sigma_1h"][260:300] == 0.0).all()
    assert np.ptp(found["rsi_14"][200:300]) < 1e-9
    assert np.isfinite(found["zscore_20"][301:]).all()


def resumed(book):
    """Another one, from what the first would store."""
    other = Book(SETS)
    other.resume(msgspec.json.decode(msgspec.json.encode(book.memory()), type=Memory))
    return other


def test_a_restart_at_any_bar_changes_nothing():
    """At each of the first bars, warm-up and beyond: the longest window later, all is as if never stopped."""
    candles = [*enumerate(real_candles(MONTHS[0], 260))]
    expected, book = taken(Book(SETS), candles), Book(SETS)
    for at in range(190):
        assert taken(resumed(book), candles[at : at + 65]) == expected[at : at + 65]
        assert taken(book, candles[at : at + 1]) == expected[at : at + 1]


def test_a_restart_at_every_bar_changes_nothing():
    candles = [*enumerate(real_candles(MONTHS[1], 1_000))]
    expected, book, found = taken(Book(SETS), candles), Book(SETS), []
    for one in candles:
        book = resumed(book)
        found += taken(book, [one])
    assert found == expected


def test_windows_depend_on_nothing_before_them():
    """Sums are exact: a book that began later has the same last digits, but for what never forgets (EMA, Wilder)."""
    candles = [*enumerate(real_candles(MONTHS[0], 2_000))]
    whole, later = Book(SETS), Book(SETS)
    taken(whole, candles[:1_000])
    first, second = taken(whole, candles[1_000:]), taken(later, candles[1_000:])
    lasting = {"ema_20", "ema_20_bps", "rsi_14", "macd", "macd_signal", "macd_hist", "macd_hist_bps", "atr_pct_14"}
    for place, name in enumerate(NAMES):
        if name not in lasting:
            assert [row[place] for row in first[70:]] == [row[place] for row in second[70:]], name
