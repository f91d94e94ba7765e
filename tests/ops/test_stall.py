"""When a worker counts as standing still, and when one that ends again and again is left down. The time is given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.ops.chaos.disk import can_mount, small_disk
from sofia_streams.ops.supervision.restarts import ENDS_MAX, SLOW_ENDS_MAX, SLOW_WITHIN_S, WITHIN_S, Restarts
from sofia_streams.ops.supervision.stall import StallWatch
from sofia_streams.ops.supervision.supervise import has_room

STALL_S = 30.0


def moved(watch: StallWatch, now_s: float = 0.0) -> float:
    """The watch has seen its worker at work; the time of that."""
    watch.look(now_s, {"moves": (1, 9)})
    assert watch.look(now_s + 1, {"moves": (2, 9)}) is None
    return now_s + 1


def test_a_partition_that_stands_while_others_move_is_named():
    watch = StallWatch(STALL_S)
    began_s = moved(watch)
    for second in range(31):
        assert watch.look(began_s + second, {"moves": (3 + second, 99), "stands": (7, 9)}) is None
    stall = watch.look(began_s + 31, {"moves": (50, 99), "stands": (7, 9)})
    assert stall is not None
    assert (stall.place, stall.done, stall.end, stall.seconds) == ("stands", 7, 9, 31)


def test_a_partition_without_work_never_stands_still():
    watch = StallWatch(STALL_S)
    began_s = moved(watch)
    assert watch.look(began_s, {"quiet": (9, 9)}) is None
    assert watch.look(began_s + 1_000, {"quiet": (9, 9)}) is None
    assert watch.look(began_s + 1_001, {"quiet": (9, 10)}) is None, "its time begins with its work"


def test_a_worker_that_has_only_started_gets_longer():
    watch = StallWatch(STALL_S)
    watch.look(0, {"new": (0, 9)})
    assert watch.look(4 * STALL_S, {"new": (0, 9)}) is None
    assert watch.look(4 * STALL_S + 1, {"new": (0, 9)}) is not None


def test_what_was_seen_before_an_outage_does_not_count():
    watch = StallWatch(STALL_S)
    began_s = moved(watch)
    watch.look(began_s, {"stands": (1, 9)})
    watch.look_again()
    assert watch.look(began_s + 1_000, {"stands": (1, 9)}) is None
    assert watch.look(began_s + 1_001 + STALL_S, {"stands": (1, 9)}) is not None, "it had moved since its start"


@given(st.lists(st.tuples(st.floats(0.1, STALL_S), st.integers(1, 5)), min_size=1, max_size=60))
def test_a_worker_that_moves_in_time_is_never_accused(steps):
    watch, now_s, done = StallWatch(STALL_S), 0.0, 0
    for wait_s, records in steps:
        now_s, done = now_s + wait_s, done + records
        assert watch.look(now_s, {"busy": (done, 10**9)}) is None


def ends_after(again: Restarts, runs_s: list[float], *, counts: bool = True) -> list[bool]:
    """Whether it was left down after each of these runs; the clock starts at 0."""
    now_s, found = 0.0, []
    for run_s in runs_s:
        now_s += run_s
        now_s += again.ended(now_s, counts=counts)
        found.append(again.gave_up)
        if again.is_due(now_s):
            again.started(now_s)
    return found


def test_what_ends_again_and_again_is_left_down():
    again = Restarts(0.0)
    assert ends_after(again, [1.0] * ENDS_MAX) == [False] * (ENDS_MAX - 1) + [True]
    assert not again.is_due(10**6)


@pytest.mark.parametrize("run_s", [30.0, 31.0, 61.0, 110.0, 169.0])
def test_what_ends_after_running_for_a_while_each_time_is_left_down_too(run_s):
    """A run of half a minute, or of one or two, is no proof of health."""
    again = Restarts(0.0)
    assert ends_after(again, [run_s] * SLOW_ENDS_MAX)[-1]
    assert again.why_gave_up == f"the {SLOW_ENDS_MAX}th time within {SLOW_WITHIN_S:.0f} s"


@given(st.lists(st.floats(0.0, 1_000.0), max_size=60))
def test_it_is_left_down_by_how_many_ends_there_were_lately_and_nothing_else(runs_s):
    again, now_s, ends_s = Restarts(0.0), 0.0, []
    for run_s in runs_s:
        now_s += run_s
        ends_s.append(now_s)
        pause_s = again.ended(now_s)
        lately = [sum(now_s - at_s <= within_s for at_s in ends_s) for within_s in (WITHIN_S, SLOW_WITHIN_S)]
        assert again.gave_up == (lately[0] >= ENDS_MAX or lately[1] >= SLOW_ENDS_MAX)
        if again.gave_up:
            return
        now_s += pause_s
        again.started(now_s)


def test_a_steady_minute_makes_the_pause_short_again():
    again = Restarts(0.0)
    assert [again.ended(1.0), again.ended(2.0)] == [0.5, 1.0]
    again.started(3.0)
    assert again.ended(64.0) == 0.5


def test_ends_far_apart_are_started_again_for_ever():
    assert not any(ends_after(Restarts(0.0), [SLOW_WITHIN_S / (SLOW_ENDS_MAX - 1) + 1] * 50))


def test_ends_for_a_reason_that_passes_do_not_count():
    assert not any(ends_after(Restarts(0.0), [0.1] * 50, counts=False))


def test_pauses_double_up_to_half_a_minute():
    again, now_s, pauses = Restarts(0.0), 0.0, []
    for _ in range(8):
        pauses.append(again.ended(now_s, counts=False))
        now_s += pauses[-1]
        assert again.is_due(now_s)
        again.started(now_s)
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]


@pytest.mark.skipif(not can_mount(), reason="a small disk is mounted here: needs root on Linux")
def test_a_full_disk_of_one_server_alone_is_seen(tmp_path):
    with small_disk(tmp_path / "kafka", 1):
        assert not has_room(tmp_path, "kafka"), "its folder is a disk of a MiB"
        assert has_room(tmp_path, "questdb")
    assert has_room(tmp_path, "kafka")
