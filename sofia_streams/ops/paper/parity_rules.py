"""What a paper account went by, as its snapshots have it: rules, instruments, lots; and what of it was changed."""

from __future__ import annotations

from sofia_streams.core.oms.recorded import changed, recorded
from sofia_streams.core.oms.rules import Instrument, Lot, Rules
from sofia_streams.core.oms.steps import Snapshot, lots_of
from sofia_streams.ingest.rest.lots import kept_lots
from sofia_streams.ops.paper.parity_log import Course, Kept
from sofia_streams.paper_rules import paper_instruments, paper_rules
from sofia_streams.settings import Settings


def gone_by(
    settings: Settings, snapshot: Snapshot | None
) -> tuple[Rules, list[Instrument], list[tuple[str, str, Lot]]]:
    """What the worker went by at a snapshot, else (None, or where it does not say) what the settings of now say."""
    if snapshot is not None and snapshot.rules is not None:
        return snapshot.rules, snapshot.instruments, snapshot.row.lots
    instruments = paper_instruments(settings)
    return paper_rules(settings), instruments, lots_of(instruments, kept_lots(settings))


def parts(settings: Settings, begun: Course) -> list[Course]:
    """The stretches of a course in which the account went by the same rules: a worker that starts with others says a
    snapshot before anything else.
    """
    found: list[Course] = []
    begin, later, known = begun.begin, list[Kept](), recorded(*gone_by(settings, begun.begin.snapshot))
    for one in begun.later:
        then = recorded(*gone_by(settings, one.snapshot))
        later.append(one)
        if then != known:
            found.append(Course(begin, later, begun.taken, until=one.snapshot.row))
            begin, later, known = one, [], then
    return [*found, Course(begin, later, begun.taken)]


def changes(settings: Settings, begun: Course) -> list[str]:
    """Rules, lots and instruments that were changed while the log was written, and that are others now."""
    known, found = recorded(*gone_by(settings, begun.begin.snapshot)), []
    for one in begun.later:
        then = recorded(*gone_by(settings, one.snapshot))
        found += [f"changed at {one.snapshot.at_ns} ns: {line}" for line in changed(known, then)]
        known = then
    return found + changed(known, recorded(*gone_by(settings, None)))
