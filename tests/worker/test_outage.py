"""When a store is left, what its fallback took, and who fills it: the pure part of failover."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.model import Outage
from sofia_streams.worker.outage import NOTHING, TAKEN_UP, Patience, span_of, take_up

PLACES = st.sampled_from(["trades/0", "trades/1", "bars/0"])
OFFSETS = st.lists(st.tuples(PLACES, st.integers(0, 50)), max_size=30)


def outage(first: dict[str, int], last: dict[str, int] | None = None, state: str = "open") -> Outage:
    return Outage("a:1", "questdb", state, 5, 6, first, last or {}, 7)


def test_a_store_is_left_after_it_has_failed_without_a_break():
    patience = Patience(3.0)
    assert not patience.failed(10.0, 10.0)
    assert not patience.failed(12.0, 12.9)
    patience.worked()
    assert not patience.failed(13.0, 15.9)
    assert patience.failed(15.9, 16.0)


def test_a_write_that_hung_counts_from_its_beginning():
    assert Patience(3.0).failed(10.0, 20.0)


@given(OFFSETS, OFFSETS)
def test_a_span_holds_every_offset_and_no_more_than_it_must(one, other):
    joined = span_of(one).joined(span_of(other))
    assert joined == span_of([*one, *other])
    for place in {place for place, _ in (*one, *other)}:
        offsets = [offset for at, offset in (*one, *other) if at == place]
        assert (joined.first[place], joined.last[place]) == (min(offsets), max(offsets))
    assert NOTHING.joined(joined) == joined


@given(st.dictionaries(PLACES, st.integers(0, 50)), st.sets(PLACES), st.dictionaries(PLACES, st.integers(0, 99)))
def test_every_record_that_rests_on_the_fallback_is_in_what_is_taken_up_or_left(first, assigned, committed):
    taken = take_up(outage(first), assigned, committed, 9)
    resting = {(p, at) for p, start in first.items() for at in range(start, committed.get(p, 0))}
    if taken is None:
        assert not assigned & first.keys()
        return
    filled = {(p, at) for p in taken.hole.first for at in range(taken.hole.first[p], taken.hole.last[p] + 1)}
    assert filled == {(place, at) for place, at in resting if place in assigned}
    assert taken.left.first == {place: at for place, at in first.items() if place not in assigned}
    assert taken.left.state == ("open" if taken.left.first else "closed")
    assert (taken.left.outage_id, taken.left.opened_ns, taken.left.detail) == ("a:1", 5, TAKEN_UP)


def test_of_an_outage_whose_end_is_said_no_more_is_taken_up():
    taken = take_up(outage({"t/0": 3}, {"t/0": 8}, "filling"), {"t/0"}, {"t/0": 100}, 9)
    assert taken is not None
    assert (taken.hole.first, taken.hole.last) == ({"t/0": 3}, {"t/0": 8})


@pytest.mark.parametrize("committed", [{}, {"t/0": 3}])
def test_where_nothing_was_acknowledged_there_is_nothing_to_fill(committed):
    taken = take_up(outage({"t/0": 3}), {"t/0"}, committed, 9)
    assert taken is not None
    assert (taken.hole, taken.left.state) == (NOTHING, "closed")


def test_a_closed_outage_and_places_of_others_are_left_alone():
    assert take_up(msgspec.structs.replace(outage({"t/0": 3}), state="closed"), {"t/0"}, {"t/0": 9}, 9) is None
    assert take_up(outage({"t/0": 3}), {"t/1"}, {"t/0": 9}, 9) is None
