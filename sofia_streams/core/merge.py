"""Several inputs as one sequence that does not depend on which of them was faster. For agents with several inputs.

A log keeps order only within one partition of one topic, so an agent that reads several must put them in order itself.
Here records are handed out by event time, ties by topic name, then by offset; a time is handed out once every input's
watermark has passed it. Two things cannot follow from the records alone, so they are decided once, and the decision is
an output (`Step.decided`) that the agent writes before it stores the state; a replay is told by `expect`:

rare inputs    topics with a record now and then (a switch, a new model), for which nobody can wait. Such a record is
               handed out at once, behind everything up to the time that has been reached; `Applied` says which time.
a wait given up  the caller's clock may say that an input is silent for too long (`give_up`); `GaveUp` says up to where,
               and behind which of that input's records.

What it does not do: read topics, watch a clock, decide how long to wait. The state is plain: it may stand in a table
as JSON and be read back at any point. Records that come again after a crash are known by their offsets.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

import msgspec

from sofia_streams.errors import BadRecord, MergeFull

T = TypeVar("T")

END_NS = 2**63 - 1
"""The watermark of an input that has ended."""
WAITING_MAX = 10_000
_BEFORE_ALL_NS = -1


class Input(msgspec.Struct, frozen=True, array_like=True):
    """One regular input: the offset taken last, and up to which event time (inside) everything of it has come."""

    offset: int = -1
    passed_ns: int = _BEFORE_ALL_NS


class Item(msgspec.Struct, Generic[T], frozen=True, array_like=True):
    """A record and its place in the order. `late`: its own input had passed its time, so it stands behind that."""

    at_ns: int
    topic: str
    offset: int
    value: T
    late: bool = False


class Applied(msgspec.Struct, frozen=True, tag_field="kind", tag="applied"):
    """A rare record takes effect behind everything up to `at_ns`, before everything later."""

    serial: int
    topic: str
    offset: int
    at_ns: int


class GaveUp(msgspec.Struct, frozen=True, tag_field="kind", tag="gave_up"):
    """Behind the record at `offset` of `topic` (-1: before its first one), nothing up to `at_ns` was waited for."""

    serial: int
    topic: str
    offset: int
    at_ns: int


Decision = Applied | GaveUp


def next_applied(expected: Iterable[Decision]) -> Applied | None:
    """The first rare record that is still to come, by serial."""
    return next((one for one in expected if isinstance(one, Applied)), None)


class Merge(msgspec.Struct, Generic[T], frozen=True):
    """The state: watermarks, what waits for its time, and decisions of an earlier run that are still to come.

    `rare` has the last offset of each rare input, `held` their records that wait for a decision's time.
    """

    inputs: dict[str, Input]
    rare: dict[str, int] = {}
    waiting: list[Item[T]] = []
    held: list[Item[T]] = []
    expected: list[Decision] = []
    serial: int = 0

    def reached_ns(self) -> int:
        """Every time up to this one has been handed out, unless an expected rare record holds it back."""
        return min(one.passed_ns for one in self.inputs.values())

    def waits_for(self) -> str:
        """The input that is furthest behind, the first by name of several; or a rare one whose decision is known."""
        reached_ns, applied = self.reached_ns(), next_applied(self.expected)
        if applied is not None and applied.at_ns <= reached_ns:
            return applied.topic
        return min(name for name, one in self.inputs.items() if one.passed_ns == reached_ns)


class Arrival(NamedTuple, Generic[T]):
    """What an input brought, in that input's own order.

    `value` is None for a record that says only how far the input has come. `passed_ns`: behind this record, everything
    up to this time has come; one that goes back changes nothing. An input ends with `END_NS`. Rare inputs have no time.
    """

    topic: str
    offset: int
    value: T | None = None
    at_ns: int = 0
    passed_ns: int | None = None


class Step(NamedTuple, Generic[T]):
    """The next state, what is handed out, and what was decided; the agent writes decisions before the state."""

    state: Merge[T]
    items: list[Item[T]]
    decided: list[Decision]


def begin(topics: Iterable[str], rare: Iterable[str] = ()) -> Merge[T]:
    """The state before the first record: at least one regular input. Raises ValueError."""
    inputs = {name: Input() for name in sorted(topics)}
    rares = dict.fromkeys(sorted(rare), -1)
    if not inputs or inputs.keys() & rares.keys():
        raise ValueError(f"merge: expected inputs that are regular or rare, found {[*inputs]} and {[*rares]}")
    return Merge(inputs, rares)


def take(state: Merge[T], arrival: Arrival[T], *, waiting_max: int = WAITING_MAX) -> Step[T]:
    """Take one record; one that was taken before changes nothing.

    Raises MergeFull where more than `waiting_max` records would wait, and then nothing is taken: stop reading that
    input until `waits_for` has come on, or give up waiting. Raises BadRecord behind the end of an input and for a time
    that no input can pass, KeyError for a topic that is no input.
    """
    work = _Work(state)
    if arrival.topic in work.rare:
        work.hold(arrival)
    else:
        work.take(arrival)
    step = work.settle()
    if len(step.state.waiting) + len(step.state.held) > waiting_max:
        raise MergeFull(
            f"merge: expected at most {waiting_max} waiting records, found one more from {arrival.topic}, since "
            f"{step.state.waits_for()} has not passed {state.reached_ns()} ns. Read that one first, or give it up."
        )
    return step


def give_up(state: Merge[T], topic: str, until_ns: int) -> Step[T]:
    """Wait no longer for what `topic` may have up to `until_ns`; nothing where it has passed that."""
    work = _Work(state)
    if state.inputs[topic].passed_ns < until_ns:
        decision = GaveUp(work.next_serial(), topic, state.inputs[topic].offset, until_ns)
        work.decided.append(decision)
        work.skip(decision)
    return work.settle()


def expect(state: Merge[T], decisions: Iterable[Decision]) -> Step[T]:
    """Take over decisions of an earlier run from its output, in any order; those that the state knows are left out.

    Give all of them before the first record (a replay), or those of the output's end (after a crash).
    """
    work = _Work(state)
    known = {one.serial for one in state.expected}
    news = [one for one in decisions if one.serial > state.serial and one.serial not in known]
    work.expected = sorted([*work.expected, *news], key=lambda one: one.serial)
    work.serial = max([work.serial, *(one.serial for one in news)])
    for topic in work.inputs:
        work.skip_expected(topic)
    return work.settle()


class _Work(Generic[T]):
    """One step on a copy of the state."""

    def __init__(self, state: Merge[T]) -> None:
        self.inputs, self.rare = dict(state.inputs), dict(state.rare)
        self.waiting, self.held, self.expected = list(state.waiting), list(state.held), list(state.expected)
        self.serial = state.serial
        self.items: list[Item[T]] = []
        self.decided: list[Decision] = []

    def next_serial(self) -> int:
        self.serial += 1
        return self.serial

    def take(self, arrival: Arrival[T]) -> None:
        known = self.inputs[arrival.topic]
        if arrival.offset <= known.offset:
            return
        if known.passed_ns >= END_NS or arrival.at_ns >= END_NS:
            raise BadRecord(
                f"merge: expected records of {arrival.topic} before its end, found offset {arrival.offset} at "
                f"{arrival.at_ns} ns, behind {known.passed_ns} ns."
            )
        if arrival.value is not None:
            at_ns = max(arrival.at_ns, known.passed_ns + 1)
            item = Item(at_ns, arrival.topic, arrival.offset, arrival.value, at_ns != arrival.at_ns)
            insort(self.waiting, item, key=_place)
        passed_ns = known.passed_ns if arrival.passed_ns is None else max(known.passed_ns, arrival.passed_ns)
        self.inputs[arrival.topic] = Input(arrival.offset, passed_ns)
        self.skip_expected(arrival.topic)

    def hold(self, arrival: Arrival[T]) -> None:
        if arrival.offset > self.rare[arrival.topic]:
            self.rare[arrival.topic] = arrival.offset
            if arrival.value is not None:
                self.held.append(Item(_BEFORE_ALL_NS, arrival.topic, arrival.offset, arrival.value))

    def skip_expected(self, topic: str) -> None:
        """What an earlier run gave up behind the record taken last."""
        for one in [*self.expected]:
            if isinstance(one, GaveUp) and one.topic == topic and one.offset <= self.inputs[topic].offset:
                self.expected.remove(one)
                self.skip(one)

    def skip(self, decision: GaveUp) -> None:
        known = self.inputs[decision.topic]
        self.inputs[decision.topic] = Input(known.offset, max(known.passed_ns, decision.at_ns))

    def settle(self) -> Step[T]:
        """Hand out what is due."""
        reached_ns = min(one.passed_ns for one in self.inputs.values())
        while (applied := next_applied(self.expected)) is not None:
            self._hand_out(min(reached_ns, applied.at_ns))
            place = applied.topic, applied.offset
            record = next((one for one in self.held if (one.topic, one.offset) == place), None)
            if record is None or reached_ns < applied.at_ns:
                return self._step()
            self.expected.remove(applied)
            self._apply(record, applied.at_ns)
        self._hand_out(reached_ns)
        for record in [*self.held]:
            self.decided.append(Applied(self.next_serial(), record.topic, record.offset, reached_ns))
            self._apply(record, reached_ns)
        return self._step()

    def _hand_out(self, until_ns: int) -> None:
        due = 0
        while due < len(self.waiting) and self.waiting[due].at_ns <= until_ns:
            due += 1
        self.items += self.waiting[:due]
        del self.waiting[:due]

    def _apply(self, record: Item[T], at_ns: int) -> None:
        self.held.remove(record)
        self.items.append(msgspec.structs.replace(record, at_ns=at_ns))

    def _step(self) -> Step[T]:
        state = Merge(self.inputs, self.rare, self.waiting, self.held, self.expected, self.serial)
        return Step(state, self.items, self.decided)


def _place(item: Item[T]) -> tuple[int, str, int]:
    return item.at_ns, item.topic, item.offset
