"""When a worker counts as standing still, and when one that ends again and again is left down. The time is given."""

from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.ops.supervision.restarts import ENDS_MAX, WITHIN_S, Restarts
from sofia_streams.ops.supervision.stall import StallWatch

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


def test_a_steady_minute_is_a_new_beginning():
    again = Restarts(0.0)
    assert not any(ends_after(again, [*[1.0] * (ENDS_MAX - 1), 61.0, *[1.0] * (ENDS_MAX - 2)]))


def test_ends_far_apart_are_started_again_for_ever():
    assert not any(ends_after(Restarts(0.0), [WITHIN_S / 4] * 50))


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
