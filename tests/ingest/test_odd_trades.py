"""Trades that cannot be true, times at the edges of calendars, numbers that begin again: from the frame to the log."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages import BEGIN_NS, S, message

from sofia_streams.core.bars.ohlcv import window_start_ns
from sofia_streams.ingest.intake import Intake
from sofia_streams.ingest.line import Line
from sofia_streams.model import NS_PER_MINUTE, Gap, Quarantined, TradeBatch
from sofia_streams.venues.coinbase.times import ns_from_iso
from sofia_streams.venues.fields import ns_from_ms, ns_from_ms_or_us
from sofia_streams.venues.registry import VENUES

NAMES = {
    "binance": {"price": "p", "size": "q", "side": "m", "symbol": "s", "id": "t", "time": "T"},
    "okx": {"price": "px", "size": "sz", "side": "side", "symbol": "instId", "id": "tradeId", "time": "ts"},
    "coinbase": {"price": "price", "size": "size", "side": "side", "symbol": "product_id", "id": "trade_id",
                 "time": "time"},
    "bybit": {"price": "p", "size": "v", "side": "S", "symbol": "s", "id": "i", "time": "T"},
}  # fmt: skip
ETH = {"binance": "ETHUSDT", "okx": "ETH-USDT", "coinbase": "ETH-USD", "bybit": "ETHUSDT"}
COUNTING = [venue for venue in VENUES if VENUES[venue].ids_count]


class Told:
    """An intake that is told trades one by one, and what it made of them."""

    def __init__(self, venue):
        self.venue, self.intake = venue, Intake()
        self.line = Line(venue, "spot", f"{venue}-0.1", f"{venue}-0")
        self.intake.requested(self.line, 1)
        self.now_ns = BEGIN_NS
        self.records = []

    def tell(self, number, **changes):
        """A trade of now with this number; `changes` by our names, a value of None leaves the field out."""
        self.now_ns += S
        whole, row = message(self.venue, number, self.now_ns)
        for name, value in changes.items():
            field = NAMES[self.venue][name]
            row[field] = value
            if value is None:
                del row[field]
        self.records += self.intake.take(self.line, json.dumps(whole).encode(), self.now_ns)[0]
        self.records += self.intake.tick(self.now_ns)
        return self

    def ids(self, symbol="BTC"):
        batches = [one for one in self.records if isinstance(one, TradeBatch) and one.symbol.startswith(symbol)]
        return [int(trade.trade_id) for one in batches for trade in one.trades]

    def reasons(self):
        return [one.reason for one in self.records if isinstance(one, Quarantined)]

    def missing(self):
        return sum(one.missing for one in self.records if isinstance(one, Gap) and one.state == "open")


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize(
    ("changes", "rule", "count"),
    [
        ({"price": "0"}, "digits above zero", "parse_errors"),
        ({"price": "-5"}, "digits above zero", "parse_errors"),
        ({"price": "5000000"}, "within a factor of 1000", "refused"),
        ({"price": "0.000005"}, "within a factor of 1000", "refused"),
        ({"size": "0"}, "digits above zero", "parse_errors"),
        ({"size": "-7"}, "digits above zero", "parse_errors"),
        ({"side": None}, "missing required field", "parse_errors"),
        ({"symbol": "???"}, "'???'", "refused"),
    ],
)
def test_a_trade_that_cannot_be_true_is_set_aside_under_its_rule_and_its_neighbours_are_taken(
    venue, changes, rule, count
):
    told = Told(venue).tell(1).tell(2, **changes).tell(3)
    assert told.ids() == [1, 3]
    (reason,) = told.reasons()
    assert rule in reason
    summary = told.intake.summary()
    hits = summary[venue].get(count, 0) + sum(one.get(count, 0) for name, one in summary.items() if "|" in name)
    assert (hits, summary[venue]["quarantined"]) == (1, 1)


@pytest.mark.parametrize("venue", COUNTING)
@pytest.mark.parametrize(
    ("numbers", "missing", "restarts"),
    [
        ([5_000, 5_001, 1, 2, 3], 0, 1),  # begin again at one
        ([5_000, 5_001, 10**9, 10**9 + 1], 0, 0),  # leap further than any outage explains
        ([5_000, 5_001, 5_501, 5_502], 499, 0),
        ([2**62, 2**62 + 1, 1, 2, 4], 1, 1),
    ],
)
def test_ids_that_begin_again_or_leap_make_no_gap_of_a_billion(venue, numbers, missing, restarts):
    told = Told(venue)
    for number in numbers:
        told.tell(number if venue in ("binance", "coinbase") else str(number))
    told.tell(numbers[-1] + 1)
    assert told.ids() == [*numbers, numbers[-1] + 1]
    assert told.missing() == missing
    summary = [one for name, one in told.intake.summary().items() if name.startswith(f"{venue}|")]
    assert [one["id_restarts"] for one in summary] == [restarts]


@pytest.mark.parametrize("venue", COUNTING)
@pytest.mark.parametrize("odd", [5_002 + 60_000_000, 5_002 + 900_000, 5_002 + 10_000, 1, 2**62])
def test_a_single_odd_id_is_taken_and_noted_and_what_is_lost_around_it_is_found(venue, odd):
    told, numbers = Told(venue), [5_000, 5_001, odd, 5_003, 5_007]
    for number in numbers:
        told.tell(number if venue in ("binance", "coinbase") else str(number))
    told.tell(5_008)
    assert told.ids() == [*numbers, 5_008]
    gaps = [(one.first_id, one.last_id) for one in told.records if isinstance(one, Gap)]
    assert gaps == [("5002", "5002"), ("5004", "5006")]
    assert [one["odd_ids"] for name, one in told.intake.summary().items() if name.startswith(f"{venue}|")] == [1]


@pytest.mark.parametrize("venue", VENUES)
def test_the_same_ids_on_two_symbols_are_two_trades_and_no_gap(venue):
    told = Told(venue)
    for number in range(1, 30):
        told.tell(number).tell(number, symbol=ETH[venue])
    assert told.ids("BTC") == told.ids("ETH") == list(range(1, 30))
    assert told.missing() == 0


@pytest.mark.parametrize("venue", ["binance", "okx", "bybit"])
@pytest.mark.parametrize(
    ("at_ms", "is_taken"),
    [
        (lambda ms: ms, True),
        (lambda ms: ms // 1_000, False),  # seconds
        (lambda ms: ms * 1_000_000, False),  # nanoseconds
        (lambda ms: 0, False),
        (lambda ms: -ms, False),
        (lambda ms: 2**31 * 1_000, False),  # 2038-01-19, from here in the future
        (lambda ms: (2**63 - 1) // 10**6, False),  # 2262-04-11
        (lambda ms: (2**63 - 1) // 10**6 + 1, False),
        (lambda ms: 2**63, False),
    ],
)
def test_a_time_in_another_unit_or_age_is_set_aside(venue, at_ms, is_taken):
    told = Told(venue).tell(1)
    value = at_ms((told.now_ns + S) // 10**6)
    told.tell(2, time=str(value) if venue == "okx" else value).tell(3)
    assert told.ids() == ([1, 2, 3] if is_taken else [1, 3])
    assert len(told.reasons()) == (not is_taken)


@pytest.mark.parametrize(("value", "is_taken"), [(10**3, True), (10**6, False)])
def test_binance_may_send_microseconds_and_nothing_finer(value, is_taken):
    told = Told("binance").tell(1)
    told.tell(2, time=(told.now_ns + S) // 10**6 * value).tell(3)
    assert told.ids() == ([1, 2, 3] if is_taken else [1, 3])
    times = {trade.exchange_ns % S for one in told.records if isinstance(one, TradeBatch) for trade in one.trades}
    assert times == {0}


def test_the_year_2038_is_a_year_like_others_where_the_clock_says_so():
    told = Told("binance")
    told.now_ns = 2**31 * S - 3 * S
    for number in range(1, 8):
        told.tell(number)
    assert told.ids() == list(range(1, 8)) and not told.reasons()


EDGES = [
    "2024-02-29T00:00:00Z", "2028-02-29T23:59:59.999999Z", "2026-12-31T23:59:59.999999Z", "2027-01-01T00:00:00Z",
    "2038-01-19T03:14:08Z", "2026-03-08T07:00:00Z", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z",
]  # fmt: skip
"""Leap days, the end of a year, the end of 32 bits, both changes of New York's clocks."""


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("text", EDGES)
def test_a_time_at_an_edge_of_the_calendar_is_the_same_wherever_the_machine_stands(monkeypatch, zone, text):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        since = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
        assert ns_from_iso(text) == since // timedelta(microseconds=1) * 1_000
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "text", ["2016-12-31T23:59:60Z", "2016-12-31T23:59:60.500000Z", "2026-02-29T00:00:00Z", "2100-02-29T00:00:00Z",
             "2026-13-01T00:00:00Z", "2026-12-31T24:00:00Z", "2262-04-11T23:47:16.854775808Z"]
)  # fmt: skip
def test_a_leap_second_and_days_that_are_none_are_set_aside_and_never_end_a_worker(text):
    told = Told("coinbase").tell(1).tell(2, time=text).tell(3)
    assert told.ids() == [1, 3]
    (kept,) = [one for one in told.records if isinstance(one, Quarantined)]
    assert kept.reason.startswith("coinbase: expected") and text in kept.data


def test_the_last_moment_that_can_be_said_is_said():
    assert ns_from_iso("2262-04-11T23:47:16.854775807Z") == 2**63 - 1
    assert ns_from_ms((2**63 - 1) // 10**6) <= 2**63 - 1


@given(st.integers(1, 2**63 - 1))
def test_any_moment_is_in_the_minute_that_holds_it(at_ns):
    start_ns = window_start_ns(at_ns, NS_PER_MINUTE)
    assert start_ns <= at_ns < start_ns + NS_PER_MINUTE and start_ns % NS_PER_MINUTE == 0


@given(st.datetimes(datetime(1973, 4, 1), datetime(2200, 1, 1)))
def test_milliseconds_and_microseconds_of_one_moment_are_one_time(moment):
    at_us = (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    at_ms = at_us // 1_000
    assert ns_from_ms_or_us(at_us) == at_us * 1_000
    assert ns_from_ms_or_us(at_ms) == at_ms * 10**6
