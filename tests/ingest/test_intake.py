"""Ingest's input: what is believed, what is set aside, and that nothing good goes with it."""

from decimal import Decimal

import pytest
from bybit_rows import BTC, LINE, NOW_NS, SECOND_NS, frame, live_intake, row, took
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.codec import encode
from sofia_streams.core.feeds.tape import Tape
from sofia_streams.errors import UnknownSymbol
from sofia_streams.ingest.intake import Intake
from sofia_streams.ingest.line import Line
from sofia_streams.ingest.names import Names
from sofia_streams.model import Punctuation, Quarantined, Ticker, Trade, TradeBatch
from sofia_streams.venues.registry import VENUES


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


def test_an_instrument_whose_first_trade_comes_while_punctuation_is_written_disturbs_nothing():
    """Writing waits for the log now and then, and frames are taken meanwhile."""
    intake = live_intake()
    took(intake, row(1), row(1, symbol="ETHUSDT"))
    now_ns, said = NOW_NS + 10 * SECOND_NS, []
    intake.take(LINE, b'{"op":"pong"}', now_ns)
    for record in intake.tick(now_ns):
        said.append(record.symbol)
        assert took(intake, row(len(said), symbol="SOLUSDT", at_ns=now_ns), now_ns=now_ns)[0]
    assert said == ["BTC/USDT", "ETH/USDT"]


def test_a_silent_connection_says_nothing_about_quiet_seconds():
    intake = live_intake()
    took(intake, row(1))
    (said,) = [record for record in intake.tick(NOW_NS + 36 * SECOND_NS) if isinstance(record, Punctuation)]
    assert said.exchange_ns == NOW_NS - SECOND_NS  # what the trade itself says


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
