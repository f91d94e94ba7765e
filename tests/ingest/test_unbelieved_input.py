"""Times and prices that ingest does not believe: set aside, and never the measure of what comes after them."""

from decimal import Decimal

import pytest
from bybit_rows import BTC, DAY_NS, LINE, NOW_NS, SECOND_NS, frame, live_intake, row, took
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.codec import encode
from sofia_streams.core.feeds.plausible import AGREEING, PriceGuard
from sofia_streams.ingest.intake import Intake
from sofia_streams.ingest.line import Line
from sofia_streams.model import Quarantined, Ticker, Trade, TradeBatch


@pytest.mark.parametrize(
    ("age_ns", "is_taken"),
    [
        (0, True),
        (-60 * SECOND_NS, True),
        (-61 * SECOND_NS, False),
        (30 * DAY_NS, True),
        (30 * DAY_NS + SECOND_NS, False),
        (NOW_NS - SECOND_NS, False),  # seconds sent as milliseconds, or the other way round: 1970
    ],
)
def test_a_time_that_is_far_from_the_receipt_is_not_believed(age_ns, is_taken):
    ids, reasons = took(live_intake(), row(1, at_ns=NOW_NS - age_ns), row(2))
    assert ("1" in ids) is is_taken
    assert bool(reasons) is not is_taken
    assert "2" in ids


def test_prints_that_are_ahead_never_make_room_for_others_that_are_further_ahead():
    """Each step is within 60 s of the one before, and stays for ten seconds, as if it were the venue's clock."""
    intake, taken = live_intake(), []
    for step, ahead_s in enumerate((0, 55, 110, 165, 220)):
        for second in range(10):
            now_ns = NOW_NS + (step * 10 + second) * SECOND_NS
            ids, reasons = took(intake, row(ahead_s * 100 + second, at_ns=now_ns + ahead_s * SECOND_NS), now_ns=now_ns)
            taken += [ahead_s] * len(ids)
            assert ids or f"{ahead_s} s ahead of our clock" in reasons[0]
    assert taken == [0] * 10 + [55] * 10


def test_a_guessed_unit_of_time_is_checked_against_the_receipt():
    line = Line("binance", "spot", "binance-0.1")
    for wrong in (NOW_NS // 10**9, NOW_NS // 10**9 * 10**5, 10**14 - 1, 10**14):
        data = f'{{"stream":"btcusdt@trade","data":{{"e":"trade","E":1,"s":"BTCUSDT","t":1,"p":"5","q":"7","T":{wrong},'
        records, _ = Intake().take(line, data.encode() + b'"m":true,"M":true}}', NOW_NS)
        assert [type(record) for record in records] == [Quarantined]


def test_history_may_be_older_but_not_of_another_age():
    intake = Intake()
    intake.requested(LINE, NOW_NS)
    (batch,), _ = intake.take(LINE, frame(row(1, at_ns=NOW_NS - 400 * DAY_NS)), NOW_NS)
    assert [trade.snapshot for trade in batch.trades] == [True]
    other = Line("bybit", "spot", "bybit-0.2")
    intake.requested(other, NOW_NS)
    ids, (reason,) = took(intake, row(2, at_ns=NOW_NS - 4_000 * DAY_NS), line=other)
    assert ids == []
    assert "ten years" in reason


@pytest.mark.parametrize(
    ("price", "is_taken"),
    [("100000", True), ("100000.01", False), ("0.1", True), ("0.09", False), ("100000000", False)],
)
def test_a_price_a_thousand_times_off_is_not_believed(price, is_taken):
    intake = live_intake()
    ids, reasons = took(intake, row(1), row(2, price), row(3))
    assert ids == (["1", "2", "3"] if is_taken else ["1", "3"])
    assert bool(reasons) is not is_taken
    assert intake.summary()[BTC].get("refused", 0) == int(not is_taken)


def test_a_refused_price_never_becomes_the_measure_and_is_not_counted_as_a_trade():
    intake = live_intake()
    took(intake, row(1))
    for _ in range(50):
        assert took(intake, row(2, "100000000"))[0] == []  # the same print again is no second witness
    assert took(intake, row(3, "101"))[0] == ["3"]
    assert intake.summary()[BTC]["trades"] == 2


def test_a_market_that_really_moved_is_believed_after_ten_prints_that_agree():
    intake = live_intake()
    took(intake, row(0))
    taken = [took(intake, row(number, f"{number}000000"))[0] for number in range(1, 15)]
    assert taken[:AGREEING] == [[]] * AGREEING
    assert taken[AGREEING:] == [[str(number)] for number in range(AGREEING + 1, 15)]


def test_prints_that_contradict_each_other_are_never_believed():
    intake = live_intake()
    took(intake, row(0))
    for number in range(1, 40):
        assert took(intake, row(number, "100000000000" if number % 2 else "0.00001"))[0] == []


@given(st.lists(st.decimals("0.00000001", "99999999999", places=8), max_size=60))
def test_a_guard_always_comes_round_to_a_steady_price(odd):
    guard = PriceGuard()
    for number, price in enumerate(odd):
        guard.trouble(price, f"odd{number}")
    troubles = [guard.trouble(Decimal("5"), str(number)) for number in range(AGREEING + 1)]
    assert troubles[-1] is None
    assert guard.last == Decimal("5")


def test_a_price_is_measured_by_the_end_of_the_log_after_a_restart():
    intake = live_intake()
    old = Trade("1", Decimal("100"), Decimal("1"), "buy", NOW_NS, 2048)
    intake.remember(TradeBatch("bybit", "spot", "BTC/USDT", NOW_NS, "bybit-0.1", [old]))
    assert took(intake, row(2, "100000000"))[0] == []
    assert took(intake, row(1))[0] == []  # it stands in the log
    assert took(intake, row(3))[0] == ["3"]
    assert intake.summary()[BTC]["trades"] == 1
    assert intake.summary()[BTC]["duplicates"] == 1


def test_a_ticker_a_thousand_times_off_is_set_aside():
    intake = live_intake()
    for number, last in enumerate(("100", "100000001", "101"), 1):
        data = {"topic": "tickers.BTCUSDT", "ts": NOW_NS // 10**6, "data": {"symbol": "BTCUSDT", "lastPrice": last}}
        records, _ = intake.take(LINE, encode(data), NOW_NS + number * SECOND_NS)
        assert isinstance(records[0], Quarantined if number == 2 else Ticker)
