"""Knowing a log again by marks of what was read: left as it was, overtaken, made anew, cut; for any history."""

from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.worker.trail import (
    Changed,
    LogExtent,
    Overtaken,
    extended,
    from_text,
    judge,
    mark_of,
    time_of,
    to_text,
)

logs = st.lists(st.integers(0, 30_000), min_size=1, max_size=60)
"""A log as the pauses between its records, ms."""


def marks_of(pauses: list[int], salt: str) -> list[str]:
    """The mark of each record; another salt is another log."""
    now_ms, found = 1_700_000_000_000, []
    for number, pause_ms in enumerate(pauses):
        now_ms += pause_ms
        found.append(mark_of(now_ms, f"{salt}{number}".encode()))
    return found


def seen(marks: list[str], asked: tuple[tuple[int, str], ...], first: int = 0) -> LogExtent:
    """What the broker answers."""
    found = {at: marks[at] if at < len(marks) else None for at, _ in asked if at >= first}
    return LogExtent(first, len(marks), found)


def trail_of(marks: list[str], every: int = 1):
    trail = ()
    for offset in range(0, len(marks), every):
        trail = extended(trail, offset, marks[offset])
    return trail


@given(logs, st.integers(1, 5))
def test_marks_are_few_and_survive_their_text(pauses, every):
    trail = trail_of(marks_of(pauses, "a"), every)
    assert 1 <= len(trail) <= 3
    assert from_text(to_text(trail)) == trail
    assert [offset for offset, _ in trail] == sorted({offset for offset, _ in trail}, reverse=True)


@given(logs)
def test_one_mark_is_at_least_a_minute_old_where_the_log_is(pauses):
    marks = marks_of(pauses, "a")
    trail = trail_of(marks)
    span_ms = time_of(marks[-1]) - time_of(marks[0])
    if span_ms >= 120_000:
        assert time_of(trail[0][1]) - time_of(trail[-1][1]) >= 60_000


@given(logs, logs)
def test_a_log_that_only_grew_is_as_it_was_left(pauses, more):
    marks = marks_of(pauses + more, "a")
    done = len(pauses)
    trail = trail_of(marks[:done])
    assert judge(done, trail, seen(marks, trail)) is None


@given(logs, st.integers(1, 50))
def test_what_retention_dropped_unread_is_counted_exactly(pauses, dropped):
    marks = marks_of(pauses, "a") + marks_of([1] * dropped, "b")
    done = len(pauses)
    trail = trail_of(marks[:done])
    assert judge(done, trail, seen(marks, trail, first=done + dropped)) == Overtaken(done, done + dropped)
    assert judge(done, trail, seen(marks, trail, first=done)) is None, "all of it had been read"


@given(logs, logs)
def test_a_topic_made_anew_is_read_from_its_start_however_long_it_is(pauses, other):
    trail = trail_of(marks_of(pauses, "a"))
    new = marks_of(other, "b")
    assert judge(len(pauses), trail, seen(new, trail)) == Changed(len(pauses), 0)


@given(logs, st.integers(0, 59), logs)
def test_a_log_that_lost_its_end_goes_on_behind_what_is_the_same(pauses, kept, more):
    marks = marks_of(pauses, "a")
    kept = min(kept, len(marks) - 1)
    trail = trail_of(marks)
    found = judge(len(marks), trail, seen(marks[:kept] + marks_of(more, "b"), trail))
    assert isinstance(found, Changed)
    assert found.resume_at <= kept, "nothing that is new is passed over"
    assert found.resume_at == max((at + 1 for at, _ in trail if at < kept), default=0)


def test_a_commit_without_marks_is_judged_by_its_number():
    assert from_text("") == from_text("something else") == from_text("1:x") == ()
    assert judge(5, (), LogExtent(0, 9)) is None
    assert judge(9, (), LogExtent(0, 5)) == Changed(9, 0)
    assert judge(2, (), LogExtent(4, 9)) == Overtaken(2, 4)
