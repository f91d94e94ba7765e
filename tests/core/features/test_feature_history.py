"""Candles from before our own: venues joined, when they are needed, and that live bars take over without a seam."""

import random
from decimal import Decimal

import msgspec
import pytest
from feature_bars import BEGIN_NS, bar, taken
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams import codec
from sofia_streams.core.features.book import FILLED_MAX, Book, candle_of_kline
from sofia_streams.core.features.history import WINDOWS_MAX, Before, Run, joined, windows_wanted
from sofia_streams.core.features.sets import base_set, sets_of
from sofia_streams.core.signals.rolling import Rolling
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND
from sofia_streams.scored import History, Kline

SETS = sets_of(NS_PER_MINUTE)
BASE = (base_set(NS_PER_MINUTE),)


def kline(number, open_, high, low, close, volume, *rest):
    numbers = [None if one is None else Decimal(str(one)) for one in (open_, high, low, close, volume, *rest[:2])]
    return Kline(BEGIN_NS + number * NS_PER_MINUTE, *numbers, *rest[2:])


def test_venues_are_joined_by_window():
    found = joined({
        "okx": [kline(0, 10, 12, 9, 11, 5, 50), kline(1, 11, 11, 11, 11, 1, 11)],
        "binance": [kline(0, 10.5, 11.5, 8, 10, 7, 70, 3, 9), kline(3, 9, 10, 9, 10, 2, 20, 1, 4)],
    })  # fmt: skip
    assert found == [
        kline(0, 10.5, 12, 8, 10, 12, 120), kline(1, 11, 11, 11, 11, 1, 11), kline(3, 9, 10, 9, 10, 2, 20, 1, 4)
    ]  # fmt: skip
    assert joined({}) == joined({"okx": []}) == []


def test_sums_are_known_where_every_venue_says_them():
    one, other = kline(0, 1, 1, 1, 1, 2, 2, 1, 3), kline(0, 1, 1, 1, 1, 4, 4, 2, 5)
    assert joined({"a": [one], "b": [other]}) == [kline(0, 1, 1, 1, 1, 6, 6, 3, 8)]
    unknown = msgspec.structs.replace(other, quote_volume=None, buy_volume=None, trade_count=None)
    assert joined({"a": [one], "b": [unknown]}) == [kline(0, 1, 1, 1, 1, 6)]


PRICES = st.integers(1, 50)


@st.composite
def klines_of_venues(draw):
    found = {}
    for venue in draw(st.lists(st.sampled_from(["binance", "okx", "bybit"]), unique=True)):
        numbers = sorted(draw(st.sets(st.integers(0, 12))))
        rows = []
        for number in numbers:
            low, one, other, high = sorted(draw(st.tuples(PRICES, PRICES, PRICES, PRICES)))
            rows.append(kline(number, one, high, low, other, draw(st.integers(0, 3))))
        found[venue] = rows
    return found


@given(klines_of_venues(), st.randoms())
def test_joining_is_the_same_in_any_order_and_gives_candles_that_can_be(venues, order):
    found = joined(venues)
    names = list(venues)
    order.shuffle(names)
    assert joined({name: venues[name] for name in names}) == found
    assert [one.start_ns for one in found] == sorted({one.start_ns for rows in venues.values() for one in rows})
    for one in found:
        assert one.low <= min(one.open, one.close) <= max(one.open, one.close) <= one.high
        assert (one.open, one.close) in {
            (row.open, row.close) for rows in venues.values() for row in rows if row.start_ns == one.start_ns
        }
    history = History("spot", "BTC/USDT", NS_PER_MINUTE, names, found, 1)
    assert codec.decode_bars(codec.encode(history)) == history


def test_no_more_windows_are_asked_for_than_are_of_use():
    assert windows_wanted(6, NS_PER_MINUTE) == 360
    assert windows_wanted(6, NS_PER_SECOND) == windows_wanted(168, NS_PER_MINUTE) == WINDOWS_MAX
    assert windows_wanted(0, NS_PER_SECOND) == 0


BARS = st.lists(st.tuples(st.integers(-1, FILLED_MAX + 3), st.booleans()), max_size=90)


@given(BARS)
def test_a_run_begins_anew_exactly_where_a_book_does(steps):
    """Whatever is missing, quiet or comes twice; and it is warm exactly when the book is."""
    run, book, number = Run(NS_PER_MINUTE), Book(SETS), 0
    for step, is_quiet in steps:
        number += step
        one = bar(number, None if is_quiet else 100 + number % 7)
        begins = run.take(one)
        found = taken(book, one, {})
        is_new = book.last_ns is not None and found is not None
        assert begins == (is_new and book.seen == 1)
        assert run.last_ns == book.last_ns
        assert run.is_warm == book.is_warm


@given(st.integers(0, 2**32), st.integers(0, 8), st.booleans())
def test_history_and_live_bars_are_as_one_series(seed, live_before, is_whole):
    """As if the book had seen it all in order: the first live bar, which lacks trades, is replaced, and no other."""
    draw = random.Random(seed)
    closes = [100 * (1 + draw.gauss(0, 0.01)) for _ in range(430)]
    quality = "complete" if is_whole else "gap"
    first = 400
    history = [kline(at, *[repr(closes[at])] * 4, 10) for at in range(first + 1)]
    live = [bar(first, 90 if not is_whole else closes[first], quality=quality)]
    live += [bar(at, closes[at]) for at in range(first + 1, 430)]

    rolling = Rolling(BASE)
    vectors = [rolling.take(one) for one in live[: live_before + 1]]
    assert not any(one.sets["base"].is_ready for one in vectors)
    assert rolling.learn(History("spot", "BTC/USDT", NS_PER_MINUTE, ["okx"], history, 1))
    assert not rolling.learn(History("spot", "BTC/USDT", NS_PER_MINUTE, ["okx"], history, 1))
    vectors = [rolling.take(one) for one in live[live_before + 1 :]]

    book = Book(BASE)
    for one in history[: first + (not is_whole)]:
        book.take(one.start_ns, candle_of_kline(one))
    expected = [taken(book, one, {}) for one in live[0 if is_whole else 1 :]]
    assert [one.sets["base"] for one in vectors] == [values[0] for values in expected[-len(vectors) :]]
    assert all(one.sets["base"].is_ready for one in vectors)


def history_of(numbers):
    return History("spot", "BTC/USDT", NS_PER_MINUTE, ["okx"], [kline(at, 1, 1, 1, 1, 1) for at in numbers], 1)


LOGS = [
    ("nothing but the bar itself", [bar(100, 1)], False),
    ("enough bars before it", [bar(at, 1) for at in range(40, 101)], True),
    ("one bar too few", [bar(at, 1) for at in range(41, 101)], False),
    ("enough bars, with a hole that is filled", [bar(at, 1) for at in [*range(40, 60), *range(65, 101)]], True),
    ("enough bars, then too large a hole", [bar(at, 1) for at in [*range(90), *range(97, 101)]], False),
    ("few bars and their history", [bar(99, 1), history_of(range(50, 100)), bar(100, 1)], True),
    ("few bars and a history that was read late", [bar(100, 1), bar(101, 1), history_of(range(50, 102))], True),
    ("the history of what was before a hole", [bar(5, 1), history_of(range(6)), bar(99, 1), bar(100, 1)], False),
    ("a history without candles", [bar(100, 1), history_of([])], False),
    ("bars of a venue", [msgspec.structs.replace(bar(at, 1), venue="okx") for at in range(101)], False),
    ("bars of another size", [msgspec.structs.replace(bar(at, 1), size_ns=NS_PER_SECOND) for at in range(101)], False),
    ("bars that came after it", [bar(100, 1), *(bar(at, 1) for at in range(101, 180))], False),
]


@pytest.mark.parametrize(("name", "records", "is_known"), LOGS, ids=[name for name, *_ in LOGS])
def test_a_bar_is_known_to_go_on_by_what_the_log_has(name, records, is_known):
    before = Before(BEGIN_NS + 100 * NS_PER_MINUTE, NS_PER_MINUTE)
    for one in records:
        before.take(one)
    assert before.is_known() is is_known
