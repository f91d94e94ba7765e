"""Repeated and replayed prints: what is new, what is history."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.core.feeds.tape import History, Tape
from sofia_streams.model import ParsedTrade, Trade


def trade(number: int, *, at_ns: int = 0, snapshot: bool = False, kind: str = "trade") -> Trade:
    return Trade(str(number), Decimal(1), Decimal(1), "buy", at_ns, number, kind, snapshot)


def found(number: int, at_ns: int) -> ParsedTrade:
    return ParsedTrade("BTC-USDT", trade(number, at_ns=at_ns))


def marks(history: History, *prints: ParsedTrade) -> list[bool]:
    return [one.trade.snapshot for one in history.mark(prints)]


@given(st.lists(st.lists(st.integers(0, 30))))
def test_each_print_is_admitted_once_in_order(frames):
    tape = Tape()
    admitted = [one.trade_id for frame in frames for one in tape.admit([trade(number) for number in frame])]
    assert admitted == list(dict.fromkeys(str(number) for frame in frames for number in frame))


@given(st.lists(st.integers(0, 1000)), st.integers(1, 20))
def test_the_tape_is_bounded_and_forgets_the_oldest(numbers, ids_max):
    tape = Tape(ids_max)
    for number in numbers:
        tape.admit([trade(number)])
    assert len(tape) <= ids_max


def test_kinds_are_different_spaces_of_ids():
    assert len(Tape().admit([trade(1), trade(1, kind="agg")])) == 2


def test_a_live_copy_of_history_is_new_and_history_of_a_live_print_is_not():
    tape = Tape()
    assert len(tape.admit([trade(1, snapshot=True)])) == 1
    assert len(tape.admit([trade(1, snapshot=True)])) == 0
    assert len(tape.admit([trade(1)])) == 1
    assert len(tape.admit([trade(1, snapshot=True), trade(1)])) == 0


def test_a_sink_with_one_entry_a_trade_takes_a_print_once():
    tape = Tape()
    assert len(tape.distinct([trade(1, snapshot=True)])) == 1
    assert len(tape.distinct([trade(1), trade(2)])) == 1


def test_only_the_first_frame_of_an_instrument_may_be_history():
    history = History("okx")
    history.requested(100)
    history.requested(500)
    assert marks(history, found(1, 99), found(2, 100)) == [True, False]
    assert marks(history, found(3, 50)) == [False]
    assert marks(history, found(1, 99)) == [True]


def test_venues_that_replay_nothing_are_left_alone():
    history = History("binance", 100)
    assert marks(history, found(1, 5)) == [False]
