"""Missing trade ids: exactly those that did not come, each once, whatever the order, the counts and the repetitions."""

from decimal import Decimal

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sofia_streams.core.feeds.gaps import (
    AGREEING,
    DECLARED_MAX,
    GRACE_NS,
    JUMP_MAX,
    LEAP_MAX,
    SUSPECTED_MAX,
    Declared,
    IdLine,
    Missing,
    without,
)
from sofia_streams.core.feeds.ids import IdSet
from sofia_streams.model import NS_PER_SECOND, Trade

STEP_NS = 10_000_000
LATER_NS = 10**18


def trade(number, at_ns=0, *, count=1, snapshot=False, backfilled=False):
    return Trade(
        str(number), Decimal(1), Decimal(1), "buy", at_ns, number, snapshot=snapshot, count=count, backfilled=backfilled
    )


def ids_of(found):
    return [number for one in found for number in range(one.first_id, one.last_id + 1)]


class Run:
    """A line fed in order of arrival, and what it said on the way and at the end."""

    def __init__(self, arrivals, line=None):
        self.line, self.said = line or IdLine(), []
        for at_ns, found in sorted(arrivals, key=lambda one: one[0]):
            self.said += self.line.due(at_ns)
            self.line.saw(found, found.order, at_ns)
            self.said += self.line.due(at_ns)
        self.said += self.line.due(LATER_NS)


@st.composite
def feeds(draw, first_max=10**10):
    """(arrivals, dropped ids): prints with counts, whole ranges of them lost, late by less than the grace, repeated."""
    number, prints = draw(st.integers(0, first_max)), []
    for place, count in enumerate(draw(st.lists(st.sampled_from((1, 1, 1, 2, 7)), min_size=3, max_size=60))):
        number += count
        prints.append(trade(number, place * STEP_NS, count=count))
    last = len(prints) - 1
    lost = set()
    for _ in range(draw(st.integers(0, 4))):
        begin = draw(st.integers(1, last))
        lost |= set(range(begin, min(last, begin + draw(st.integers(1, 500)))))
    lates = draw(st.lists(st.integers(0, GRACE_NS - 1), min_size=last + 1, max_size=last + 1))
    arrivals = [
        (found.exchange_ns + (lates[place] if 0 < place < last else 0), found)
        for place, found in enumerate(prints)
        if place not in lost
    ]
    repeats = draw(st.lists(st.tuples(st.integers(0, len(arrivals) - 1), st.integers(0, 3 * GRACE_NS)), max_size=8))
    arrivals += [(arrivals[place][0] + late_ns, arrivals[place][1]) for place, late_ns in repeats]
    for place in draw(st.lists(st.integers(1, last), max_size=6)):  # history of lost and of other prints
        old = prints[place]
        history = trade(old.order, old.exchange_ns, count=old.count, snapshot=True)
        arrivals.append((old.exchange_ns + draw(st.integers(1, 3 * GRACE_NS)), history))
    return arrivals, {number for place in lost for number in covered(prints[place])}


def covered(found):
    return range(found.order - found.count + 1, found.order + 1)


@given(feeds())
@settings(deadline=None, max_examples=500)
def test_what_is_said_to_be_missing_is_exactly_what_did_not_come_and_none_of_it_twice(feed):
    arrivals, dropped = feed
    assert sorted(ids_of(Run(arrivals).said)) == sorted(dropped)


@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 10**10))
def test_every_hole_of_1_to_500_ids_is_one_range_with_the_times_around_it(one, other, first):
    last = first + one + 1
    arrivals = [(0, trade(first, 0)), (1, trade(last, 7)), (2, trade(last + other + 1, 9))]
    assert Run(arrivals).said == [Missing(first + 1, last - 1, 0, 7), Missing(last + 1, last + other, 7, 9)]


@given(feeds(), feeds(100))
@settings(deadline=None)
def test_ids_that_begin_again_open_no_gap_and_what_is_lost_before_and_after_is_still_found(one, other):
    arrivals, dropped = one
    later_ns = max(at_ns for at_ns, _ in arrivals) + 4 * GRACE_NS
    highest = max(found.order for _, found in arrivals)
    number, until_ns = max(found.order for _, found in other[0]), max(at_ns for at_ns, _ in other[0])
    more = [(until_ns + one, trade(number + one, until_ns + one)) for one in range(1, AGREEING + 1)]
    again = [(at_ns + later_ns, moved(found, later_ns)) for at_ns, found in [*other[0], *more]]
    run = Run(arrivals)
    is_new_numbering = 2 * min(found.order for _, found in again) < highest
    said = run.said + Run(again, run.line).said
    if is_new_numbering and 2 * max(found.order for _, found in again) < highest:
        assert sorted(ids_of(said)) == sorted([*dropped, *other[1]])


@given(feeds(), feeds(100), st.integers(0, 10**10))
@settings(deadline=None)
def test_ids_may_begin_again_anywhere_below_the_highest(one, other, place):
    """What tells them from late prints is their time."""
    arrivals, dropped = one
    highest, later_ns = max(found.order for _, found in arrivals), max(at_ns for at_ns, _ in arrivals) + 4 * GRACE_NS
    number, until_ns = max(found.order for _, found in other[0]), max(at_ns for at_ns, _ in other[0])
    more = [(until_ns + one, trade(number + one, until_ns + one)) for one in range(1, AGREEING + 1)]
    assume(number + AGREEING < highest)
    up = place % (highest - number - AGREEING)
    again = [(at_ns + later_ns, moved(found, later_ns, up)) for at_ns, found in [*other[0], *more]]
    run = Run(arrivals)
    said = run.said + Run(again, run.line).said
    assert sorted(ids_of(said)) == sorted([*dropped, *(number + up for number in other[1])])


@given(st.permutations(range(1, 60)), st.integers(0, 3), st.lists(st.integers(-999_999_999, 0), min_size=60))
def test_prints_that_come_late_are_never_taken_for_ids_that_begin_again(numbers, repeats, backwards):
    """Minutes late, again and again, and with times that go backwards within their ids by less than a second."""
    line = IdLine()
    for at, number in enumerate(numbers * (1 + repeats)):
        assert not line.saw(trade(number, number * NS_PER_SECOND + backwards[number]), number, at)
    assert line.highest == 59
    assert not line.is_suspicious


def moved(found, by_ns, up=0):
    return trade(found.order + up, found.exchange_ns + by_ns, count=found.count, snapshot=found.snapshot)


def test_what_was_missing_just_before_ids_began_again_is_said():
    arrivals = [(0, trade(1000)), (1, trade(1003, 1)), (2, trade(1, 2)), (3, trade(2, 3))]
    assert ids_of(Run(arrivals).said) == [1001, 1002]


def test_a_leap_that_no_outage_explains_opens_no_gap():
    highest = 10**12
    far = highest + LEAP_MAX
    arrivals = [(0, trade(highest)), *((one, trade(far + one, one)) for one in (1, 3, 4))]
    assert ids_of(Run(arrivals).said) == [far + 2]
    assert len(ids_of(Run([(0, trade(highest)), (1, trade(highest + JUMP_MAX, 1))]).said)) == JUMP_MAX - 1


def test_a_jump_that_an_outage_may_explain_is_said_once_further_prints_go_on_from_it():
    last = 10**12 + JUMP_MAX + 5
    arrivals = [(0, trade(10**12)), *((1 + one, trade(last + one, 1 + one)) for one in range(AGREEING))]
    assert Run(arrivals[:-1]).said == []
    assert Run(arrivals).said == [Missing(10**12 + 1, last - 1, 0, 1)]


@given(
    feeds(),
    st.dictionaries(st.integers(0, 10**8), st.integers(0, 60), min_size=1, max_size=8),
    st.integers(1, AGREEING - 1),
)
@settings(deadline=None, max_examples=300)
def test_odd_ids_that_nothing_goes_on_from_hide_no_loss_and_make_up_none(feed, odd, repeats):
    arrivals, dropped = feed
    arrivals = sorted(arrivals, key=lambda one: one[0])
    highest = max(found.order for _, found in arrivals)
    for number, place in ((1 + 20_000 * one, place) for one, place in odd.items()):  # none goes on from another
        is_far = number > 2 * highest + JUMP_MAX or 0 < 2 * number < arrivals[0][1].order - 2
        if is_far and 0 < place < len(arrivals) - 1:
            at_ns = arrivals[place][0]
            arrivals[place:place] = [(at_ns, trade(number + one, LATER_NS)) for one in range(repeats)]
    assert sorted(ids_of(Run(arrivals).said)) == sorted(dropped)


def test_an_odd_id_is_told_from_one_that_goes_on():
    line = IdLine()
    told = [line.saw(trade(number, place), number, place) for place, number in enumerate((7, 8, 60_000_008, 9, 10, 12))]
    assert told == [False, False, True, False, False, False]
    assert list(line.due(LATER_NS)) == [Missing(11, 11, 4, 5)]


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 8)), max_size=12), st.integers(1, 70), st.integers(1, 9))
def test_a_print_overlaps_what_was_declared_if_any_of_its_ids_was(gaps, number, count):
    declared = Declared()
    for first, more in gaps:
        declared.add(first, first + more, 5)
    ids = {one for first, more in gaps for one in range(first, first + more + 1)}
    assert declared.overlaps(trade(number, 5, count=count)) is bool(ids & {*range(number - count + 1, number + 1)})
    assert not declared.overlaps(trade(number, 5 + LATER_NS, count=count))  # ids that began again


def test_what_was_declared_is_bounded_and_the_newest_stays():
    declared = Declared()
    for number in range(2, 20 * DECLARED_MAX, 4):
        declared.add(number, number + 1, number)
    assert declared.overlaps(trade(number, number, count=2))
    assert not declared.overlaps(trade(2, 2, count=2))


def test_what_a_venue_replays_before_the_first_live_print_is_not_missing_and_what_comes_between_is():
    arrivals = [(0, trade(90, snapshot=True)), (1, trade(100, snapshot=True)), (2, trade(105, 1)), (3, trade(106, 2))]
    assert ids_of(Run(arrivals).said) == [101, 102, 103, 104]


def test_history_is_evidence_of_a_print_but_no_arrival():
    arrivals = [(0, trade(1)), (1, trade(4, 3, snapshot=True)), (2, trade(6, 5))]
    assert ids_of(Run(arrivals).said) == [2, 3, 4, 5]
    assert ids_of(Run([*arrivals, (3, trade(4, 3))]).said) == [2, 3, 5]


def test_what_was_fetched_before_it_was_said_is_not_missing():
    arrivals = [(0, trade(1)), (1, trade(10, 5)), *((2, trade(number, 2, backfilled=True)) for number in (3, 4, 8))]
    assert ids_of(Run(arrivals).said) == [2, 5, 6, 7, 9]
    assert ids_of(Run([(0, trade(5, backfilled=True)), (1, trade(1)), (2, trade(2))]).said) == []


def test_known_ids_are_where_a_line_goes_on_after_a_restart():
    line = IdLine()
    line.knows(100, 5)
    line.knows(90, 7)
    assert Run([(0, trade(104, 9))], line).said == [Missing(101, 103, 5, 9)]


def test_more_holes_than_can_be_told_apart_are_held_by_one_range_that_loses_none():
    numbers = range(1, 2 * (SUSPECTED_MAX + 500), 2)
    line = IdLine()
    for number in numbers:
        line.saw(trade(number, number), number, number)
    said = list(line.due(LATER_NS))
    assert len(said) == SUSPECTED_MAX
    assert set(ids_of(said)) >= {number + 1 for number in numbers[:-1]}


@given(st.lists(st.integers(0, 60)), st.integers(0, 30), st.integers(0, 30))
def test_what_is_left_of_missing_ids_is_what_did_not_come(came, first, more):
    missing = Missing(first, first + more, 1, 2)
    left = without(missing, IdSet().union([str(number) for number in came]))
    assert ids_of(left) == [number for number in range(first, first + more + 1) if number not in came]
