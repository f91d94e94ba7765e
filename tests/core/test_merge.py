"""The merge of several inputs: one sequence for every interleaving, from any restart, with every wait bounded."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.core import merge
from sofia_streams.core.merge import END_NS, Applied, Arrival, Decision, GaveUp, Merge
from sofia_streams.errors import BadRecord, MergeFull

TOPICS = ("bars", "signals", "trades")
RARE = ("control", "models")
decoder = msgspec.json.Decoder(Merge[str])
decisions = msgspec.json.Decoder(list[Decision])
times = st.integers(0, 30)


@st.composite
def feeds(draw, rare=False):
    """What each input brings, in its own order: records out of time order, watermarks that also go back, an end."""
    found = {}
    for topic in TOPICS[: draw(st.integers(1, 3))]:
        rows = draw(st.lists(st.tuples(times, st.none() | times, st.booleans()), max_size=8))
        arrivals = [
            Arrival(topic, 2 * place, f"{topic}{place}" if has_value else None, at_ns, passed_ns)
            for place, (at_ns, passed_ns, has_value) in enumerate(rows)
        ]
        found[topic] = [*arrivals, Arrival(topic, 2 * len(rows), passed_ns=END_NS)]
    for topic in RARE if rare else ():
        count = draw(st.integers(0, 2))
        found[topic] = [Arrival(topic, place, f"{topic}{place}") for place in range(count)]
    return found


def interleaved(found, data):
    """The arrivals in one order; each input keeps its own."""
    places = data.draw(st.permutations([topic for topic, arrivals in found.items() for _ in arrivals]))
    left = {topic: iter(arrivals) for topic, arrivals in found.items()}
    return [next(left[topic]) for topic in places]


def start(found):
    return merge.begin([topic for topic in found if topic in TOPICS], RARE)


def run(state, arrivals):
    """What comes out: (time, value, late), and the decisions."""
    items, decided = [], []
    for arrival in arrivals:
        step = merge.take(state, arrival)
        state = step.state
        items += step.items
        decided += step.decided
    return state, said(items), decided


def said(items):
    return [(item.at_ns, item.value, item.late) for item in items]


def through_json(state):
    return decoder.decode(msgspec.json.encode(state))


@given(feeds(), st.data())
def test_any_interleaving_of_the_inputs_gives_the_same_sequence(found, data):
    state, one, _ = run(start(found), interleaved(found, data))
    assert run(start(found), interleaved(found, data))[1] == one
    assert one == sorted(one, key=lambda row: row[0])
    assert state.waiting == []
    assert sorted(value for _, value, _ in one) == sorted(
        arrival.value for arrivals in found.values() for arrival in arrivals if arrival.value is not None
    )


@given(feeds(), st.data())
def test_records_of_one_time_come_by_topic_and_then_by_offset(found, data):
    _, one, _ = run(start(found), interleaved(found, data))
    digits = "0123456789"
    places = [(at_ns, value.rstrip(digits), int(value[len(value.rstrip(digits)) :])) for at_ns, value, _ in one]
    assert places == sorted(places)


@given(feeds(), st.data())
def test_nothing_comes_out_before_every_input_has_passed_its_time(found, data):
    state = start(found)
    for arrival in interleaved(found, data):
        step = merge.take(state, arrival)
        state = step.state
        assert all(item.at_ns <= state.reached_ns() for item in step.items)
        assert all(item.at_ns > state.reached_ns() for item in state.waiting)


@given(feeds(rare=True), st.data())
def test_a_state_that_was_stored_and_read_back_goes_on_as_if_never_stopped(found, data):
    arrivals = interleaved(found, data)
    stop = data.draw(st.integers(0, len(arrivals)))
    _, whole, _ = run(start(found), arrivals)
    state, first, _ = run(start(found), arrivals[:stop])
    again = through_json(state)
    assert again == state
    assert first + run(again, arrivals[stop:])[1] == whole


@given(feeds(rare=True), st.data())
def test_records_that_come_again_change_nothing(found, data):
    arrivals = interleaved(found, data)
    _, whole, decided = run(start(found), arrivals)
    twice = [arrival for place in range(len(arrivals)) for arrival in (*arrivals[: place + 1], arrivals[place])]
    if END_NS not in [arrival.passed_ns for arrival in arrivals[:-1]]:
        twice += arrivals
    assert run(start(found), twice)[1:] == (whole, decided)


@given(feeds(rare=True), st.data())
def test_a_crash_that_lost_the_last_states_gives_the_same_outputs_once_more(found, data):
    """The decisions are on the output, the state is older, and the log hands the records out again, otherwise mixed."""
    arrivals = with_give_ups(interleaved(found, data), data)
    stored = data.draw(st.integers(0, len(arrivals)))
    states, items, decided = acted(start(found), arrivals)
    old, seen = states[stored]
    resumed = merge.expect(through_json(old), decisions.decode(msgspec.json.encode(decided)))
    rest = {topic: [one for one in given_ if is_new(old, one)] for topic, given_ in found.items()}
    state, later, new = run(resumed.state, interleaved(rest, data))
    assert said(items)[:seen] + said(resumed.items) + later == said(items)
    assert new == []
    assert state.expected == state.waiting == state.held == []


@given(feeds(rare=True), st.data())
def test_a_replay_that_knows_the_decisions_gives_the_same_sequence_for_any_interleaving(found, data):
    _, items, decided = acted(start(found), with_give_ups(interleaved(found, data), data))
    resumed = merge.expect(start(found), data.draw(st.permutations(decided)))
    state, later, new = run(resumed.state, interleaved(found, data))
    assert said(resumed.items) + later == said(items)
    assert new == []
    assert state.expected == state.waiting == state.held == []


def with_give_ups(arrivals, data):
    """Here and there the caller's patience ends."""
    mixed = list(arrivals)
    regular = sorted({arrival.topic for arrival in arrivals if arrival.topic in TOPICS})
    for _ in range(data.draw(st.integers(0, 3))):
        chosen = (data.draw(st.sampled_from(regular)), data.draw(times))
        mixed.insert(data.draw(st.integers(0, len(mixed))), chosen)
    return mixed


def acted(state, actions):
    """The states with how much had come out by then, what came out, the decisions."""
    states, items, decided = [(state, 0)], [], []
    for action in actions:
        step = merge.take(state, action) if isinstance(action, Arrival) else merge.give_up(state, *action)
        state = step.state
        items += step.items
        decided += step.decided
        states.append((state, len(items)))
    return states, items, decided


def is_new(state, arrival):
    known = state.rare[arrival.topic] if arrival.topic in RARE else state.inputs[arrival.topic].offset
    return arrival.offset > known


def test_a_watermark_that_goes_back_changes_nothing():
    state = merge.begin(["bars"])
    step = merge.take(state, Arrival("bars", 0, "a", 5, passed_ns=10))
    assert said(step.items) == [(5, "a", False)]
    step = merge.take(step.state, Arrival("bars", 1, passed_ns=3))
    assert step.state.reached_ns() == 10
    step = merge.take(step.state, Arrival("bars", 2, "b", 4, passed_ns=11))
    assert said(step.items) == [(11, "b", True)]


def test_a_quiet_input_holds_all_others_until_it_says_how_far_it_is():
    state = merge.begin(["bars", "signals"])
    step = merge.take(state, Arrival("bars", 0, "a", 5, passed_ns=5))
    assert (step.items, step.state.waits_for()) == ([], "signals")
    assert said(merge.take(step.state, Arrival("signals", 0, passed_ns=5)).items) == [(5, "a", False)]


def test_an_input_that_ended_holds_nobody_and_brings_nothing_more():
    state = merge.take(merge.begin(["bars", "signals"]), Arrival("signals", 0, passed_ns=END_NS)).state
    step = merge.take(state, Arrival("bars", 0, "a", 5, passed_ns=5))
    assert said(step.items) == [(5, "a", False)]
    with pytest.raises(BadRecord, match="signals before its end, found offset 1"):
        merge.take(step.state, Arrival("signals", 1, "b", 6))
    assert merge.take(step.state, Arrival("signals", 0, passed_ns=END_NS)) == (step.state, [], [])


def test_a_time_that_no_input_could_pass_is_refused():
    with pytest.raises(BadRecord):
        merge.take(merge.begin(["bars"]), Arrival("bars", 0, "a", END_NS))


def test_a_rare_record_takes_effect_at_once_behind_the_time_that_was_reached():
    state = merge.begin(["bars"], ["control"])
    state = merge.take(state, Arrival("bars", 0, "a", 5, passed_ns=7)).state
    step = merge.take(state, Arrival("control", 40, "halt"))
    assert said(step.items) == [(7, "halt", False)]
    assert step.decided == [Applied(1, "control", 40, 7)]
    replayed = merge.expect(merge.begin(["bars"], ["control"]), step.decided).state
    early = merge.take(replayed, Arrival("control", 40, "halt"))
    assert early.items == []
    step = merge.take(early.state, Arrival("bars", 0, "a", 5, passed_ns=9))
    assert said(step.items) == [(5, "a", False), (7, "halt", False)]
    assert step.decided == []


def test_a_replay_waits_for_the_rare_record_that_it_knows_of():
    state = merge.expect(merge.begin(["bars"], ["control"]), [Applied(1, "control", 40, 7)]).state
    step = merge.take(state, Arrival("bars", 0, "a", 8, passed_ns=9))
    assert (step.items, step.state.waits_for()) == ([], "control")
    assert said(merge.take(step.state, Arrival("control", 40, "halt")).items) == [(7, "halt", False), (8, "a", False)]


def test_a_wait_that_is_given_up_is_said_and_what_comes_later_stands_behind_it():
    state = merge.begin(["bars", "signals"])
    state = merge.take(state, Arrival("bars", 0, "a", 5, passed_ns=5)).state
    step = merge.give_up(state, "signals", 5)
    assert said(step.items) == [(5, "a", False)]
    assert step.decided == [GaveUp(1, "signals", -1, 5)]
    assert merge.give_up(step.state, "signals", 5) == (step.state, [], [])
    step = merge.take(step.state, Arrival("signals", 0, "s", 4, passed_ns=6))
    assert [(item.at_ns, item.late) for item in step.state.waiting] == [(6, True)]


def test_more_than_there_is_room_for_is_refused_and_nothing_of_it_is_taken():
    state = merge.begin(["bars", "signals"])
    for number in range(3):
        state = merge.take(state, Arrival("bars", number, "a", number), waiting_max=3).state
    before = msgspec.json.encode(state)
    with pytest.raises(MergeFull, match="at most 3 waiting records, found one more from bars, since bars"):
        merge.take(state, Arrival("bars", 3, "a", 3), waiting_max=3)
    assert msgspec.json.encode(state) == before
    state = merge.take(state, Arrival("bars", 3, passed_ns=9), waiting_max=3).state
    assert len(merge.take(state, Arrival("signals", 0, "s", 9, passed_ns=9), waiting_max=3).items) == 4


def test_what_lets_the_others_go_is_taken_though_all_room_is_used():
    state = merge.begin(["bars", "signals"])
    state = merge.take(state, Arrival("bars", 0, "a", 1, passed_ns=1), waiting_max=1).state
    with pytest.raises(MergeFull, match="since signals"):
        merge.take(state, Arrival("bars", 1, "b", 2), waiting_max=1)
    assert said(merge.take(state, Arrival("signals", 0, "s", 1, passed_ns=1), waiting_max=1).items) == [
        (1, "a", False),
        (1, "s", False),
    ]


@pytest.mark.parametrize(("regular", "rare"), [([], ["control"]), (["bars"], ["bars"])])
def test_inputs_are_regular_or_rare_and_at_least_one_is_regular(regular, rare):
    with pytest.raises(ValueError, match="regular or rare"):
        merge.begin(regular, rare)
