"""Looks how far the workers of `sofia up` are, every second, and has one that stands still killed.

A worker that reads the log must move: where a partition's committed offset is behind the end, it changes within
WATCHDOG_STALL_S. Ingest reads no log; its progress in `health` must move. A worker that has only started gets four
times as long. Whatever keeps the watch from seeing (a broker that is down, or slow, or this process having slept) says
nothing about workers: then everybody's time begins anew, and where it lasts, that is said (`sight`). A worker that says
on its page that it waits for a store, or is at something long, is let wait. What it does not do: start anything
(`supervise`).
"""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Protocol

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from sofia_streams import codec, topics
from sofia_streams.embedded.ports import HOST
from sofia_streams.errors import BadRecord
from sofia_streams.logread import connected, places
from sofia_streams.obs import metrics
from sofia_streams.ops.supervision.sight import Blind, Sight
from sofia_streams.ops.supervision.stall import Stall, StallWatch
from sofia_streams.ops.workers import READERS, Lag
from sofia_streams.settings import Settings

_EVERY_S, _SLOW_S, _ANSWER_S, _AGAIN_S = 1.0, 3.0, 10.0, 1.0
_PAGE_S, _ASKED_S = 3.0, 0.5
_WAITING = "sofia_waiting{"


def _silent(blind: Blind | None) -> None:
    """Say nothing."""


class Watched(Protocol):
    """One worker as its supervisor keeps it."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def running_pid(self) -> int | None: ...  # noqa: D102  None while it is not running
    @property
    def web_port(self) -> int: ...  # noqa: D102
    def ask_waits(self) -> None: ...  # noqa: D102  have its log say what it waits for


class Watchdog:
    """`run` looks for ever; `kill(worker, stall)` ends one that stands still.

    `tell` is called with what cannot be seen, again each minute while that lasts, and with None once all is seen again.
    """

    def __init__(
        self,
        settings: Settings,
        workers: Sequence[Watched],
        kill: Callable[[Watched, Stall], None],
        tell: Callable[[Blind | None], None] = _silent,
    ) -> None:
        self._settings, self._workers, self._kill, self._tell = settings, workers, kill, tell
        self._watches = {worker.name: StallWatch(settings.watchdog_stall_s) for worker in workers}
        self._pids: dict[str, int | None] = {}
        self.sees = False
        self._looked_s = time.monotonic()
        self.sight = Sight(self._watches, self._looked_s)

    async def run(self) -> None:
        """Look, and tell where nothing is seen; two tasks, since a look may hang."""
        await asyncio.gather(self._look_for_ever(), self._tell_blindness())

    async def _look_for_ever(self) -> None:
        """Connect again whenever the broker did not answer."""
        while True:
            try:
                async with asyncio.timeout(_ANSWER_S) as bound, AsyncExitStack() as opened:
                    lag = await opened.enter_async_context(Lag(self._settings))
                    reports = await opened.enter_async_context(Reports(self._settings))
                    while True:
                        bound.reschedule(asyncio.get_running_loop().time() + _ANSWER_S + _EVERY_S)
                        await self._look(lag, reports)
                        await asyncio.sleep(_EVERY_S)
            except (KafkaError, OSError, TimeoutError) as error:
                self._look_again()
                is_late = isinstance(error, TimeoutError)
                self.sight.missed(f"no answer of the broker within {_ANSWER_S:.0f} s" if is_late else repr(error))
            await asyncio.sleep(_AGAIN_S)

    async def _tell_blindness(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            blind = self.sight.passed(time.monotonic())
            for name, seconds in self.sight.blind_s.items():
                metrics.UNWATCHED_SECONDS.labels(name).set(seconds)
            if blind is not None:
                self._tell(blind)
            elif self.sight.recovered():
                self._tell(None)

    def _look_again(self) -> None:
        self.sees = False
        for watch in self._watches.values():
            watch.look_again()

    async def _look(self, lag: Lag, reports: Reports) -> None:
        began_s = time.monotonic()
        found = {name: await lag.positions(name) for name in READERS}
        at_ns = await reports.newest()
        now_s = time.monotonic()
        slept_s, self._looked_s = began_s - self._looked_s, now_s
        if now_s - began_s > _SLOW_S or slept_s > _SLOW_S + _EVERY_S:
            self._look_again()
            self.sight.missed(
                f"the broker took {now_s - began_s:.1f} s to answer, more than {_SLOW_S:.0f} s"
                if now_s - began_s > _SLOW_S
                else f"`sofia up` did not get to look for {slept_s:.1f} s"
            )
            return
        self.sees = True
        for worker in self._workers:
            seen = found[worker.name] if worker.name in found else _reported(at_ns, worker.name)
            await self._judge(worker, now_s, seen)

    async def _judge(self, worker: Watched, now_s: float, seen: Mapping[str, tuple[int, int]]) -> None:
        watch = self._watches[worker.name]
        if not seen:
            watch.look_again()
            self.sight.missed("the broker does not say how far its group is, or does not give the newest `health`")
            return
        self.sight.saw([worker.name])
        if worker.running_pid is None or self._pids.get(worker.name) != worker.running_pid:
            self._pids[worker.name] = worker.running_pid
            watch.begin()
            return
        stall = watch.look(now_s, seen)
        if stall is None:
            return
        watch.look_again()
        if not await asyncio.to_thread(says_it_waits, worker.web_port):
            worker.ask_waits()
            await asyncio.sleep(_ASKED_S)
            self._kill(worker, stall)


def _reported(newest_ns: Mapping[str, int] | None, name: str) -> dict[str, tuple[int, int]]:
    """A report as a partition that always has more to come; {} where the newest ones are not known."""
    if newest_ns is None:
        return {}
    at_ns = newest_ns.get(name, 0)
    return {topics.HEALTH.name: (at_ns, at_ns + 1)}


def says_it_waits(web_port: int) -> bool:
    """Whether a worker's page says that it knowingly waits. False where the page does not answer."""
    if not web_port:
        return False
    try:
        with urllib.request.urlopen(f"http://{HOST}:{web_port}/metrics", timeout=_PAGE_S) as page:
            text = page.read().decode("utf-8", "replace")
    except OSError:
        return False
    return any(line.startswith(_WAITING) and not line.endswith(" 0.0") for line in text.splitlines())


class Reports:
    """Follows `health` from its end. A context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._newest_ns: dict[str, int] = {}
        self._places = places(settings, topics.HEALTH)
        self._at: dict[TopicPartition, int] = {}
        self._moved_s = 0.0

    async def __aenter__(self) -> Reports:
        """Connect. Raises KafkaError."""
        self._consumer = await connected(self._settings, begin="latest")
        self._consumer.assign(self._places)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._consumer.stop()

    async def newest(self) -> dict[str, int] | None:
        """Of each component the time of its newest report, ns; None where the log has some that do not come.

        Raises KafkaError.
        """
        ends = await self._consumer.end_offsets(self._places)
        while found := await self._consumer.getmany(timeout_ms=0):
            for messages in found.values():
                for message in messages:
                    try:
                        progress = codec.decode_progress(message.value)
                    except BadRecord:
                        continue  # its readers quarantine it
                    self._newest_ns[progress.component] = progress.at_ns
        at, now_s = {place: await self._consumer.position(place) for place in self._places}, time.monotonic()
        if at != self._at or all(at[place] >= ends[place] for place in self._places):
            self._at, self._moved_s = at, now_s
        return None if now_s - self._moved_s > _SLOW_S else self._newest_ns
