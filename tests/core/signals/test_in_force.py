"""Which model is in force by the activations in the log, and that what a row forgets of them is never needed."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from signal_bars import BEGIN_NS, activation

from sofia_streams import codec
from sofia_streams.core.signals.in_force import (
    ChosenRow,
    cancelled_by,
    chosen_key,
    in_force,
    with_activation,
    with_refusal,
)
from sofia_streams.model import NS_PER_MINUTE
from sofia_streams.scored import Refusal


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
    assert len(row.activations) <= 65
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


def rows_of(said):
    row = ChosenRow()
    for one in said:
        row = with_activation(row, one)
    return row


@given(st.lists(st.tuples(st.sampled_from("abc"), MINUTES, MINUTES), max_size=12), st.randoms(use_true_random=False))
def test_neighbours_that_change_places_change_nothing(all_said, random):
    """Several are said at one moment from several machines, and stand in another order in each partition of `bars`."""
    said_in_order = [
        msgspec.structs.replace(activation(name, from_minute, serial), said_ns=at_ns(minute) + serial % 2)
        for serial, (name, from_minute, minute) in enumerate(sorted(all_said, key=lambda one: one[2]))
    ]
    swapped = [*said_in_order]
    for at in range(0, len(swapped) - 1, 2):
        if random.random() < 0.7:
            swapped[at : at + 2] = reversed(swapped[at : at + 2])
    expected = rows_of(sorted(said_in_order, key=lambda one: (one.said_ns, one.activation_id)))
    assert rows_of(said_in_order) == rows_of(swapped) == expected


@pytest.mark.parametrize("is_swapped", [False, True])
@pytest.mark.parametrize("refused", [None, "two@2", "one@1"])
def test_of_two_that_are_said_at_once_the_later_one_holds_in_every_partition(is_swapped, refused):
    """Also where it is refused, and where no other was before them."""
    both = [activation("one", 0, 1), activation("two", 0, 2)]
    row = rows_of(both[::-1] if is_swapped else both)
    assert in_force(row if refused is None else with_refusal(row, refused), BEGIN_NS).model_id == (
        "one" if refused == "two@2" else "two"
    )


def test_rows_of_an_earlier_version_can_be_read_and_go_on():
    both = [activation("one", 0, 1), activation("two", 0, 2)]
    kept = ["chosen", [msgspec.to_builtins(one) for one in both], ["two@2"]]
    row = codec.decode_row(msgspec.json.encode(kept))
    assert row == ChosenRow(both, ["two@2"])
    assert in_force(with_activation(row, activation("three", 5, 3)), BEGIN_NS).model_id == "one"


def test_however_many_are_to_begin_later_the_one_in_force_stays():
    row = with_activation(ChosenRow(), said("now", 0, 0))
    for number in range(100):
        row = with_activation(row, said(f"model{number}", 10_000 + number, 1 + number // 10))
    assert in_force(row, at_ns(9_000)).model_id == "now"
    assert in_force(row, at_ns(10_099)).model_id == "model99"
    assert len(row.activations) == 65
    row = with_activation(row, said("then", 200, 200))
    assert in_force(row, at_ns(20_000)).model_id == "then"


@pytest.mark.parametrize(
    ("from_minute", "names"),
    [
        (200, ["noon", "evening"]),  # now
        (1_000, ["noon", "evening"]),
        (1_001, ["evening"]),  # noon begins before it
        (2_001, []),
    ],
)
def test_what_was_to_begin_later_is_cancelled_by_what_is_said_later_and_named(from_minute, names):
    before = [said("now", 0, 0), said("never", 3_000, 100), said("noon", 1_000, 101), said("evening", 2_000, 102)]
    new = said("new", from_minute, 200)
    assert [one.model_id for one in cancelled_by(new, [*before, new])] == names
    row = rows_of([*before, new])
    found = [in_force(row, at_ns(minute)).model_id for minute in (999, 1_000, 5_000)]
    assert found == ["new" if from_minute < 999 else "now", "noon" if "noon" not in names else "new", "new"]


def test_one_that_was_refused_cancels_nothing_and_is_not_cancelled():
    before = [said("later", 2_000, 10), said("lost", 50, 20)]
    refusal = Refusal(before[1].activation_id, "lost", "signals", "no such file", 0)
    assert [one.model_id for one in cancelled_by(said("new", 60, 60), [*before, refusal])] == ["later"]
    assert cancelled_by(said("new", 60, 60), before) == []
