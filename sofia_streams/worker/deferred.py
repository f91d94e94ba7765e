"""A Faust table whose rows go into the changelog when they are told to, not when they change (docs/adr/0003).

What it does not do: decide when (`acks`).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import faust
import msgspec
import structlog
from faust.serializers import codecs

from sofia_streams import codec
from sofia_streams.core.bars.windows import Feed, Gaps, gaps_key
from sofia_streams.crash_points import passing
from sofia_streams.errors import BadRecord
from sofia_streams.topics import partition_name

_log = structlog.get_logger("table")
_SAY_EVERY_S = 5.0
_REASON_CHARS = 500
_ROW = "sofia-row"
"""The name by which Faust knows how our rows are written."""


class _RowCodec(codecs.Codec):
    def _dumps(self, row: Any) -> bytes:
        return codec.encode(row)

    def _loads(self, data: bytes) -> Any:
        return codec.decode_row(data)


codecs.register(_ROW, _RowCodec())


class Change(NamedTuple):
    """A row of a table that is changed in memory and not yet in the changelog; None deletes."""

    partition: int
    key: str
    row: Any


class ReadBack:
    """Counts what is read back of a changelog, and says how far it is when that takes long."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rows = self._bytes = 0
        self._began_s = self._said_s = 0.0

    def add(self, row: bytes | None, now_s: float, left: Callable[[], int]) -> None:
        """One row, None for one that deletes; `left` is asked for the rows to come, when that is said."""
        if self._rows == 0:
            self._began_s = self._said_s = now_s
        self._rows += 1
        self._bytes += len(row or b"")
        if now_s - self._said_s >= _SAY_EVERY_S:
            self._said_s = now_s
            _log.warning("reading the table back from its changelog", **self._seen(now_s), rows_left=left())

    def end(self, now_s: float) -> None:
        """All is read, which is said where it took long; what comes later is counted anew."""
        if self._said_s > self._began_s:
            _log.warning("the table is read back from its changelog", **self._seen(now_s))
        self._rows = self._bytes = 0
        self._began_s = self._said_s = now_s

    def _seen(self, now_s: float) -> dict[str, Any]:
        took_s, mb = now_s - self._began_s, self._bytes / 1e6
        speed = {"mb_per_s": round(mb / took_s, 1)} if took_s > 0 else {}
        return {"table": self._name, "rows": self._rows, "mb": round(mb, 1), "s": round(took_s, 1), **speed}


class ReadableTopic(faust.Topic):
    """A changelog whose rows are all read, or the worker ends. Inputs are taken raw: nothing of them is decoded here.

    Faust passes over a row that cannot be decoded, or waits for ever where it is the last one.
    """

    async def on_key_decode_error(self, exc: Exception, message: Any) -> None:
        """Instead of Faust's, which tells nobody."""
        await self._end(exc, message)

    async def on_value_decode_error(self, exc: Exception, message: Any) -> None:
        """As for the key."""
        await self._end(exc, message)

    async def _end(self, exc: Exception, message: Any) -> None:
        place = partition_name(message)
        error = BadRecord(
            f"{place} at {message.offset}: expected a row of the worker's table, found {exc!r}"[:_REASON_CHARS] + ". "
            "Without it the table would be wrong, so the worker ends. If another version wrote it, run that one. If it "
            f"is damaged, delete the topic {message.topic} and the worker's group with a Kafka tool, and start again: "
            "the table is made anew from the log."
        )
        _log.error(str(error))
        await self.app.crash(error)


class DeferredTable(faust.Table):
    """A table whose changelog is written by `write`, when what the rows follow from is in the log."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.value_serializer = _ROW
        self._changes: list[Change] = []
        self._read_back = ReadBack(str(self.name))

    def on_key_set(self, key: str, value: Any) -> None:
        """Instead of Faust's, which sends at once."""
        self._changes.append(Change(self.partition_for_key(key), key, value))

    def on_key_del(self, key: str) -> None:
        """As `on_key_set`."""
        self._changes.append(Change(self.partition_for_key(key), key, None))

    async def on_changelog_event(self, event: Any) -> None:
        """A row is read back."""
        passing("recovery")
        left = self.app.tables.recovery.active_remaining_total
        self._read_back.add(event.message.value, time.monotonic(), left)
        await super().on_changelog_event(event)

    async def on_recovery_completed(self, active_tps: Any, standby_tps: Any) -> None:
        """All rows are read back."""
        self._read_back.end(time.monotonic())
        await super().on_recovery_completed(active_tps, standby_tps)

    def take_changes(self) -> list[Change]:
        """All changes since the last call, in order; each must be given to `write`."""
        taken, self._changes = self._changes, []
        return taken

    def newest(self, is_there: Callable[[str], bool]) -> tuple[str, Feed] | None:
        """The instrument that has applied the newest record, among those whose symbol `is_there`."""
        feeds = [(key, row) for key, row in self.data.items() if isinstance(row, Feed) and row.offset >= 0]
        there = [(key, row) for key, row in feeds if is_there(key.rpartition("|")[2])]
        return max(there, key=lambda one: one[1].offset, default=None)

    async def step_back(self, partition: int, offset: int, is_there: Callable[[str], bool]) -> None:
        """Let instruments of a partition take records from `offset` on again; their trades are known by their ids.

        `is_there(symbol)` says whether a symbol is in the partition. Acknowledged by the changelog. Gaps step back with
        their feed, and before it; those that a crash left ahead of it stay so.
        """
        for key, row in list(self.data.items()):
            if isinstance(row, Feed) and row.offset >= offset and is_there(key.rpartition("|")[2]):
                gaps = self.data.get(gaps_key(key))
                if isinstance(gaps, Gaps) and offset <= gaps.offset <= row.offset:
                    await self._put(partition, gaps_key(key), msgspec.structs.replace(gaps, offset=offset - 1))
                await self._put(partition, key, msgspec.structs.replace(row, offset=offset - 1))

    async def _put(self, partition: int, key: str, row: Feed | Gaps) -> None:
        self.data[key] = row
        await self.write(Change(partition, key, row))

    def write(self, change: Change) -> Awaitable[Any]:
        """Send one change to the changelog; the future of its acknowledgement."""
        serializer = "raw" if change.row is None else self.value_serializer
        future: Awaitable[Any] = self.send_changelog(
            change.partition, change.key, change.row, value_serializer=serializer
        )
        return future
