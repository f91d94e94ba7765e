"""Ingest's input: what is believed, what is set aside, and that nothing good goes with it."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.codec import encode
from sofia_streams.core.plausible import AGREEING, PriceGuard
from sofia_streams.core.tape import Tape
from sofia_streams.errors import UnknownSymbol
from sofia_streams.ingest.intake import Intake, Limits
from sofia_streams.ingest.line import Line
from sofia_streams.ingest.names import Names
from sofia_streams.model import Punctuation, Quarantined, Ticker, Trade, TradeBatch
from sofia_streams.venues.registry import VENUES

NOW_NS = 1_786_310_819_000_000_000
SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
LINE = Line("bybit", "spot", "bybit-0.1", "bybit-0")
BTC = "bybit|spot|BTC/USDT"


def row(number, price="100", *, symbol="BTCUSDT", at_ns=NOW_NS, size="1"):
    return {
        "T": at_ns // 1_000_000, "s": symbol, "S": "Buy", "v": size, "p": price, "i": str(number), "BT": False,
        "RPI": False, "seq": number,
    }  # fmt: skip


def frame(*rows):
    return encode({"topic": f"publicTrade.{rows[0]['s']}", "type": "snapshot", "ts": NOW_NS // 10**6, "data": [*rows]})


def took(intake, *rows, now_ns=NOW_NS, line=LINE):
    """The ids that were taken, and the reasons of what was set aside."""
    records, _ = intake.take(line, frame(*rows), now_ns)
    ids = [trade.trade_id for record in records if isinstance(record, TradeBatch) for trade in record.trades]
    return ids, [record.reason for record in records if isinstance(record, Quarantined)]


def live_intake(names=None):
    """One whose connection has begun, so that nothing is history any more."""
    intake = Intake(Limits(), names or Names())
    intake.requested(LINE, 1)
    return intake


def test_a_bad_row_is_set_aside_with_its_frame_and_the_good_ones_are_taken():
    intake = live_intake()
    ids, (reason,) = took(intake, row(1), row(2, "NaN"), row(3))
    assert ids == ["1", "3"]
    assert reason.startswith("row 2 of 3: expected plain decimal digits")
    assert intake.summary()["bybit"] == {"frames": 1, "quarantined": 1, "parse_errors": 1, "refused": 1}


def test_an_unknown_name_does_not_cost_the_other_names_of_the_frame():
    intake = live_intake()
    ids, (reason,) = took(intake, row(1, symbol="ZZZ"), row(2), row(3, symbol="???"))
    assert ids == ["2"]
    assert "'ZZZ'" in reason
    assert "'???'" in reason


def test_a_name_of_a_million_characters_is_refused():
    ids, (reason,) = took(live_intake(), row(1, symbol="X" * 1_000_000 + "USDT"))
    assert ids == []
    assert len(reason) < 500


def test_live_refuses_a_name_that_could_be_split_in_several_ways():
    ids, (reason,) = took(live_intake(Names(guesses=False)), row(1, symbol="ABCUSDTBTC"), row(2))
    assert ids == ["2"]
    assert "SYMBOL_OVERRIDES" in reason


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


def test_ids_that_begin_again_at_one_are_new_trades_and_counted_as_a_new_epoch():
    intake = live_intake()
    assert took(intake, *[row(number) for number in range(1, 200)])[0][-1] == "199"
    later_ns = NOW_NS + 5 * SECOND_NS
    assert took(intake, *[row(number, at_ns=later_ns) for number in range(1, 50)], now_ns=later_ns)[0][0] == "1"
    summary = intake.summary()[BTC]
    assert (summary["trades"], summary["duplicates"], summary["id_restarts"]) == (248, 0, 1)


def test_the_same_ids_on_another_symbol_are_other_trades():
    intake = live_intake()
    assert took(intake, row(1), row(1, symbol="ETHUSDT"))[0] == ["1", "1"]
    assert took(intake, row(1), row(1, symbol="ETHUSDT"))[0] == []


def test_repeated_and_shuffled_frames_give_each_trade_once():
    intake = live_intake()
    frames = [[row(number), row(number + 1)] for number in range(1, 300, 2)]
    order = [*frames, *reversed(frames), *frames[::3]]
    ids = [one for rows in order for one in took(intake, *rows)[0]]
    assert sorted(map(int, ids)) == list(range(1, 301))
    assert intake.summary()[BTC]["duplicates"] == 2 * (len(order) - len(frames))


def test_old_trades_are_marked_stale_and_trades_of_a_passed_second_count_as_late():
    intake = live_intake()
    took(intake, row(1))
    records, _ = intake.take(LINE, frame(row(2, at_ns=NOW_NS - 16 * SECOND_NS)), NOW_NS)
    assert [trade.stale for record in records for trade in record.trades] == [True]
    took(intake, row(3, at_ns=NOW_NS - SECOND_NS // 2))
    summary = intake.summary()[BTC]
    assert (summary["stale"], summary["late"], summary["trades"]) == (1, 1, 3)


def test_a_quiet_second_is_punctuated_and_what_comes_after_it_is_late():
    intake = live_intake()
    took(intake, row(1))
    now_ns = NOW_NS + 10 * SECOND_NS
    intake.take(LINE, b'{"op":"pong"}', now_ns)
    (said,) = [record for record in intake.tick(now_ns) if isinstance(record, Punctuation)]
    assert said.alive
    assert said.exchange_ns == now_ns - 2 * SECOND_NS
    took(intake, row(2, at_ns=said.exchange_ns - SECOND_NS), now_ns=now_ns)
    assert intake.summary()[BTC]["late"] == 1


def test_a_silent_connection_says_nothing_about_quiet_seconds():
    intake = live_intake()
    took(intake, row(1))
    assert not [record for record in intake.tick(NOW_NS + 36 * SECOND_NS) if isinstance(record, Punctuation)]


def ticker(intake, side, number, kind="delta"):
    data = {"s": "BTCUSDT", "b": [], "a": [], "u": number, "seq": number} | side
    record = {"topic": "orderbook.1.BTCUSDT", "type": kind, "ts": NOW_NS // 10**6, "data": data}
    records, _ = intake.take(LINE, encode(record), NOW_NS + number * SECOND_NS)
    return records


def test_a_best_bid_that_was_deleted_does_not_stand_for_ever():
    intake = live_intake()
    (first,) = ticker(intake, {"b": [["99", "1"]], "a": [["101", "2"]]}, 1, "snapshot")
    assert isinstance(first, Ticker)
    assert (first.bid, first.ask) == (Decimal("99"), Decimal("101"))
    (second,) = ticker(intake, {"b": [["99", "0"]]}, 2)
    assert (second.bid, second.bid_quantity, second.ask) == (None, None, Decimal("101"))
    (third,) = ticker(intake, {"b": [["99", "0"], ["98", "3"]]}, 3)
    assert (third.bid, third.bid_quantity) == (Decimal("98"), Decimal("3"))


def test_a_ticker_a_thousand_times_off_is_set_aside():
    intake = live_intake()
    for number, last in enumerate(("100", "100000001", "101"), 1):
        data = {"topic": "tickers.BTCUSDT", "ts": NOW_NS // 10**6, "data": {"symbol": "BTCUSDT", "lastPrice": last}}
        records, _ = intake.take(LINE, encode(data), NOW_NS + number * SECOND_NS)
        assert isinstance(records[0], Quarantined if number == 2 else Ticker)


def test_what_the_connection_could_not_take_is_a_quarantined_record():
    found = Intake().refused(LINE, "too large", NOW_NS)
    assert isinstance(found, Quarantined)
    assert found.reason == "too large"
    assert found.source == "bybit|spot|bybit-0.1"


prints = st.tuples(st.integers(1, 40), st.sampled_from(("trade", "agg")), st.booleans(), st.integers(0, 2))


@given(st.lists(st.lists(prints, max_size=8), max_size=40), st.integers(30, 500))
def test_any_sequence_gives_each_identity_once_and_once_more_when_it_comes_live_after_history(frames, ids_max):
    tape, expected = Tape(ids_max), {}
    for rows in frames:
        trades = [
            Trade(str(number), Decimal(1), Decimal(1), "buy", at * 10**6, number, kind, snapshot)
            for number, kind, snapshot, at in rows
        ]
        admitted = tape.admit(trades)
        wanted = []
        for trade in trades:
            name = (trade.id_kind, trade.trade_id, trade.exchange_ns)
            if name not in expected or (expected[name] and not trade.snapshot):
                wanted.append(trade)
                expected[name] = trade.snapshot
        if len(expected) <= ids_max:  # nothing had to be forgotten yet
            assert admitted == wanted
            assert (tape.total, tape.snapshots) == (len(expected), sum(expected.values()))
        assert len(tape) <= max(ids_max, 0)


def test_priming_remembers_without_counting():
    tape = Tape()
    trade = Trade("1", Decimal(1), Decimal(1), "buy", 10**6, 1)
    tape.prime([trade])
    assert (tape.total, tape.admit([trade])) == (0, [])


def test_a_name_of_another_book_is_said_by_the_venue_itself():
    names = Names()
    assert names.listing("coinbase", "spot", "BTC/USDC") == "BTC-USDC"
    assert VENUES["coinbase"].sent_as("BTC-USDC") == "BTC-USD"
    assert VENUES["coinbase"].sent_as("ETH-BTC") == "ETH-BTC"
    assert names.unified("coinbase", "spot", "BTC-USD") == "BTC/USD"
    assert VENUES["binance"].sent_as("BTCUSDC") == "BTCUSDC"


@pytest.mark.parametrize("listing", ["", "A" * 41, "BTC\nUSDT", "\x00"])
def test_a_name_that_is_no_name_is_refused(listing):
    with pytest.raises(UnknownSymbol):
        Names().unified("bybit", "spot", listing)


def test_prints_that_share_time_and_sequence_over_several_frames_are_in_order_of_arrival():
    intake, trades = live_intake(), []
    sweeps = [["z", "b", "c"], ["a"], ["y"]]
    for names in sweeps:
        records, _ = intake.take(LINE, frame(*({**row(7), "i": name} for name in names)), NOW_NS)
        trades += [trade for record in records if isinstance(record, TradeBatch) for trade in record.trades]
    ordered = sorted(trades, key=lambda trade: (trade.exchange_ns, trade.order))
    assert [trade.trade_id for trade in ordered] == ["z", "b", "c", "a", "y"]
    assert len({trade.order for trade in trades}) == len(trades)


def test_prints_of_different_sequences_keep_the_venues_order_however_they_come():
    intake, trades = live_intake(), []
    for number in (9, 7, 8):
        records, _ = intake.take(LINE, frame(row(number)), NOW_NS)
        trades += [trade for record in records if isinstance(record, TradeBatch) for trade in record.trades]
    assert [trade.trade_id for trade in sorted(trades, key=lambda trade: trade.order)] == ["7", "8", "9"]


def test_a_contract_on_a_spot_connection_is_set_aside():
    line = Line("okx", "spot", "okx-0.1", "okx-0")
    at_ms = str(NOW_NS // 10**6)
    data = {"instId": "BTC-USDT-SWAP", "tradeId": "1", "px": "1", "sz": "500", "side": "buy", "ts": at_ms}
    records, _ = live_intake().take(line, encode({"arg": {"channel": "trades"}, "data": [data]}), NOW_NS)
    assert [type(record) for record in records] == [Quarantined]
