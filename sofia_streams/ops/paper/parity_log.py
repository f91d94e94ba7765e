"""What the paper_oms worker left in the log: snapshots, decisions, what it said. Reads; compares nothing."""

from __future__ import annotations

from typing import NamedTuple

from aiokafka import TopicPartition

from sofia_streams import topics
from sofia_streams.core.oms.steps import AccountRow, Snapshot
from sofia_streams.errors import BadRecord
from sofia_streams.logread import DECODE, places
from sofia_streams.model import NS_PER_HOUR
from sofia_streams.ops.paper.log_stretch import LogView
from sofia_streams.ops.paper.parity_compare import Said, is_behind
from sofia_streams.paper import Account, Fill, Order, Taken
from sofia_streams.settings import Settings

_APART_NS = 2 * NS_PER_HOUR
"""Two snapshots are at most so far apart while anything is traded; where they are further, all of `account` is read."""


class Kept(NamedTuple):
    """A snapshot and where it stands in `account`."""

    offset: int
    snapshot: Snapshot


class Course(NamedTuple):
    """A snapshot to begin with, those behind it, and what was decided behind it."""

    begin: Kept
    later: list[Kept]
    taken: list[Taken]
    passed_over: str = ""
    """Why an older snapshot was not begun with; "" where none was passed over."""
    until: AccountRow | None = None
    """From this row on the account went by other rules: what is behind it is another course's."""

    def has(self, record: Account | Fill | Order) -> bool:
        """Whether a record that was said behind the begin belongs to this course."""
        return self.until is None or not is_behind(self.until, record)


async def snapshots(settings: Settings, view: LogView, from_ns: int) -> list[Kept]:
    """All that stand in `account`, from the newest at or before a moment on; of one life of the account."""
    chosen = places(settings, topics.ACCOUNT)
    ends = await view.consumer.end_offsets(chosen)
    begins = await view.consumer.beginning_offsets(chosen)
    for starts in (await view.starts(chosen, max(0, from_ns - _APART_NS), ends), begins):
        found: list[Kept] = []
        async for message in view.between(starts, ends):
            if (record := _decoded(topics.ACCOUNT, message.value)) and isinstance(record, Snapshot):
                if found and record.at_ns < found[-1].snapshot.at_ns - NS_PER_HOUR:
                    found.clear()  # the account was begun anew
                found.append(Kept(message.offset, record))
        before = [place for place, one in enumerate(found) if one.snapshot.at_ns <= from_ns]
        if before:
            return found[before[-1] :]
        if starts == begins:
            break
    return found


async def course(settings: Settings, view: LogView, found: list[Kept]) -> Course | None:
    """Begin with the first of these whose inputs are all there still; None: retention has cut every one."""
    why = ""
    for number, kept in enumerate(found):
        cut = await _cut(view, kept.snapshot)
        if cut:
            why = why or f"retention has dropped what {', '.join(cut)} had behind it"
            continue
        return Course(kept, found[number + 1 :], await _decisions(settings, view, kept), why)
    return None


async def _cut(view: LogView, snapshot: Snapshot) -> list[str]:
    """The partitions that no longer have all that must be read behind a snapshot."""
    offsets = {TopicPartition(*topics.partition_named(name)): at for name, at in snapshot.offsets.items()}
    begins = await view.consumer.beginning_offsets([*offsets])
    return sorted(topics.partition_name(place) for place, at in offsets.items() if begins[place] > at)


async def _decisions(settings: Settings, view: LogView, kept: Kept) -> list[Taken]:
    chosen = places(settings, topics.ACCOUNT)
    ends = await view.consumer.end_offsets(chosen)
    found = []
    async for message in view.between(dict.fromkeys(chosen, kept.offset), ends):
        if (record := _decoded(topics.ACCOUNT, message.value)) and isinstance(record, Taken):
            found.append(record)
    return found


async def said_behind(settings: Settings, view: LogView, kept: Kept) -> Said:
    """Orders, fills and the account as they stand behind a snapshot, up to the present end."""
    said, row = Said(), kept.snapshot.row
    for topic in (topics.ORDERS, topics.FILLS, topics.ACCOUNT):
        async for message in view.since(topic, kept.snapshot.at_ns):
            if topic is topics.ACCOUNT and message.offset < kept.offset:
                continue
            record = _decoded(topic, message.value)
            if isinstance(record, Order | Fill | Account) and is_behind(row, record):
                said.add(record)
    return said


def _decoded(topic: topics.Topic, value: bytes | None) -> object:
    """A record; None for one that cannot be read: its readers have quarantined it."""
    try:
        return DECODE[topic](value)
    except BadRecord:
        return None
