"""`sofia parity`: what the live paper account said, computed again from the log and compared, from a snapshot on.

The same steps as the worker's read the same records, with its decisions on order (`paper.Taken`) and its rules.
Compared are orders by revision, fills, and the account by serial, up to the last moment that both have reached. What it
does not do: change anything, ask why a model said what it did (`sofia models rescore`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import msgspec
from aiokafka import TopicPartition

from sofia_streams import topics
from sofia_streams.core.oms.sequence import CONTROL, input_of, serial_of
from sofia_streams.core.oms.steps import PaperSteps
from sofia_streams.errors import BadRecord, ConfigError, MergeFull
from sofia_streams.logread import DECODE, places, reader
from sofia_streams.model import NS_PER_DAY
from sofia_streams.ops.paper.log_stretch import LogView, side_by_side
from sofia_streams.ops.paper.parity_compare import Said, compare, profit, shown
from sofia_streams.ops.paper.parity_log import Course, course, said_behind, snapshots
from sofia_streams.ops.paper.parity_rules import changes, gone_by, parts
from sofia_streams.ops.paper.parity_stores import are_equal, compare_stores, logged_ids
from sofia_streams.ops.paper.traced import traced
from sofia_streams.ops.times import ago_or_utc_ns, check_order, utc_ns
from sofia_streams.ops.workers import Lag
from sofia_streams.paper import Taken
from sofia_streams.settings import Settings
from sofia_streams.stores.questdb import QuestDb
from sofia_streams.topics import place_of

Report = Callable[[str, int, int], None]
_TELL_EVERY, _SHOWN_MAX = 5_000, 100
_NEVER_NS = 2**63 - 1


class Asked(NamedTuple):
    """A stretch of event time; `is_last`: from the snapshot before the newest one to where the worker has come;
    `is_by_now`: by the settings of now.
    """

    from_ns: int
    until_ns: int = _NEVER_NS
    is_last: bool = False
    is_by_now: bool = False


def day(text: str | None, now_ns: int) -> Asked:
    """A UTC day; None: yesterday. Raises ConfigError."""
    if text is None:
        begin_ns = now_ns // NS_PER_DAY * NS_PER_DAY - NS_PER_DAY
    elif len(text) != len("2026-01-31"):
        raise ConfigError(f"--date: expected a day like 2026-01-31, found {text[:40]!r}.")
    else:
        begin_ns = utc_ns(text, "--date")
    return Asked(begin_ns, begin_ns + NS_PER_DAY)


def stretch(start: str, end: str | None, now_ns: int) -> Asked:
    """As --from and --to say; no end: as far as the worker has come. Raises ConfigError."""
    from_ns = ago_or_utc_ns(start, "--from", now_ns)
    until_ns = None if end is None else ago_or_utc_ns(end, "--to", now_ns)
    check_order(from_ns, until_ns, start, end)
    return Asked(from_ns, _NEVER_NS if until_ns is None else until_ns)


async def parity(settings: Settings, asked: Asked, report: Report, *, stores: bool = False) -> dict[str, Any]:
    """What `sofia parity --json` prints (docs/paper_trading.md); `stores`: QuestDB's rows too.

    Raises KafkaError, DependencyDown, QueryRefused.
    """
    report("looking for a snapshot", 0, 1)
    async with Lag(settings) as lag:
        reached = await lag.reached("paper_oms")  # first: what followed from these is in the log by now
    async with reader(settings) as consumer:
        view = LogView(settings, consumer)
        found = await snapshots(settings, view, 0 if asked.is_last else asked.from_ns)
        if asked.is_last:
            found = found[-2:]
        begun = await course(settings, view, found)
        if begun is None:
            return _not_compared(asked, had_snapshots=bool(found))
        report("reading what the account said", 0, 1)
        logged = await said_behind(settings, view, begun.begin)
        run = Rerun(settings, is_by_now=asked.is_by_now)
        for part in [begun] if asked.is_by_now else parts(settings, begun):
            if part.begin.snapshot.at_ns >= asked.until_ns:
                break
            run.begin(part)
            await run.through(view, reached, asked.until_ns, report)
            if not run.is_through():
                break
        until_ns = min(asked.until_ns - 1, run.steps.books.now_ns)
        result = _result(settings, asked, begun, run, logged, until_ns)
        if stores:
            result |= await asyncio.to_thread(_in_stores, settings, begun, logged, until_ns)
        if result["differences"]:
            first = compare(run.said, logged, until_ns)[0]
            versions = len(logged.found.get(first.key, ()))
            result["first_cause"] = await traced(view, first, result["changed"], versions)
        return result


class Rerun:
    """The steps from a snapshot on, and what they say; `begin` comes before everything."""

    def __init__(self, settings: Settings, *, is_by_now: bool = False) -> None:
        """`is_by_now`: by the settings of now instead of those that the snapshot has."""
        self._settings, self._is_by_now = settings, is_by_now
        self.said, self.stopped, self.unreadable = Said(), "", 0
        self.steps: PaperSteps
        self._begun: Course

    def begin(self, begun: Course) -> None:
        """At a snapshot, as the worker did; what was said before stays."""
        self._begun, snapshot = begun, deepcopy(begun.begin.snapshot)  # the books go on changing
        rules, instruments, lots = gone_by(self._settings, None if self._is_by_now else snapshot)
        self.steps = PaperSteps(rules, instruments, row=msgspec.structs.replace(snapshot.row, lots=lots))
        self.steps.expect(begun.taken)
        self._silent = silent_since(begun)
        for name, place in snapshot.row.kept.places.items():
            self._give_up(name, place.serial)
        applied = [one.serial for one in begun.taken if one.what == "applied" and one.input == CONTROL]
        self._control = {*applied}

    async def through(
        self, view: LogView, reached: Mapping[TopicPartition, int], until_ns: int, report: Report
    ) -> None:
        """Take every input from the snapshot's offsets up to where the worker has come, or until the end is passed."""
        if self._begun.until is not None:
            until_ns = min(until_ns, self._begun.until.kept.reached_ns + 1)
        starts = {TopicPartition(*topics.partition_named(name)): at
                  for name, at in self._begun.begin.snapshot.offsets.items()}  # fmt: skip
        # of commands all: the decisions say which were applied; and a worker that said a later row had read up to there
        whole = places(self._settings, topics.CONTROL) if self._begun.until is None else [*starts]
        ends = {place: reached.get(place, 0) for place in starts} | await view.consumer.end_offsets(whole)
        total, done = sum(max(0, ends[place] - at) for place, at in starts.items()), 0
        if not total:
            return
        async with reader(self._settings) as consumer:
            async for message in side_by_side(consumer, starts, ends):
                done += 1
                if done % _TELL_EVERY == 1:
                    report("computing again", done, total)
                if not self.take(message) or self.steps.books.now_ns >= until_ns:
                    break

    def is_through(self) -> bool:
        """Whether everything of the course is computed."""
        until = self._begun.until
        return not self.stopped and (until is None or self.steps.merge.reached_ns() >= until.kept.reached_ns)

    def take(self, message: Any) -> bool:
        """One record of the log; whether it can go on."""
        name = topics.catalogue_name(message)
        if name == topics.CONTROL.name and serial_of(message.offset) not in self._control:
            return True
        try:
            record = DECODE[topics.TOPICS[name]](message.value)
        except BadRecord:
            self.unreadable += 1  # its readers have quarantined it
            return True
        try:
            serial = self.steps.take(record, message.offset, place_of(message))
        except MergeFull as error:
            self.stopped = str(error)
            return False
        self._give_up(input_of(record), serial)
        for one in self.steps.run():
            if not isinstance(one, Taken) and self._begun.has(one):
                self.said.add(one)
        return True

    def _give_up(self, name: str, serial: int) -> None:
        """Behind the last record of an input that is silent since, as the worker did."""
        if name in self._silent and serial >= self._silent[name] and self.steps.merge.knows(name):
            self.steps.merge.give_up(name)
            del self._silent[name]


def silent_since(begun: Course) -> dict[str, int]:
    """Inputs that the worker waits for no longer, by the newest snapshot, and that have not spoken since: the serials
    of their last records. Of the others, decisions say where they were given up.
    """
    if not begun.later:
        return {}
    back = {(one.input, one.serial) for one in begun.taken if one.what == "gave_up"}
    found = {name: place.given_up for name, place in begun.later[-1].snapshot.row.kept.places.items()}
    return {name: serial for name, serial in found.items() if serial is not None and (name, serial) not in back}


def _result(
    settings: Settings, asked: Asked, begun: Course, run: Rerun, logged: Said, until_ns: int
) -> dict[str, Any]:
    snapshot = begun.begin.snapshot
    differences = compare(run.said, logged, until_ns)
    counts = {"log": logged.counts(until_ns), "computed": run.said.counts(until_ns)}
    notes = _notes(asked, begun, run, until_ns)
    if not any(counts["log"].values()) and not differences:
        notes.append("nothing was said in this stretch")
    from_ns = 0 if asked.is_last else asked.from_ns
    both = {"log": logged, "computed": run.said}
    return {
        "equal": not differences,
        "whole": not notes,
        "asked": _asked(asked),
        "compared": {"from_ns": snapshot.at_ns, "until_ns": until_ns, "snapshot": snapshot_place(settings, begun)},
        "counts": counts,
        "pnl": {name: profit(said, snapshot.row, from_ns, until_ns) for name, said in both.items()},
        "changed": changes(settings, begun),
        "notes": notes,
        "unreadable": run.unreadable,
        "stores": None,
        "stores_equal": None,
        "first_cause": None,
        "differences": shown(differences[:_SHOWN_MAX]),
        "differences_left_out": max(0, len(differences) - _SHOWN_MAX),
    }


def _in_stores(settings: Settings, begun: Course, logged: Said, until_ns: int) -> dict[str, Any]:
    store, from_ns = QuestDb(settings.questdb_address(), settings.table_prefix()), begun.begin.snapshot.at_ns
    found = compare_stores(store, logged_ids(logged, from_ns, until_ns), from_ns, until_ns)
    return {"stores": found, "stores_equal": are_equal(found)}


def snapshot_place(settings: Settings, begun: Course) -> str:
    """ "topic/partition/offset" of the snapshot that was begun with."""
    return f"{topics.partition_name(places(settings, topics.ACCOUNT)[0])}/{begun.begin.offset}"


def _notes(asked: Asked, begun: Course, run: Rerun, until_ns: int) -> list[str]:
    """Why not all that was asked for is compared."""
    notes, begin_ns = [], begun.begin.snapshot.at_ns
    if begun.passed_over:
        notes.append(f"begun with a later snapshot: {begun.passed_over}")
    elif begin_ns > asked.from_ns and not asked.is_last:
        notes.append("no snapshot is as old as the begin: what is before the first one is not compared")
    if run.stopped:
        notes.append(f"not computed to the end: {run.stopped}")
    elif asked.until_ns != _NEVER_NS and until_ns < asked.until_ns - 1:
        waits = run.steps.merge.waits_for()
        notes.append(f"the log goes, or paper_oms has come, no further than {until_ns} ns; {waits} is furthest behind")
    return notes


def _not_compared(asked: Asked, *, had_snapshots: bool) -> dict[str, Any]:
    why = (
        "retention has dropped what stood behind every snapshot"
        if had_snapshots
        else "`account` has no snapshot: paper_oms has not run on this log, or retention has dropped all it wrote"
    )
    nothing = dict.fromkeys(("compared", "counts", "pnl", "stores", "stores_equal", "first_cause"))
    return nothing | {
        "equal": False, "whole": False, "asked": _asked(asked), "changed": [], "notes": [why], "unreadable": 0,
        "differences": [], "differences_left_out": 0,
    }  # fmt: skip


def _asked(asked: Asked) -> dict[str, int | None]:
    return {
        "from_ns": None if asked.is_last else asked.from_ns,
        "until_ns": None if asked.until_ns == _NEVER_NS else asked.until_ns,
    }
