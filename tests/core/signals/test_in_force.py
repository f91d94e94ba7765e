"""Which model is in force by the activations in the log, and that what a row forgets of them is never needed."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from signal_bars import BEGIN_NS, activation

from sofia_streams import codec
from sofia_streams.core.signals.in_force import ChosenRow, chosen_key, in_force, with_activation, with_refusal
from sofia_streams.model import NS_PER_MINUTE


def at_ns(minute):
    return BEGIN_NS + minute * NS_PER_MINUTE


def said(name, from_minute, minute):
    """Said in that minute, to begin at `from_minute`."""
    return msgspec.structs.replace(activation(name, from_minute, minute), said_ns=at_ns(minute))


MINUTES = st.integers(0, 300)


@given(st.lists(st.tuples(st.sampled_from("abc"), MINUTES, MINUTES), max_size=90), MINUTES)
def test_what_is_kept_of_activations_never_changes_which_is_in_force(all_said, end):
    """Of any bar that ends at most an hour before the latest moment that an activation both names and is behind.

    They are said in the order of the log; and all of them may be read again from its beginning.
    """
    everything, row = [], ChosenRow()
    for serial, (name, from_minute, minute) in enumerate(sorted(all_said, key=lambda one: one[2])):
        one = msgspec.structs.replace(activation(name, from_minute, serial), said_ns=at_ns(minute) + serial)
        everything.append(one)
        row = with_activation(row, one)
        assert with_activation(row, one) == row
    assert len(row.activations) <= 64
    begun = [one for one in everything[-64:] if one.from_ns <= at_ns(end)]
    if begun and end >= max(min(from_minute, minute) for _, from_minute, minute in all_said) - 60:
        assert in_force(row, at_ns(end)) == begun[-1]
    for one in everything:
        assert with_activation(row, one) == row


def test_a_refused_activation_is_passed_over():
    row = with_activation(with_activation(ChosenRow(), activation("one", 0, 1)), activation("two", 0, 2))
    assert in_force(row, BEGIN_NS).model_id == "two"
    assert in_force(with_refusal(row, "two@2"), BEGIN_NS).model_id == "one"
    assert chosen_key(3) == "models/3"
    assert isinstance(codec.decode_row(codec.encode(row)), ChosenRow)


def test_those_that_are_to_begin_later_do_not_end_the_one_in_force():
    row = ChosenRow()
    for one in (said("one", 0, 0), said("two", 1_000, 100), said("three", 2_000, 101)):
        row = with_activation(row, one)
    found = [in_force(row, at_ns(minute)) for minute in (102, 999, 1_000, 2_000)]
    assert [one.model_id for one in found] == ["one", "one", "two", "three"]


@pytest.mark.parametrize("between", [0, 1, 3])
def test_the_last_one_that_could_be_loaded_stays_however_many_are_refused(between):
    row = with_activation(ChosenRow(), said("one", 0, 0))
    for number in range(1, between + 2):
        new = said("two", 120 * number, 120 * number)
        row = with_refusal(with_activation(row, new), new.activation_id)
    assert in_force(row, at_ns(1_000)).model_id == "one"


def test_those_that_were_replaced_long_ago_are_forgotten():
    row = ChosenRow()
    for number in range(40):
        row = with_activation(row, said(f"model{number}", 120 * number, 120 * number))
    assert len(row.activations) == 2
