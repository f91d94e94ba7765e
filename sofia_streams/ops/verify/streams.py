"""Redis' side of a comparison: the entries that its streams still hold, put aside by bucket. Writes nothing.

A stream is bounded, so it is asked for its newest REDIS_MAXLEN entries and for what it holds before those. Entries of
a log that was there before this one, and of records that retention has dropped, are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sofia_streams import topics
from sofia_streams.ops.verify.log import LogSide, Say
from sofia_streams.ops.verify.logged import Expected, place_of
from sofia_streams.ops.verify.rows import Bucket, Item, bucket_of, item_from_texts
from sofia_streams.ops.verify.spool import Spool
from sofia_streams.settings import Settings
from sofia_streams.stores.redis_streams import RedisStreams

_SIZES = {"1000000000": "bars_1s", "60000000000": "bars_1m"}
_SAY_EVERY = 200_000
RowPlace = tuple[int, int]
"""Offset and place in the record."""


class Held(msgspec.Struct, frozen=True, array_like=True):
    """An entry: the record it is of, its place there, and what it says."""

    offset: int
    nth: int
    item: Item


_decoder = msgspec.msgpack.Decoder(list[Held])


class StreamsSide:
    """A context manager; `read` once, after the log."""

    name, worker = "redis", "redis_bridge"

    def __init__(self, settings: Settings, log: LogSide, folder: Path) -> None:
        self._settings, self._log = settings, log
        self._spool: Spool[Held] = Spool(folder, lambda _: _decoder)
        self._first: dict[tuple[str, str], RowPlace] = {}
        self.left_out = 0
        """Entries of an earlier log, or older than this one."""
        self.foreign: dict[str, int] = defaultdict(int)
        """By stream: entries that nobody of ours wrote."""

    def __enter__(self) -> StreamsSide:
        """Ready at once."""
        return self

    def __exit__(self, *error: object) -> None:
        self._spool.__exit__(*error)

    async def read(self, say: Say) -> None:
        """Put every entry aside. Raises DependencyDown, OSError."""
        store = RedisStreams(self._settings.redis_address(), self._settings.redis_maxlen)
        try:
            prefix = self._settings.stream_prefix()
            positions, count = await store.read_hash(f"{prefix}bridge"), 0
            for name in await store.counts(prefix):
                topic, _, symbol = name.partition(":")
                if topic not in (topics.TRADES.name, topics.BARS.name, topics.TICKERS.name, topics.GAPS.name):
                    continue  # another namespace's, where the prefix is none
                base = self._base(positions, topic, symbol)
                async for entry_id, fields in store.read(f"{prefix}{name}"):
                    self._take(topic, symbol, base, entry_id, fields)
                    count += 1
                    if count % _SAY_EVERY == 0:
                        say(f"read {count:,} entries of Redis")
        finally:
            await store.close()

    def buckets(self) -> set[Bucket]:
        """Those with entries."""
        return self._spool.buckets()

    def items(self, bucket: Bucket, expected: Expected) -> Iterator[Item]:
        """The entries of a bucket, but for those of records that the log no longer has."""
        begin = self._log.begin(bucket)
        for held in self._spool.rows(bucket):
            item = held.item
            if bucket.table != "trades":
                item = item._replace(identity=place_of(held.offset, held.nth))
            if held.offset >= begin or item.identity in expected.items:
                yield item

    def optional(self, bucket: Bucket, expected: Expected) -> frozenset[str]:
        """What may have been trimmed: older than what the stream holds and than its newest REDIS_MAXLEN entries."""
        stream = _stream(bucket)
        first = self._first.get(stream)
        must = (self._log.streams.newest(stream, self._settings.redis_maxlen), 0)
        since = must if first is None else min(first, must)
        return frozenset(name for name, row in expected.rows.items() if (row.offset, row.nth) < since)

    def since(self) -> dict[str, int]:
        """By stream that holds less than the log: the offset of the record of its first entry."""
        bound = self._settings.redis_maxlen
        trimmed = {stream for stream in self._first if self._log.streams.newest(stream, bound)}
        return {f"{topic}:{symbol}": self._first[topic, symbol][0] for topic, symbol in sorted(trimmed)}

    def _base(self, positions: dict[str, str], topic: str, symbol: str) -> int:
        """What the bridge adds to offsets (`worker.bridging`)."""
        place = self._log.place(topic, symbol)
        text = positions.get(topics.partition_name(place)) if place else None
        return int(msgspec.json.decode(text)["base"]) if text else 0

    def _take(self, topic: str, symbol: str, base: int, entry_id: str, fields: dict[str, str]) -> None:
        number, _, nth = entry_id.partition("-")
        offset = int(number) - base
        if offset < 0:
            self.left_out += 1
            return
        table = _SIZES.get(fields.get("size_ns", ""), "") if topic == topics.BARS.name else topic
        try:
            "".join((*fields, *fields.values())).encode()  # raises where Redis has bytes that are no UTF-8
            item = item_from_texts(table, fields)
            bucket = bucket_of(table, fields["venue"], fields["market"], fields["symbol"], item.at_ns)
        except (KeyError, ValueError):
            self.foreign[f"{topic}:{symbol}"] += 1
            return
        self._first.setdefault((topic, symbol), (offset, int(nth)))
        if self._log.span.holds(item.at_ns):
            self._spool.add(bucket, Held(offset, int(nth), item))


def _stream(bucket: Bucket) -> tuple[str, str]:
    return ("bars" if bucket.table.startswith("bars") else bucket.table), bucket.symbol
