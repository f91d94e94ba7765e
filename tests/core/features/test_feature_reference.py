"""Every indicator against TA-Lib, or against its definition in numpy: to 1e-9 relative, from the first value on."""

import numpy as np
import pytest
from feature_bars import bar, golden, real_bars
from feature_references import check_all, closes_of, columns, references

from sofia_streams.core.features.sets import base_set, flow_set
from sofia_streams.model import NS_PER_MINUTE

NAMES = [one.name for one in base_set(NS_PER_MINUTE).features]
FLOW = [one.name for one in flow_set(NS_PER_MINUTE).features]
GOLDEN = {
    "sma_20": (102.0628815834, 105.3091586834, 109.2371596517),
    "ema_20": (102.0217526522, 105.1218499441, 109.6031369271),
    "rsi_14": (37.5944203515, 69.8226741834, 70.9576650768),
    "atr_pct_14": (1.6857519994, 1.6074301039, 1.4991332209),
    "bb_upper": (109.4172577477, 112.2412624282, 116.5670019196),
    "bb_lower": (94.7085054191, 98.3770549386, 101.9073173838),
    "zscore_20": (-1.0232907679, 1.5162980139, 1.5450263299),
    "macd": (-0.6219750724, 1.1853760675, 1.5986755091),
    "macd_signal": (0.1666491322, 0.4300666435, 0.7288839452),
    "macd_hist": (-0.7886242046, 0.7553094241, 0.8697915639),
    "mom_14": (-0.0376951752, 0.0388527618, 0.0618675171),
}
"""At bars 33, 60 and 99."""
GOLDEN_LAST = {
    "r_1m": 0.003085837400435665,
    "r_5m": 0.054245264591604725,
    "r_1h": 0.08394956606658077,
    "vol_sigma_1h": 0.08471738835182903,
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_values_at_three_bars(name):
    found = columns(golden())[name]
    assert [found[at] for at in (33, 60, 99)] == pytest.approx(GOLDEN[name], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", GOLDEN_LAST)
def test_golden_values_at_the_last_bar(name):
    assert columns(golden())[name][99] == pytest.approx(GOLDEN_LAST[name], rel=1e-12)


SERIES = {
    "days of LINK": lambda: [*real_bars(most=4_000)],
    "days of FIL, a thin market": lambda: [*real_bars("binance-um-1m/FILUSDT-1m-2023-08.csv.gz", 4_000)],
    "quiet minutes": lambda: [
        bar(at, None if at % 7 in (3, 4) else 100 + at % 13 / 8, high=102 + at % 3, low=98 - at % 2)
        for at in range(400)
    ],
    "flat, a move, flat": lambda: [bar(at, 60_000 if at < 150 or at > 152 else 60_100) for at in range(400)],
}


@pytest.mark.parametrize("series", SERIES)
def test_every_indicator_equals_its_reference(series):
    bars = SERIES[series]()
    high, low, close = closes_of(bars)
    check_all(columns(bars), references(high, low, close), close)


def test_what_follows_from_bands_and_averages():
    found = columns(golden())
    close = np.array([float(one.close) for one in golden()])
    width = found["bb_upper"] - found["bb_lower"]
    known = ~np.isnan(width)
    pairs = {
        "bb_pct_b": (close - found["bb_lower"]) / width,
        "bb_bandwidth": width / found["sma_20"],
        "ema_20_bps": (close / found["ema_20"] - 1) * 1e4,
        "macd_hist_bps": found["macd_hist"] / close * 1e4,
    }
    for name, expected in pairs.items():
        assert (np.isnan(found[name]) == np.isnan(expected)).all() and known.any()
        assert np.nanmax(np.abs(found[name] - expected)) < 1e-9, name


def test_flow_equals_its_definitions_on_real_bars():
    bars = [*real_bars(most=3_000)]
    found = columns(bars, (flow_set,))
    volume, buy, quote, close, count = (
        np.array([float(getattr(one, name)) for one in bars])
        for name in ("volume", "buy_volume", "quote_volume", "close", "trade_count")
    )
    over = lambda values, n: np.convolve(values, np.ones(n), "valid")  # noqa: E731
    assert found["imbalance_1"] == pytest.approx(2 * buy / volume - 1, abs=1e-12)
    assert found["imbalance_20"][19:] == pytest.approx(2 * over(buy, 20) / over(volume, 20) - 1, abs=1e-9)
    assert found["intensity_60"][59:] == pytest.approx(count[59:] / (over(count, 60) / 60), rel=1e-9)
    paid = over(quote, 60) / over(volume, 60)
    assert found["vwap_60_bps"][59:] == pytest.approx((close[59:] / paid - 1) * 1e4, abs=1e-6)
    assert np.isnan(found["imbalance_20"][:19]).all() and np.isnan(found["vwap_60_bps"][:59]).all()


def test_venues_against_each_other_equal_their_definitions():
    rng = np.random.default_rng(7)
    price = 100 * np.exp(np.cumsum(rng.normal(0, 1e-4, 300)))
    closes = {venue: price * (1 + rng.normal(0, 2e-4, 300)) for venue in ("binance", "okx", "bybit")}
    bars = [bar(at, repr(float(price[at]))) for at in range(300)]
    at_of = {one.start_ns: at for at, one in enumerate(bars)}
    found = columns(
        bars, (flow_set,), lambda one: {name: float(values[at_of[one.start_ns]]) for name, values in closes.items()}
    )
    all_closes = np.array([*closes.values()])
    middle = np.median(all_closes, axis=0)
    lead = (all_closes[np.abs(all_closes - middle).argmax(axis=0), np.arange(300)] / middle - 1) * 1e4
    change = (price[1:] / price[:-1] - 1) * 1e4
    assert found["venue_spread_bps"] == pytest.approx(np.ptp(all_closes, axis=0) / price * 1e4, rel=1e-9)
    assert found["venue_lead_bps"] == pytest.approx(lead, rel=1e-9)
    expected = [np.corrcoef(lead[at - 60 : at], change[at - 60 : at])[0, 1] for at in range(60, 300)]
    assert found["lead_lag_60"][60:] == pytest.approx(expected, abs=1e-9)
    assert np.isnan(found["lead_lag_60"][:60]).all()
