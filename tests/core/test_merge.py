"""The merge of several inputs: one sequence for any interleaving, from any restart, for who knows the decisions."""

from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_streams.core import merge as module
from sofia_streams.core.merge import Decision, Kept, Merge
from sofia_streams.errors import MergeFull

INPUTS = ("signals", "tickers", "trades")
RARE = ("control", "models")
END_NS = 10_000
kept_decoder = msgspec.json.Decoder(Kept)
decisions_decoder = msgspec.json.Decoder(list[Decision])
times = st.integers(0, 30)


class Arrival(NamedTuple):
    input: str
    serial: int
    value: str | None = None
    at_ns: int = 0
    passed_ns: int | None = None


class Patience(NamedTuple):
    """The caller waits no longer."""

    input: str


@st.composite
def feeds(draw, rare=False):
    """What each input brings, in its own order: records out of time order, watermarks that also go back, a late end."""
    found = {}
    for name in INPUTS[: draw(st.integers(1, 3))]:
        rows = draw(st.lists(st.tuples(times, st.none() | times, st.booleans()), max_size=8))
        arrivals = [
            Arrival(name, 2 * place, f"{name}{place}" if has_value else None, at_ns, passed_ns)
            for place, (at_ns, passed_ns, has_value) in enumerate(rows)
        ]
        found[name] = [*arrivals, Arrival(name, 2 * len(rows), passed_ns=END_NS)]
    for name in RARE if rare else ():
        found[name] = [Arrival(name, place, f"{name}{place}") for place in range(draw(st.integers(0, 2)))]
    return found


def interleaved(found, data):
    """The arrivals in one order; each input keeps its own."""
    order = data.draw(st.permutations([name for name, arrivals in found.items() for _ in arrivals]))
    left = {name: iter(arrivals) for name, arrivals in found.items()}
    return [next(left[name]) for name in order]


def start(found, kept=None):
    return Merge([name for name in found if name in INPUTS], RARE, kept)


def run(merge, actions):
    """What comes out as (time, value), the decisions; behind each action what must be kept and how much came out."""
    items, decided, kept = [], [], []
    for action in actions:
        if isinstance(action, Patience):
            merge.give_up(action.input)
        else:
            merge.take(*action)
        items += [(item.at_ns, item.value) for item in merge.ready()]
        decided += merge.take_decided()
        kept.append((msgspec.json.encode(merge.kept()), len(items)))
    return items, decided, kept


def impatient(arrivals, data):
    """Here and there the caller's patience ends."""
    mixed = list(arrivals)
    regular = sorted({arrival.input for arrival in arrivals if arrival.input in INPUTS})
    for _ in range(data.draw(st.integers(0, 3))):
        mixed.insert(data.draw(st.integers(0, len(mixed))), Patience(data.draw(st.sampled_from(regular))))
    return mixed


def never_back(kept):
    """Inputs that were given up and did not speak again: nobody could say up to where, so patience ends again."""
    places = kept_decoder.decode(kept[-1][0]).places
    return [Patience(name) for name, place in places.items() if place.given_up is not None]


@given(feeds(), st.data())
def test_any_interleaving_of_the_inputs_gives_the_same_sequence(found, data):
    one, decided, _ = run(start(found), interleaved(found, data))
    assert run(start(found), interleaved(found, data))[0] == one
    assert one == sorted(one, key=lambda row: row[0])
    assert decided == []
    assert sorted(value for _, value in one) == sorted(
        arrival.value for arrivals in found.values() for arrival in arrivals if arrival.value is not None
    )


@given(feeds(), st.data())
def test_records_of_one_time_come_by_input_and_an_input_keeps_its_order(found, data):
    one, _, _ = run(start(found), interleaved(found, data))
    names = [value.rstrip("0123456789") for _, value in one]
    places = list(zip((at_ns for at_ns, _ in one), names, strict=True))
    assert places == sorted(places)
    for name in INPUTS:
        own = [int(value.removeprefix(name)) for _, value in one if value.startswith(name)]
        assert own == sorted(own)


@given(feeds(), st.data())
def test_nothing_comes_out_before_every_input_has_passed_its_time(found, data):
    merge = start(found)
    for arrival in interleaved(found, data):
        merge.take(*arrival)
        due = [item.at_ns for item in merge.ready()]
        assert all(at_ns <= merge.reached_ns() for at_ns in due)


@given(feeds(rare=True), st.data())
def test_records_that_come_again_change_nothing(found, data):
    arrivals = interleaved(found, data)
    once = run(start(found), arrivals)
    twice = [arrival for place in range(len(arrivals)) for arrival in (*arrivals[: place + 1], arrivals[place])]
    again = run(start(found), twice)
    assert (again[0], again[1]) == (once[0], once[1])


@given(feeds(rare=True), st.data())
def test_a_crash_that_lost_the_last_states_gives_the_same_outputs_once_more(found, data):
    """The decisions are on the output, what was kept is older, and the log hands everything out again, mixed anew."""
    actions = impatient(interleaved(found, data), data)
    items, decided, kept = run(start(found), actions)
    stop = data.draw(st.integers(0, len(actions) - 1))
    text, seen = kept[stop]
    resumed = start(found, kept_decoder.decode(text))
    resumed.expect(decisions_decoder.decode(msgspec.json.encode(decided)))
    later, new, _ = run(resumed, [*interleaved(found, data), *never_back(kept)])
    assert items[:seen] + later == items
    assert new == []


@settings(max_examples=300)
@given(feeds(rare=True), st.data())
def test_crash_after_crash_while_it_catches_up_gives_the_same_outputs_too(found, data):
    """What is kept then says nothing of decisions that it was told of and has not come to yet."""
    items, decided, kept = run(start(found), impatient(interleaved(found, data), data))
    text, seen = kept[data.draw(st.integers(0, len(kept) - 1))]
    for _ in range(3):
        resumed = start(found, kept_decoder.decode(text))
        resumed.expect(decided)
        later, new, states = run(resumed, [*interleaved(found, data), *never_back(kept)])
        assert items[:seen] + later == items
        assert new == []
        text, more = states[data.draw(st.integers(0, len(states) - 1))]
        seen += more


@given(feeds(rare=True), st.data())
def test_a_replay_that_knows_the_decisions_gives_the_same_sequence_for_any_interleaving(found, data):
    items, decided, kept = run(start(found), impatient(interleaved(found, data), data))
    resumed = start(found)
    resumed.expect(data.draw(st.permutations(decided)))
    later, new, _ = run(resumed, [*interleaved(found, data), *never_back(kept)])
    assert later == items
    assert new == []


def test_a_time_within_an_input_never_goes_back():
    merge = start({"trades": []})
    for arrival in (Arrival("trades", 0, "a", 5), Arrival("trades", 1, "b", 3), Arrival("trades", 2, None, 0, 4)):
        merge.take(*arrival)
    assert [(item.at_ns, item.value) for item in merge.ready()] == [(5, "a"), (6, "b")]


def test_a_quiet_input_holds_all_others_until_it_says_how_far_it_is():
    merge = start({"signals": [], "trades": []})
    merge.take("trades", 0, "a", 5)
    assert list(merge.ready()) == []
    assert merge.waits_for() == "signals"
    merge.take("signals", 0, None, 0, 5)
    assert [item.value for item in merge.ready()] == ["a"]


def test_a_rare_record_takes_effect_at_once_behind_the_time_that_was_reached():
    merge = start({"trades": []})
    merge.take("trades", 0, "a", 5)
    assert [(item.at_ns, item.value) for item in merge.ready()] == [(5, "a")]
    merge.take("control", 0, "halt")
    assert [(item.at_ns, item.value) for item in merge.ready()] == [(5, "halt")]
    assert merge.take_decided() == [Decision(1, "applied", "control", 0, 5)]


def test_a_replay_waits_for_the_rare_record_that_it_knows_of():
    merge = start({"trades": []})
    merge.expect([Decision(1, "applied", "control", 0, 5)])
    merge.take("trades", 0, "a", 5)
    merge.take("trades", 1, "b", 7)
    assert [item.value for item in merge.ready()] == ["a"]
    merge.take("control", 0, "halt")
    assert [item.value for item in merge.ready()] == ["halt", "b"]


def test_an_input_that_was_given_up_joins_again_behind_what_was_handed_out_meanwhile():
    merge = start({"signals": [], "trades": []})
    merge.take("signals", 0, "x", 1)
    merge.take("trades", 0, "a", 5)
    merge.give_up("signals")
    assert [item.value for item in merge.ready()] == ["x", "a"]
    merge.take("signals", 1, "y", 3)
    assert merge.take_decided() == [Decision(1, "gave_up", "signals", 0, 5)]
    merge.take("trades", 1, "b", 9)
    assert [(item.at_ns, item.value) for item in merge.ready()] == [(6, "y")]


def test_where_nobody_is_waited_for_everything_is_due():
    merge = start({"signals": [], "trades": []})
    merge.take("trades", 0, "a", 5)
    merge.take("trades", 1, "b", 9)
    for name in ("signals", "trades"):
        merge.give_up(name)
    assert [item.value for item in merge.ready()] == ["a", "b"]


def test_more_than_there_is_room_for_is_refused_and_nothing_of_it_is_taken(monkeypatch):
    monkeypatch.setattr(module, "WAITING_MAX", 1)
    merge = start({"signals": [], "trades": []})
    merge.take("trades", 0, "a", 5)
    with pytest.raises(MergeFull, match="signals has not passed"):
        merge.take("trades", 1, "b", 6)
    merge.take("signals", 0, None, 0, 9)
    assert [item.value for item in merge.ready()] == ["a"]
    merge.take("trades", 1, "b", 6)


def test_at_least_one_input_is_waited_for():
    with pytest.raises(ValueError, match="at least one input"):
        Merge([], ["control"])


def test_a_second_crash_before_what_was_decided_came_again_forgets_none_of_it():
    merge = Merge(["a", "b"], ["c"])
    merge.take("a", 0, "a0", 1, 5)
    merge.take("b", 0, "b0", 1, 5)
    assert [one.at_ns for one in merge.ready()] == [1, 1]
    kept = merge.kept()
    merge.take("c", 0, "c0")
    assert [one.at_ns for one in merge.ready()] == [5]
    decided = merge.take_decided()
    second = Merge(["a", "b"], ["c"], kept)
    second.expect(decided)
    third = Merge(["a", "b"], ["c"], second.kept())  # "c0" had not been read again
    third.expect(decided)
    for name in ("a", "b"):
        third.take(name, 1, f"{name}1", 9, 9)
    assert [*third.ready()] == []
    third.take("c", 0, "c0")
    assert [(one.at_ns, one.value) for one in third.ready()] == [(5, "c0"), (9, "a1"), (9, "b1")]
    assert third.take_decided() == []
    fourth = Merge(["a", "b"], ["c"], third.kept())
    fourth.expect(decided)
    assert fourth.kept().decided == 1


def test_a_decision_that_was_followed_is_not_waited_for_although_an_earlier_one_is():
    decisions = [Decision(1, "gave_up", "b", 7, 20), Decision(2, "applied", "c", 0, 5)]
    merge = Merge(["a", "b"], ["c"])
    merge.expect(decisions)
    for name in ("a", "b"):
        merge.take(name, 0, f"{name}0", 1, 5)
    merge.take("c", 0, "c0")
    assert [one.value for one in merge.ready()] == ["a0", "b0", "c0"]
    assert merge.kept().decided == 0  # the first is still to come
    again = Merge(["a", "b"], ["c"], merge.kept())
    again.expect(decisions)
    for name in ("a", "b"):
        again.take(name, 1, f"{name}1", 9, 9)
    assert [one.value for one in again.ready()] == ["a1", "b1"]
    assert again.kept().decided == 0
