"""The set of trade ids against Python's own set."""

from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.core.feeds.ids import IdSet

IDS = st.integers(0, 60).map(str) | st.sampled_from(["007", "a1", "20f43950-d8dd", "１"])


@given(st.lists(st.sets(IDS, max_size=8), max_size=8), IDS)
def test_it_holds_what_a_set_holds(parts, probe):
    ids, model = IdSet(), set()
    for part in parts:
        ids, model = ids.union(part), model | part
    assert len(ids) == len(model)
    assert (probe in ids) == (probe in model)
    assert all(trade_id in ids for trade_id in model)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), max_size=12))
def test_ranges_in_any_order_hold_what_a_set_holds_in_as_few_ranges_as_can_be(spans):
    ids, model = IdSet([], ["a1"]), set()
    for first, more in spans:
        ids, model = ids.union_range(first, first + more), model | {*range(first, first + more + 1)}
    assert {number for number in range(80) if str(number) in ids} == model
    assert ids == IdSet().union([*map(str, model), "a1"])


def test_consecutive_numbers_take_the_room_of_one():
    ids = IdSet().union({str(number) for number in range(10_000, 15_000)}).union({"15000", "9999"})
    assert ids.ranges == [9_999, 15_000]
