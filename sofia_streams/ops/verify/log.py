"""What the log says, up to a known end: waits until the workers have come so far, then puts its rows aside by bucket.

Rows that a worker had not committed within the wait are left out of what is compared, and that is said. What was
appended since is read only when something differs (`advance`). Commits and writes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
from types import TracebackType
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from sofia_streams import codec, topics
from sofia_streams.core.bars.ohlcv import window_start_ns
from sofia_streams.core.bars.windows import Rules
from sofia_streams.errors import BadRecord
from sofia_streams.logread import broker_down, connected, places, records_between, since_ms
from sofia_streams.model import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_MS, Gap, Punctuation, Trade, TradeBatch
from sofia_streams.ops.verify.logged import Logged, item_of, logged_rows, place_of
from sofia_streams.ops.verify.rows import Bucket
from sofia_streams.ops.verify.spool import Spool
from sofia_streams.ops.verify.worth import Worth
from sofia_streams.ops.workers import Lag
from sofia_streams.settings import Settings

_POLL_S = 0.1
_SAY_EVERY = 200_000
_COMPARED = (topics.TRADES, topics.BARS, topics.TICKERS, topics.GAPS)
_DECODE: dict[str, Callable[[bytes | None], object]] = {
    topics.TRADES.name: codec.decode_trades,
    topics.BARS.name: codec.decode_bar,
    topics.TICKERS.name: codec.decode_ticker,
    topics.GAPS.name: codec.decode_gap,
}
SINKS = ("timeseries_writer", "redis_bridge")
Say = Callable[[str], None]


class Span(NamedTuple):
    """[from_ns, until_ns) of the rows' own time; None: no bound."""

    from_ns: int | None = None
    until_ns: int | None = None

    def holds(self, at_ns: int) -> bool:
        """Whether a moment is in it."""
        return (self.from_ns is None or at_ns >= self.from_ns) and (self.until_ns is None or at_ns < self.until_ns)


class StreamCounts:
    """How many rows of each stream the log has, and where the newest so many begin; each 256th offset is kept."""

    _STEP = 256

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], int] = defaultdict(int)
        self._offsets: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._last: dict[tuple[str, str], int] = {}

    def add(self, stream: tuple[str, str], offset: int) -> None:
        """One row of (topic, symbol)."""
        if self._rows[stream] % self._STEP == 0:
            self._offsets[stream].append(offset)
        self._rows[stream] += 1
        self._last[stream] = offset

    def newest(self, stream: tuple[str, str], rows: int) -> int:
        """An offset from which on there are at most so many rows, and at most 256 and one record's fewer."""
        skipped = self._rows[stream] - rows
        if skipped <= 0:
            return 0
        place = -(-skipped // self._STEP)
        offsets = self._offsets[stream]
        return (offsets[place] if place < len(offsets) else self._last[stream]) + 1


class LogSide:
    """The log's side of a comparison. A context manager; `read` before anything else."""

    def __init__(self, settings: Settings, spool: Spool[Logged], span: Span) -> None:
        self._settings, self._spool, self.span = settings, spool, span
        self.recent: dict[Bucket, set[str]] = defaultdict(set)
        """Identities of rows appended since the end that was read, so far as `advance` has come."""
        self.open_minutes: dict[tuple[str, str], set[int]] = defaultdict(set)
        """By market and symbol: minutes with trades that `ohlcv` had perhaps not done when `bars` ended."""
        self._newest_bar_ns: dict[tuple[str, str, str, str], int] = {}
        self.worth = Worth(Rules(lateness_ns=settings.lateness_ms * NS_PER_MS))
        self.saw_all = True
        """Whether every record of `trades` that there ever was is read."""
        self.records: dict[str, int] = defaultdict(int)
        self.unreadable = 0
        self.left: dict[str, int] = {}
        """By worker: records before the end that it had not committed."""
        self.streams = StreamCounts()
        self._partition: dict[tuple[str, str], int] = {}
        self._first_ns: dict[TopicPartition, int | None] = {}

    async def __aenter__(self) -> LogSide:
        """Connect. Raises DependencyDown."""
        try:
            self._consumer = await connected(self._settings)
        except KafkaError as error:
            raise broker_down(self._settings, error) from error
        self._places = [place for topic in _COMPARED for place in places(self._settings, topic)]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self._consumer.stop()

    async def settle(self, say: Say, *, wait_s_max: float) -> None:
        """Fix the end, and wait until candles and sinks have come there, or for so long."""
        deadline_s = time.monotonic() + wait_s_max
        trades = [place for place in self._places if _topic(place) == topics.TRADES.name]
        async with Lag(self._settings) as lag:
            self._ends = await self._consumer.end_offsets(trades)
            candles = await _reached(lag, "ohlcv", self._ends, deadline_s, say)
            self._ends |= await self._consumer.end_offsets([place for place in self._places if place not in trades])
            done = {"ohlcv": candles}
            for worker in SINKS:
                done[worker] = await _reached(lag, worker, self._ends, deadline_s, say)
        self._done = done
        for worker, reached in done.items():
            left = sum(max(0, self._ends[place] - offset) for place, offset in reached.items())
            if left:
                self.left[worker] = left

    async def read(self, say: Say) -> None:
        """Put every row of the span aside. Raises KafkaError, OSError."""
        begins = self._begins = await self._consumer.beginning_offsets(self._places)
        starts = await self._starts(begins)
        self.saw_all = not any(start for place, start in starts.items() if _topic(place) == topics.TRADES.name)
        for place, begin in begins.items():
            self._first_ns[place] = None if begin == 0 else await self._time_at(place, begin)
        async for message in records_between(self._consumer, starts, self._ends):
            self._take(message)
            if (count := sum(self.records.values())) % _SAY_EVERY == 0:
                say(f"read {count:,} records of the log, {self._spool.rows_added:,} rows")
        self._next = dict(self._ends)

    async def advance(self, bucket: Bucket | None = None, identities: Container[str] = ()) -> dict[str, Logged]:
        """Note what has been appended since: those rows are on their way. The last of each of `identities`."""
        ends = await self._consumer.end_offsets(self._places)
        found: dict[str, Logged] = {}
        async for message in records_between(self._consumer, self._next, ends):
            record = self._record(message)
            if isinstance(record, Gap):
                self.worth.doubt(record)
            for name, at_ns, row in _rows(message, record):
                identity = item_of(row.record).identity
                self.recent[name].add(identity)
                self.recent[name].add(place_of(row.offset, row.nth))
                if isinstance(row.record, Trade):
                    self.open_minutes[name.market, name.symbol].add(window_start_ns(at_ns, NS_PER_MINUTE))
                if name == bucket and identity in identities:
                    found[identity] = row
        self._next = ends
        return found

    def settled_before(self, bucket: Bucket, worker: str) -> int:
        """The offset before which a worker has done every record of a bucket's symbol, at most the end."""
        place = self._place(bucket)
        return min(self._ends[place], self._done[worker].get(place, self._ends[place])) if place else 0

    def begin(self, bucket: Bucket) -> int:
        """The first offset that the log has of a bucket's symbol."""
        place = self._place(bucket)
        return self._begins[place] if place else 0

    def place(self, topic: str, symbol: str) -> TopicPartition | None:
        """Where the records of a symbol stand; None where there are none."""
        number = self._partition.get((topic, symbol))
        name = topics.wire_name(topics.TOPICS[topic], self._settings.namespace)
        return None if number is None else TopicPartition(name, number)

    def begins_ns(self, bucket: Bucket) -> int:
        """From when on everything of a bucket's symbol is in the log: the hour after its first record, or 0.

        Retention drops the oldest records, and a row's own time says only about when its record was appended.
        """
        place = self._place(bucket)
        known = [self._first_ns[place]] if place else [self._first_ns[one] for one in self._of(bucket.table)]
        found = [first_ns for first_ns in known if first_ns is not None]
        return max((-(-first_ns // NS_PER_HOUR) * NS_PER_HOUR for first_ns in found), default=0)

    def closed_ns(self, bucket: Bucket) -> int:
        """A window of a bucket's instrument that ends at or before this must have its bar by now.

        By the trades and punctuation that `ohlcv` has done, and by bars: every window before one is closed.
        """
        instrument = f"{bucket.venue}|{bucket.market}|{bucket.symbol}"
        closed_ns = self.worth.closing.closed_ns(instrument, saw_all=self.saw_all)
        return max(closed_ns, self._newest_bar_ns.get(bucket[:4], 0))

    def summary(self) -> dict[str, Any]:
        """How much was read, as it is printed."""
        return {"records": dict(self.records), "rows": self._spool.rows_added, "unreadable": self.unreadable}

    def _take(self, message: Any) -> None:
        topic = _topic(message)
        self.records[topic] += 1
        record = self._record(message)
        undone = topic == topics.TRADES.name and message.offset >= self._done["ohlcv"].get(_at(message), 0)
        if topic == topics.TRADES.name and not undone and isinstance(record, TradeBatch | Punctuation | Gap):
            self.worth.add(record)
        elif undone and isinstance(record, Gap):
            self.worth.doubt(record)
        for bucket, at_ns, row in _rows(message, record):
            self.streams.add((topic, bucket.symbol), message.offset)
            self._partition.setdefault((topic, bucket.symbol), message.partition)
            if undone:
                self.open_minutes[bucket.market, bucket.symbol].add(window_start_ns(at_ns, NS_PER_MINUTE))
            if topic == topics.BARS.name:
                name = bucket[:4]
                self._newest_bar_ns[name] = max(at_ns, self._newest_bar_ns.get(name, 0))
            if self.span.holds(at_ns):
                self._spool.add(bucket, row)

    def _record(self, message: Any) -> object:
        try:
            return _DECODE[_topic(message)](message.value)
        except BadRecord:
            self.unreadable += 1  # its readers have quarantined it
            return None

    async def _starts(self, begins: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        starts = dict(begins)
        if self.span.from_ns is not None:
            found = await self._consumer.offsets_for_times(dict.fromkeys(self._places, since_ms(self.span.from_ns)))
            for place, begin in begins.items():
                later = found.get(place)
                starts[place] = max(begin, later.offset if later else self._ends[place])
        return starts

    async def _time_at(self, place: TopicPartition, offset: int) -> int:
        """The time of the record there; now where retention has dropped all."""
        if offset >= self._ends[place]:
            return time.time_ns()
        self._consumer.assign([place])
        self._consumer.seek(place, offset)
        message = await self._consumer.getone(place)
        return int(message.timestamp) * NS_PER_MS

    def _place(self, bucket: Bucket) -> TopicPartition | None:
        return self.place(_topic_of(bucket.table).name, bucket.symbol)

    def _of(self, table: str) -> list[TopicPartition]:
        return places(self._settings, _topic_of(table))


def _rows(message: Any, record: object) -> Iterable[tuple[Bucket, int, Logged]]:
    if isinstance(record, Gap) and _topic(message) == topics.TRADES.name:
        return ()  # its rows are those of `gaps`
    return logged_rows(record, message.offset)


async def _reached(
    lag: Lag, worker: str, ends: Mapping[TopicPartition, int], deadline_s: float, say: Say
) -> dict[TopicPartition, int]:
    """How far a worker has come, once that is the end of its inputs or the wait is over."""
    said = False
    while True:
        done = await lag.reached(worker)
        reached = {place: done.get(place, 0) for place in lag.inputs(worker) if place in ends}
        if all(offset >= ends[place] for place, offset in reached.items()) or time.monotonic() >= deadline_s:
            return reached
        if not said:
            say(f"waiting for {worker} to come to the end of the log")
            said = True
        await asyncio.sleep(_POLL_S)


def _at(message: Any) -> TopicPartition:
    return TopicPartition(message.topic, message.partition)


def _topic(place: Any) -> str:
    """The catalogue's name of the topic of a partition or a message."""
    return str(place.topic).split(".")[-2]


def _topic_of(table: str) -> topics.Topic:
    return topics.BARS if table.startswith("bars") else topics.TOPICS[table]
