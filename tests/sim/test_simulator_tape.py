"""The tape: coherent over venues, each with its own ids and ticks, for ever; the same for the same seed and start."""

from collections import defaultdict
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_streams.capture import CapturedFrame, read_capture
from sofia_streams.errors import BadCapture, ConfigError
from sofia_streams.model import ParsedTicker, ParsedTrade
from sofia_streams.ops.simulate import TAPE, checked_plan
from sofia_streams.simulator.market import Market, Plan, skewed
from sofia_streams.simulator.sent import encoded
from sofia_streams.simulator.tape import Print, Reel, TapeMarket, read_reels
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.slow
CAPTURES = Path(__file__).parents[1] / "captures"
PAIRS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
PLAN = Plan(tuple(VENUES), PAIRS, 40.0)
START_NS = 1_764_000_000_123_456_789
SECOND_NS = 1_000_000_000


@pytest.fixture(scope="module")
def reels():
    return read_reels(read_capture(TAPE))


def within(market, seconds):
    """The events of the first so many seconds."""
    found = []
    for event in market.events():
        if event.at_ns > START_NS + seconds * SECOND_NS:
            return found
        found.append(event)
    raise AssertionError("a tape never ends")


def by_instrument(events):
    found = defaultdict(list)
    for event in events:
        if isinstance(event.said, ParsedTrade):
            found[event.venue, event.said.venue_symbol].append(event.said.trade)
    return found


def test_the_shipped_tape_is_the_trades_of_the_capture():
    whole = read_capture(CAPTURES / "binance-spot-btcusdt-20240808.jsonl.gz")
    assert list(read_capture(TAPE)) == [frame for frame in whole if '"e":"trade"' in frame.frame]


def test_the_shipped_reel_has_the_recorded_moments_sizes_and_ends_where_it_begins(reels):
    (reel,) = reels.values()
    assert len(reel.prints) == 9_757
    assert 345 < reel.length_ns / SECOND_NS < 347
    assert reel.price == 61_837.63
    assert reel.prints[0].level == reel.prints[-1].level == pytest.approx(1.0)
    assert [found.at_ns for found in reel.prints] == sorted(found.at_ns for found in reel.prints)


def test_the_same_seed_and_start_give_the_same_events(reels):
    first, second = (list(islice(TapeMarket(PLAN, reels, START_NS).events(), 5_000)) for _ in range(2))
    assert first == second
    other = list(islice(TapeMarket(PLAN._replace(seed=2), reels, START_NS).events(), 5_000))
    assert other != first


def test_every_venue_has_about_the_rate_and_every_symbol_trades_within_seconds(reels):
    trades = by_instrument(within(TapeMarket(PLAN, reels, START_NS), 346))
    assert len(trades) == 12
    for venue in VENUES:
        count = sum(len(found) for (name, _), found in trades.items() if name == venue)
        assert count / 346 == pytest.approx(40, rel=0.05)
    early = by_instrument(within(TapeMarket(PLAN, reels, START_NS), 5))
    assert len(early) == 12


def test_ids_rise_by_one_and_time_never_goes_back_over_many_loops():
    prints = [Print(0, 1.0, 0.5, "buy"), Print(300_000_000, 1.001, 0.25, "sell"), Print(300_000_000, 1.0, 1.0, "buy")]
    market = TapeMarket(PLAN, {"BTC/USDT": Reel(60_000.0, 400_000_000, prints)}, START_NS)
    events = within(market, 20)  # 50 loops
    assert [event.at_ns for event in events] == sorted(event.at_ns for event in events)
    trades = by_instrument(events)
    assert len(trades) == 12
    for found in trades.values():
        assert len(found) > 20
        numbers = [int(trade.trade_id) for trade in found]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        times = [(trade.exchange_ns, trade.order) for trade in found]
        assert times == sorted(times)


def test_nothing_is_said_before_it_happened(reels):
    for event in within(TapeMarket(PLAN, reels, START_NS), 20):
        said_ns = event.said.trade.exchange_ns if isinstance(event.said, ParsedTrade) else event.said.exchange_ns
        assert said_ns <= event.at_ns


def test_venues_are_close_but_not_alike(reels):
    trades = by_instrument(within(TapeMarket(PLAN, reels, START_NS), 120))
    means = {
        venue: sum(float(trade.price) for trade in trades[venue, listing]) / len(trades[venue, listing])
        for venue, listing in trades
        if listing.startswith("BTC")
    }
    low, high = min(means.values()), max(means.values())
    assert 1 < 10_000 * (high - low) / low < 25
    assert len(set(means.values())) == 4


@pytest.mark.parametrize(
    ("venue", "listing", "digits", "lot_digits"),
    [
        ("binance", "BTCUSDT", 2, 5),
        ("okx", "BTC-USDT", 1, 8),
        ("coinbase", "BTC-USDT", 2, 8),
        ("bybit", "BTCUSDT", 1, 6),
    ],
)
def test_each_venue_has_its_tick_and_lot(reels, venue, listing, digits, lot_digits):
    for trade in by_instrument(within(TapeMarket(PLAN, reels, START_NS), 10))[venue, listing]:
        assert trade.price.as_tuple().exponent == -digits
        assert trade.quantity.as_tuple().exponent == -lot_digits
        assert trade.quantity > 0


def test_ids_have_the_form_of_the_venue(reels):
    trades = by_instrument(within(TapeMarket(PLAN, reels, START_NS), 5))
    assert len(trades["bybit", "BTCUSDT"][0].trade_id) == 19
    assert len({trades[venue, VENUES[venue].to_listing("BTC/USDT", "spot")][0].trade_id for venue in VENUES}) == 4


def test_a_later_run_begins_above_the_ids_of_an_earlier_one(reels):
    last = by_instrument(within(TapeMarket(PLAN, reels, START_NS), 60))
    again = TapeMarket(PLAN, reels, START_NS + 61 * SECOND_NS)
    first = by_instrument(islice(again.events(), 2_000))
    assert set(first) == set(last)
    for name, trades in first.items():
        assert int(trades[0].trade_id) > int(last[name][-1].trade_id)


def test_a_higher_rate_splits_prints_and_a_lower_one_leaves_some_out(reels):
    for rate in (4.0, 400.0):
        trades = by_instrument(within(TapeMarket(PLAN._replace(rate=rate), reels, START_NS), 60))
        whole = by_instrument(within(TapeMarket(PLAN, reels, START_NS), 60))
        counts, usual = (sum(map(len, found.values())) for found in (trades, whole))
        assert counts / usual == pytest.approx(rate / 40.0, rel=0.15)


def test_tickers_follow_the_tape(reels):
    last, seen = {}, 0
    for event in within(TapeMarket(PLAN, reels, START_NS), 30):
        name = (event.venue, event.said.venue_symbol)
        if isinstance(event.said, ParsedTrade):
            last[name] = event.said.trade.price
        elif name in last:
            fields = event.said.fields
            seen += 1
            assert fields["last"] == last[name]
            assert fields["bid"] < fields["ask"]
            assert last[name] in (fields["bid"], fields["ask"])
            assert fields["low_24h"] <= fields["last"] <= fields["high_24h"]
    assert seen > 12 * 50


@pytest.mark.parametrize("venue", VENUES)
@given(seed=st.integers(0, 2**32), rate=st.floats(1, 2_000), skew_s=st.integers(-60, 60))
@settings(max_examples=10)
def test_frames_that_are_sent_parse_back_to_what_was_said(venue, reels, seed, rate, skew_s):
    plan = Plan((venue,), PAIRS, rate, seed)
    skew_ns = {venue: skew_s * SECOND_NS}
    events = list(islice(skewed(TapeMarket(plan, reels, START_NS).events(), skew_ns), 300))
    assert {type(event.said) for event in events} <= {ParsedTrade, ParsedTicker}
    for event, sent in zip(events, encoded(events), strict=True):
        said, parsed = event.said, []
        for frame, carried in sent.frames:
            assert len(carried) == 1
            parsed += VENUES[venue].parse(frame.encode(), received_ns=event.at_ns)
        assert sent.at_ns == event.at_ns
        if isinstance(said, ParsedTrade):
            assert parsed == [said]
            assert (sent.listing, sent.last_id, sent.trades) == (said.venue_symbol, said.trade.trade_id, 1)
        else:
            merged = {name: value for found in parsed for name, value in found.fields.items()}
            silent = {"quote_volume_24h"} if venue == "coinbase" else set()
            assert merged == {name: value for name, value in said.fields.items() if name not in silent}


def test_several_captures_give_a_reel_each_and_history_is_left_out():
    names = ("okx-spot-mixed6-20210722", "coinbase-spot-btcusd_ethusd-20260809-part1", "bybit-linear-mixed4-20260809")
    frames = [frame for name in names for frame in read_capture(CAPTURES / f"{name}.jsonl.gz")]
    found = read_reels(frames)
    assert {"BTC/USD", "ETH/USD", "BTC/USDT", "DOGE/USDT"} <= set(found)
    assert all(reel.length_ns < 120 * SECOND_NS for reel in found.values())
    market = TapeMarket(Plan(("okx",), ("DOGE/USDT", "NEW/USDT"), 40.0), found, START_NS)
    trades = by_instrument(within(market, 60))
    assert set(trades) == {("okx", "DOGE-USDT"), ("okx", "NEW-USDT")}


def test_captures_without_trades_make_no_tape():
    with pytest.raises(BadCapture, match="two moments"):
        read_reels(CapturedFrame(1, "okx", "spot", "c", "in", text) for text in ("pong", "x"))


TWELVE = "BTC/USDT,ETH/USDT,SOL/USDT,XRP/USDT,DOGE/USDT,ADA/USDT,AVAX/USDT,LINK/USDT,DOT/USDT,PEPE/USDT,ETH/BTC,FOO/EUR"


def test_a_generated_market_has_twelve_symbols_and_large_trades():
    plan = checked_plan("binance,okx,coinbase,bybit", TWELVE, 1_000.0, even=True)
    events = list(islice(Market(plan, START_NS).events(), 40_000))
    trades = by_instrument(events)
    assert len(trades) == 48
    notionals = sorted(float(one.price * one.quantity) for one in trades["binance", "BTCUSDT"])
    assert notionals[-1] > 100 * notionals[len(notionals) // 2]
    prices = {name: found[0].price for name, found in trades.items() if name[0] == "binance"}
    assert len({round(float(price), 6) for price in prices.values()}) == 12
    assert all(trade.price > 0 and trade.quantity > 0 for found in trades.values() for trade in found)


@pytest.mark.parametrize(
    ("venues", "symbols", "rate"),
    [("binance,kraken", "BTC/USDT", 1), ("okx", "BTC", 1), ("okx", "", 1), ("", "BTC/USDT", 1), ("okx", "BTC/USDT", 0),
     ("okx", "BTC/USDT", float("nan")), ("okx", "BTC/USDT", float("inf"))],
)  # fmt: skip
def test_a_plan_that_makes_no_sense_is_refused(venues, symbols, rate):
    with pytest.raises(ConfigError):
        checked_plan(venues, symbols, rate)
