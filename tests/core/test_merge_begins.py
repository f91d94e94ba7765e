"""How a merge begins: rare records from before any time, and decisions of an earlier run that left no state."""

from sofia_streams.core.merge import Decision, Merge


def start(names):
    return Merge(names, ["control"])


def test_a_rare_record_from_before_any_time_was_reached_stands_before_everything_also_in_a_replay():
    def items(merge):
        merge.take("control", 0, "halt")
        assert list(merge.ready()) == [] and merge.kept().places["control"].serial == -1
        merge.take("trades", 0, "a", 5)
        merge.take("trades", 1, "b", 7)
        assert list(merge.ready()) == []
        merge.take("signals", 0, None, 0, 6)
        return [(item.at_ns, item.value) for item in merge.ready()]

    merge, again = start(["signals", "trades"]), start(["signals", "trades"])
    assert items(merge) == [(4, "halt"), (5, "a")]
    decided = merge.take_decided()
    assert decided == [Decision(1, "applied", "control", 0, 4)]
    again.expect(decided)
    assert items(again) == [(4, "halt"), (5, "a")] and again.take_decided() == []


def test_who_begins_without_a_state_decides_anew_behind_what_was_decided_and_a_replay_goes_by_the_last_word():
    old = [Decision(1, "applied", "control", 0, 5), Decision(2, "gave_up", "trades", 3, 9)]
    merge = start(["trades"])
    merge.begin_behind(old)
    merge.take("control", 0, "halt")
    merge.take("trades", 7, "a", 20)
    assert [(item.at_ns, item.value) for item in merge.ready()] == [(19, "halt"), (20, "a")]
    (new,) = merge.take_decided()
    assert new == Decision(3, "applied", "control", 0, 19)
    again = start(["trades"])
    again.expect([old[0], new])
    again.take("trades", 7, "a", 20)
    again.take("control", 0, "halt")
    assert [(item.at_ns, item.value) for item in again.ready()] == [(19, "halt"), (20, "a")]


def test_a_crash_right_behind_a_wait_that_was_given_up_loses_no_record_that_still_waits():
    decisions = [Decision(1, "gave_up", "b", 0, 100)]
    first = Merge(["a", "b"])
    first.expect(decisions)
    first.take("b", 0, "b0", 7)  # the other one has not passed 7 yet
    assert [*first.ready()] == []
    second = Merge(["a", "b"], kept=first.kept())
    second.expect(decisions)
    for merge in (first, second):
        merge.take("b", 0, "b0", 7)
        merge.take("b", 1, "b1", 8)
        merge.take("a", 0, None, passed_ns=200)
        merge.take("b", 2, None, passed_ns=200)
        assert [(one.at_ns, one.value) for one in merge.ready()] == [(7, "b0"), (101, "b1")]
        assert merge.take_decided() == []
        assert merge.kept().decided == 1
