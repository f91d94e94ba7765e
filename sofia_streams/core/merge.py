"""Several inputs as one sequence that does not depend on which of them was faster. For agents with several inputs.

A log keeps order only within one partition of one topic, so an agent that reads several must put them in order itself.
Here records are handed out by event time, ties by the input's name; a time is handed out once every input has passed
it. Two things cannot follow from the records alone, so they are decided once, and the decision is an output
(`take_decided`) that the agent writes before what follows from it; a replay is told by `expect`:

rare inputs      topics with a record now and then (a switch), for which nobody can wait. Such a record is handed out at
                 once, behind everything up to the time that has been reached; `Decision` "applied" says which time.
                 Before any time has been reached it waits, and then stands before everything.
a wait given up  the caller's clock may say that an input is silent for too long (`give_up`): nobody waits for it until
                 it speaks again, and then "gave_up" says up to where.

Within an input time only rises: what comes with an earlier time stands right behind what came before. `kept` is what
must be kept to go on: records behind them are read again and put in the same order. It reads no topic and no clock.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, Literal, NamedTuple, TypeVar

import msgspec

from sofia_streams.errors import MergeFull

T = TypeVar("T")

WAITING_MAX = 1_000_000
_BEGIN_NS = 0


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Of one input: the serial of the last record of which nothing is left to hand out, the time it had passed by then,
    and behind which of its records nobody waits for it now (None: it is waited for).
    """

    serial: int = -1
    passed_ns: int = _BEGIN_NS
    given_up: int | None = None


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """How far every input, rare ones too, is handed out; the number of the decision up to which all were followed;
    the time reached.
    """

    places: dict[str, Place]
    decided: int
    reached_ns: int


class Decision(msgspec.Struct, frozen=True, array_like=True):
    """`what` "applied": the record `serial` of a rare input stands behind everything up to `at_ns`; "gave_up": behind
    the record `serial` of an input, nothing up to `at_ns` was waited for. `number` counts decisions.
    """

    number: int
    what: Literal["applied", "gave_up"]
    input: str
    serial: int
    at_ns: int


class Item(NamedTuple, Generic[T]):
    """A record at its time."""

    at_ns: int
    input: str
    serial: int
    value: T


class _Line(Generic[T]):
    """One input: how far it has come, and what of it is not handed out yet."""

    def __init__(self, place: Place) -> None:
        self.done = place
        self.serial, self.passed_ns = place.serial, place.passed_ns
        self.ahead: deque[tuple[int, Place, int]] = deque()
        """When each is handed out (0: it only says a time), where the input is then, the expected decision that it was
        (0: none).
        """
        self.given_up = place.given_up

    def is_waited_for(self) -> bool:
        """Whether the others wait; also for what had come before it was given up, when that is read again."""
        return self.given_up is None or self.serial < self.given_up

    def lift(self, passed_ns: int, number: int = 0) -> None:
        """It is waited for again, and what it brings stands behind this; by which expected decision."""
        self.given_up = None
        if passed_ns > self.passed_ns:
            self.passed_ns = passed_ns
            self.ahead.append((0, Place(self.serial, passed_ns), number))

    def place(self) -> Place:
        """How far it is handed out."""
        return Place(self.done.serial, self.done.passed_ns, self.given_up)


class Merge(Generic[T]):
    """`inputs` by name; `rare` those nobody waits for. Begins where `Merge.kept` of an earlier one says."""

    def __init__(self, inputs: Iterable[str], rare: Iterable[str] = (), kept: Kept | None = None) -> None:
        places = {} if kept is None else kept.places
        self._lines = {name: _Line[T](places.get(name, Place())) for name in sorted(inputs)}
        self._rare = {name: places.get(name, Place()).serial for name in sorted(rare)}
        self._held: list[Item[T]] = []
        self._heap: list[Item[T]] = []
        self._expected: list[Decision] = []
        self._number, self._reached_ns = (0, _BEGIN_NS) if kept is None else (kept.decided, kept.reached_ns)
        self._is_new = self._reached_ns == _BEGIN_NS
        self._decided: list[Decision] = []
        if not self._lines:
            raise ValueError("merge: expected at least one input that is waited for, found none")

    @property
    def waiting(self) -> int:
        """How many records wait for their time."""
        return len(self._heap)

    def knows(self, name: str) -> bool:
        """Whether there is such an input."""
        return name in self._lines or name in self._rare

    def passed_ns(self, name: str) -> int:
        """Up to which time an input has come; 0 for a rare one."""
        return self._lines[name].passed_ns if name in self._lines else _BEGIN_NS

    def reached_ns(self) -> int:
        """Every time up to this one has been, or is to be, handed out: everything, where nobody is waited for."""
        waited = [one.passed_ns for one in self._lines.values() if one.is_waited_for()]
        reached_ns = min(waited) if waited else max(one.passed_ns for one in self._lines.values())
        applied = self._next_applied()
        if applied is not None and applied.at_ns < reached_ns:
            reached_ns = applied.at_ns
        if reached_ns > self._reached_ns:
            self._reached_ns = reached_ns
        return self._reached_ns

    def waits_for(self) -> str:
        """The input that is furthest behind, the first by name of several."""
        lines = [(one.passed_ns, name) for name, one in self._lines.items() if one.is_waited_for()]
        return min(lines)[1] if lines else ""

    def take(
        self, name: str, serial: int, value: T | None = None, at_ns: int = 0, passed_ns: int | None = None
    ) -> None:
        """One record of an input, in its order; one that was handed out before changes nothing.

        `value` None: it only says that everything up to `passed_ns` has come. Of a rare input neither time counts.
        Raises MergeFull, and then nothing is taken, KeyError for a name that is no input.
        """
        if name in self._rare:
            if serial > self._rare[name]:
                self._rare[name] = serial
                if value is not None:
                    self._held.append(Item(0, name, serial, value))
            return
        line = self._lines[name]
        if serial <= line.serial:
            return
        if value is not None and len(self._heap) >= WAITING_MAX and name != self.waits_for():
            raise MergeFull(
                f"merge: expected at most {WAITING_MAX} waiting records, found one more from {name}, since "
                f"{self.waits_for()} has not passed {self.reached_ns()} ns."
            )
        if line.given_up is not None and serial > line.given_up:
            self._rejoin(name, line, line.given_up)
        if value is not None:
            at_ns = max(at_ns, line.passed_ns + 1)
            heapq.heappush(self._heap, Item(at_ns, name, serial, value))
            line.passed_ns = at_ns
        if passed_ns is not None and passed_ns > line.passed_ns:
            line.passed_ns = passed_ns
        line.serial = serial
        line.ahead.append((0 if value is None else at_ns, Place(serial, line.passed_ns), 0))
        self._skip_expected(name, line)

    def ready(self) -> Iterator[Item[T]]:
        """What is due now, in order."""
        if self._is_new and self.reached_ns() > _BEGIN_NS:
            self._is_new = False
            if self._next_applied() is None:
                first_ns = self._heap[0].at_ns - 1 if self._heap else self._reached_ns
                yield from self._apply(min(first_ns, self._reached_ns))
        while True:
            reached_ns = self.reached_ns()
            yield from self._due(reached_ns)
            applied = self._next_applied()
            if applied is None:
                break
            place = applied.input, applied.serial
            found = next((one for one in self._held if (one.input, one.serial) == place), None)
            if found is None or reached_ns < applied.at_ns:
                return
            self._expected.remove(applied)
            self._held.remove(found)
            yield found._replace(at_ns=applied.at_ns)
        if (reached_ns := self.reached_ns()) > _BEGIN_NS:
            yield from self._apply(reached_ns)

    def _apply(self, at_ns: int) -> Iterator[Item[T]]:
        """What came of rare inputs, at that time."""
        held, self._held = self._held, []
        for one in held:
            self._decide("applied", one.input, one.serial, at_ns)
            yield one._replace(at_ns=at_ns)

    def _due(self, reached_ns: int) -> Iterator[Item[T]]:
        while self._heap and self._heap[0].at_ns <= reached_ns:
            yield heapq.heappop(self._heap)

    def kept(self) -> Kept:
        """What must be kept to go on from what is handed out."""
        reached_ns = self.reached_ns()
        for line in self._lines.values():
            while line.ahead and line.ahead[0][0] <= reached_ns:
                line.done = line.ahead.popleft()[1]
        held = {one.input: one.serial - 1 for one in reversed(self._held)}
        rare = {name: Place(held.get(name, serial)) for name, serial in self._rare.items()}
        places = {name: line.place() for name, line in self._lines.items()} | rare
        coming = [number for line in self._lines.values() for _, _, number in line.ahead if number]
        coming += [one.number for one in self._expected]
        return Kept(places, min(coming, default=self._number + 1) - 1, reached_ns)

    def give_up(self, name: str) -> None:
        """Wait no longer for an input, until it speaks again."""
        line = self._lines[name]
        if line.given_up is None:
            line.given_up = line.serial

    def _rejoin(self, name: str, line: _Line[T], serial: int) -> None:
        """It speaks again: what was handed out meanwhile stays before it."""
        reached_ns = self.reached_ns()
        line.lift(reached_ns)
        self._decide("gave_up", name, serial, line.passed_ns)

    def expect(self, decisions: Iterable[Decision]) -> None:
        """Take over decisions of an earlier run from its output; those that are known are left out.

        Give all of them before the first record (a replay), or those of the output's end (after a crash). Of several on
        one rare record the last one counts: who began anew decided again.
        """
        found = sorted(decisions, key=lambda one: one.number)
        last = {(one.input, one.serial): one.number for one in found if one.what == "applied"}
        news = {
            one.number: one
            for one in found
            if one.number > self._number and last.get((one.input, one.serial), one.number) == one.number
        }
        followed = {number for number, one in news.items() if self._was_followed(one)}
        self._expected = [news[number] for number in sorted(news.keys() - followed)]
        self._number = max([self._number, *news])
        for name, line in self._lines.items():
            self._skip_expected(name, line)

    def begin_behind(self, decisions: Iterable[Decision]) -> None:
        """Without any state there is nothing that decisions of an earlier run are about: they only count."""
        self._number = max([self._number, *(one.number for one in decisions)])

    def _was_followed(self, decision: Decision) -> bool:
        """Whether the state that this begins with has it behind itself."""
        if decision.input in self._rare:
            return decision.serial <= self._rare[decision.input]
        if decision.input not in self._lines or not decision.at_ns:
            return False
        place = self._lines[decision.input].place()
        is_back = place.given_up is None or decision.serial < place.given_up
        return is_back and (decision.serial, decision.at_ns) <= (place.serial, place.passed_ns)

    def take_decided(self) -> list[Decision]:
        """What was decided since the last call."""
        found, self._decided = self._decided, []
        return found

    def _decide(self, what: Literal["applied", "gave_up"], name: str, serial: int, at_ns: int) -> None:
        self._number += 1
        self._decided.append(Decision(self._number, what, name, serial, at_ns))

    def _next_applied(self) -> Decision | None:
        return next((one for one in self._expected if one.what == "applied"), None) if self._expected else None

    def _skip_expected(self, name: str, line: _Line[T]) -> None:
        """What an earlier run gave up behind the record taken last."""
        if not self._expected:
            return
        for one in [one for one in self._expected if one.what == "gave_up" and one.input == name]:
            if one.serial <= line.serial:
                self._expected.remove(one)
                line.lift(one.at_ns, one.number)
