"""Looks at a running pipeline twice a second: how far the log and every worker are. Outlives the broker's own end.

This is how a fault is known to have hit a busy system, and how long its target took to get on. Changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from sofia_streams import topics
from sofia_streams.logread import places, reader
from sofia_streams.ops.workers import READERS, Lag
from sofia_streams.settings import Settings

_EVERY_S, _ANSWER_S, _KEPT = 0.5, 4.0, 40
_RECENT_S = 4.0
_SHOWN_BY = {"questdb": "timeseries_writer", "redis": "redis_bridge"}
"""A store gets on when its writer commits; ingest and the broker when the log grows."""


class Sample(NamedTuple):
    """Records in `trades`; records committed, and those left, by worker."""

    at_s: float
    ends: int
    committed: Mapping[str, int]
    lag: Mapping[str, int]


class Busy(NamedTuple):
    """How busy it was: records a second into `trades`, and what workers had left."""

    records_per_s: float
    lag: int


class Probe:
    """`run` must be running. `samples` are those of the last seconds that the broker answered."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.samples: deque[Sample] = deque(maxlen=_KEPT)
        self.standstill_s: dict[str, float] = dict.fromkeys(READERS, 0.0)
        """By worker: the longest time in which it had records left and committed none, its own faults included."""
        self._moved_s: dict[str, float] = {}

    async def run(self) -> None:
        """Sample for ever."""
        while True:
            try:
                async with reader(self._settings) as consumer, Lag(self._settings) as lag:
                    while True:
                        async with asyncio.timeout(_ANSWER_S):
                            self.samples.append(await self._sample(consumer, lag))
                        await asyncio.sleep(_EVERY_S)
            except (KafkaError, TimeoutError, OSError):
                await asyncio.sleep(_EVERY_S)

    async def _sample(self, consumer: AIOKafkaConsumer, lag: Lag) -> Sample:
        ends = await consumer.end_offsets(places(self._settings, topics.TRADES))
        committed = {name: await lag.committed(name) for name in READERS}
        left = {name: await lag.of(name) for name in READERS}
        sample = Sample(time.monotonic(), sum(ends.values()), committed, left)
        self._note_standstill(sample)
        return sample

    def _note_standstill(self, sample: Sample) -> None:
        before = self.samples[-1] if self.samples else sample
        for name in READERS:
            if sample.committed[name] != before.committed[name] or not before.lag[name]:
                self._moved_s[name] = sample.at_s
            stood_s = round(sample.at_s - self._moved_s.setdefault(name, sample.at_s), 1)
            self.standstill_s[name] = max(self.standstill_s[name], stood_s)

    def newest(self, within_s: float = _RECENT_S) -> Sample | None:
        """The last sample, if it is recent."""
        is_recent = self.samples and time.monotonic() - self.samples[-1].at_s <= within_s
        return self.samples[-1] if is_recent else None

    def busy(self) -> Busy | None:
        """How busy it has been in the last seconds; None where nothing moved or nobody answered."""
        newest = self.newest()
        if newest is None:
            return None
        before = next(one for one in self.samples if newest.at_s - one.at_s <= _RECENT_S)
        rate = (newest.ends - before.ends) / (newest.at_s - before.at_s) if newest is not before else 0.0
        left = max(newest.lag.values())
        return Busy(round(rate, 1), left) if rate > 0 or left > 0 else None

    def reached(self, target: str) -> int:
        """How far a worker, or what shows that a server works, is known to be."""
        if not self.samples:
            return 0
        worker = _SHOWN_BY.get(target, target)
        return self.samples[-1].committed.get(worker, self.samples[-1].ends)

    async def moved(self, target: str, beyond: int, since_s: float, within_s: float) -> float | None:
        """Wait until the target is beyond that; how many seconds after `since_s`, None where it was not in time."""
        while time.monotonic() - since_s < within_s:
            newest = self.newest()
            if newest is not None and newest.at_s > since_s and self.reached(target) > beyond:
                return newest.at_s - since_s
            await asyncio.sleep(0.1)
        return None
