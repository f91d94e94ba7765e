"""Candles of a simulated instrument from before its market opened: one path, in both sizes, up to the opening price."""

import json
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.ops.simulate import checked_plan, generated, taped
from sofia_streams.simulator.candle import MINUTE_MS, SECOND_MS
from sofia_streams.simulator.history import DAYS_MAX, PastCandles, Path
from sofia_streams.simulator.instrument import SimulatedInstrument
from sofia_streams.venues.registry import VENUES

OPENED_MS = 1_767_225_600_000 + 17 * MINUTE_MS
AFTER_MS = OPENED_MS + 1_000 * MINUTE_MS


def past(venue, opened_ms=OPENED_MS, seed=1, symbol="BTC/USDT"):
    instrument = SimulatedInstrument(venue, symbol, opened_ms * 10**6)
    return instrument, PastCandles(instrument, Path(symbol, instrument.opens_at, opened_ms, seed))


@pytest.mark.parametrize("venue", VENUES)
@given(st.integers(0, 2 * MINUTE_MS), st.integers(1, 99))
def test_the_past_ends_at_the_opening_price_and_goes_back_without_a_hole(venue, later_ms, seed):
    opened_ms = OPENED_MS + later_ms
    instrument, candles = past(venue, opened_ms, seed)
    for size_ms in (SECOND_MS, MINUTE_MS):
        found = candles.between(size_ms, 0, AFTER_MS, 130, newest=True)
        assert [one.start_ms for one in found] == [found[0].start_ms + size_ms * at for at in range(130)]
        ended_ms = found[-1].start_ms + size_ms
        assert ended_ms <= opened_ms < ended_ms + size_ms
        assert all(sooner.close == later.open for sooner, later in pairwise(found))
        assert all(one.low <= min(one.open, one.close) <= max(one.open, one.close) <= one.high for one in found)
        assert all(0 < one.bought < one.volume and 0 < one.bought_quote < one.quote for one in found)
    assert candles.between(SECOND_MS, 0, AFTER_MS, 1, newest=True)[0].close == instrument.open


@pytest.mark.parametrize("venue", VENUES)
def test_a_minute_is_its_seconds(venue):
    _, candles = past(venue)
    for minute in candles.between(MINUTE_MS, 0, AFTER_MS, 5, newest=True):
        first_ms = minute.start_ms
        seconds = candles.between(SECOND_MS, first_ms, first_ms + MINUTE_MS - 1, 999, newest=False)
        assert len(seconds) == 60
        assert (minute.open, minute.close) == (seconds[0].open, seconds[-1].close)
        assert minute.high == max(one.high for one in seconds)
        assert minute.low == min(one.low for one in seconds)
        for name in ("volume", "quote", "bought", "bought_quote", "trades"):
            assert getattr(minute, name) == sum(getattr(one, name) for one in seconds)


def test_pages_may_be_asked_in_any_order_and_all_venues_follow_one_path():
    (_, one), (_, other), (_, third) = past("binance"), past("binance"), past("okx")
    day = one.between(MINUTE_MS, 0, AFTER_MS, 1_440, newest=True)
    span = day[700].start_ms, day[709].start_ms
    assert other.between(MINUTE_MS, *span, 1_000, newest=False) == day[700:710]
    assert other.between(MINUTE_MS, *span, 3, newest=False) == day[700:703]
    assert other.between(MINUTE_MS, *span, 3, newest=True) == day[707:710]
    prices = third.between(MINUTE_MS, *span, 1_000, newest=False)
    assert all(abs(left.close - right.close) < 1 for left, right in zip(prices, day[700:710], strict=True))
    assert [left.volume for left in prices] != [right.volume for right in day[700:710]]
    assert past("binance", seed=2)[1].between(MINUTE_MS, *span, 3, newest=True) != day[707:710]
    assert one.between(MINUTE_MS, 0, OPENED_MS - (DAYS_MAX + 1) * 86_400_000, 5, newest=True) == []
    assert one.between(MINUTE_MS, OPENED_MS, AFTER_MS, 5, newest=True) == []


@pytest.mark.parametrize("make", [generated, taped])
def test_what_is_served_has_a_past_that_meets_its_market(make):
    """The open of the first trades is near where the past ends: within what a market moves in a second."""
    source = make(checked_plan("binance,okx", "BTC/USDT,ETH/USDT", 100.0))
    path = "/binance/api/v3/klines?symbol=ETHUSDT&interval=1s&limit=400"
    before = json.loads(source.rest.answer(path).body)
    assert len(before) == 400 and before[-1][0] + SECOND_MS <= time.time_ns() // 10**6
    sent = source.sent()
    first = next(one.said for one in sent if one.said and one.venue == "binance" and one.listing == "ETHUSDT")
    assert abs(float(first.trade.price) / float(before[-1][4]) - 1) < 0.002
    source.rest.add("binance", first)
    after = json.loads(source.rest.answer(path).body)
    assert after[:-1] == before[1:] and after[-1][5] == f"{first.trade.quantity:f}"


def test_each_venue_serves_both_sizes_where_the_real_one_does():
    source = generated(checked_plan("binance,okx,coinbase,bybit", "BTC/USDT", 100.0))
    asked = {
        "/binance/api/v3/klines?symbol=BTCUSDT&interval=1s": 200,
        "/okx/api/v5/market/candles?instId=BTC-USDT&bar=1s": 200,
        "/coinbase/products/BTC-USDT/candles?granularity=1": 400,
        "/bybit/v5/market/kline?category=spot&symbol=BTCUSDT&interval=1s": 200,
    }
    replies = {path: source.rest.answer(path) for path in asked}
    assert {path: reply.status for path, reply in replies.items()} == asked
    assert "params error" in replies["/bybit/v5/market/kline?category=spot&symbol=BTCUSDT&interval=1s"].body
