"""Workers as processes, by name: started from settings, asked how far they are, stopped. Restarts nothing."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from pathlib import Path

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from sofia_streams import topics
from sofia_streams.crash_points import CRASH_AT
from sofia_streams.embedded import process
from sofia_streams.errors import ConfigError, DependencyDown
from sofia_streams.logread import connected, places
from sofia_streams.settings import Settings, worker_environment

_STORED = (
    *(topics.TRADES, topics.BARS, topics.TICKERS, topics.GAPS),
    *(topics.FEATURES, topics.PREDICTIONS, topics.SIGNALS, topics.MODEL_QUALITY),
    *(topics.ORDERS, topics.FILLS, topics.ACCOUNT),
)
_PUBLISHED = (
    *(topics.TRADES, topics.BARS, topics.TICKERS, topics.GAPS),
    *(topics.PREDICTIONS, topics.SIGNALS, topics.FILLS, topics.ACCOUNT),
)
INPUTS = {
    "crypto_ws": (),
    "ohlcv": (topics.TRADES,),
    "signals": (topics.BARS,),
    "paper_oms": (topics.TRADES, topics.TICKERS, topics.SIGNALS, topics.CONTROL),
    "trainer": (topics.FEATURES, topics.PREDICTIONS),
    "timeseries_writer": _STORED,
    "redis_bridge": _PUBLISHED,
    "backfill": (topics.GAPS, topics.BARS),
}
"""Every worker and the topics it reads, in the order data flows; the only list."""
READERS = tuple(name for name, inputs in INPUTS.items() if inputs)
"""Those that read the log."""
REPLAYED = tuple(name for name in READERS if name not in ("backfill", "trainer", "paper_oms"))
"""Those of a replay: a recording has no REST, trains no model for what comes, and is traded only with a model."""
_PATIENT, _NICENESS = ("trainer", "timeseries_writer", "backfill"), 5
"""Nobody waits for what these write: where the processor is short they give way to the others."""
_ROOT = Path(__file__).resolve().parents[2]
STOP_GRACE_S = 10.0
_INHERITED = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "SOFIA_CANARY")


def check_name(name: str) -> None:
    """Raise ConfigError unless there is such a worker."""
    if name not in INPUTS:
        raise ConfigError(f"worker: expected one of {', '.join(INPUTS)}, found {name!r}.")


def start_worker(
    name: str, settings: Settings, data_dir: Path, *, copy: int = 1, crash_at: str = ""
) -> process.Child:
    """Start one worker; its log is `data_dir`/log/<name>.log. Call it from the main thread.

    Copies of a worker share its group, and so the partitions; the second one is called <name>-2. Each needs a
    `web_port` of its own. `crash_at`, for tests, is a point at which it ends itself (`crash_points`).
    """
    check_name(name)
    inherited = {key: value for key, value in os.environ.items() if key in _INHERITED}
    env = {**inherited, **worker_environment(settings), "PYTHONPATH": str(_ROOT), "PYTHONUNBUFFERED": "1"}
    if crash_at:
        env[CRASH_AT] = crash_at
    command = [sys.executable, "-m", f"agents.{name}", "worker", "--without-web"]
    if settings.web_port:
        command = [*command[:-1], f"--web-port={settings.web_port}"]
    called = name if copy == 1 else f"{name}-{copy}"
    niceness = _NICENESS if name in _PATIENT else 0
    return process.start(
        called, command, port=settings.web_port, data_dir=data_dir, cwd=_ROOT, env=env, niceness=niceness
    )


def worker_of(child: process.Child) -> str:
    """The name of the worker that this is, or is a copy of."""
    return child.name.partition("-")[0]


def check_alive(children: list[process.Child]) -> None:
    """Raise DependencyDown for a worker that ended, with the end of its log."""
    for child in children:
        if child.exit_code() is not None:
            raise DependencyDown(
                f"{child.name}: expected it to run, found it ended with code {child.exit_code()}. "
                f"The end of its log, {child.log}, says:\n{child.log_tail()}"
            )


class Lag:
    """Counts the records that worker groups have not committed. A context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def __aenter__(self) -> Lag:
        """Connect."""
        self._consumer = await connected(self._settings)
        self._admin = AIOKafkaAdminClient(bootstrap_servers=self._settings.broker_address())
        try:
            await self._admin.start()
        except BaseException:
            await self.__aexit__()  # else they complain when they are collected
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._consumer.stop()
        await self._admin.close()

    async def of(self, worker: str) -> int:
        """Records between what a worker has committed and the end of its topics."""
        places = self.inputs(worker)
        done = await self._committed(worker, places)
        return sum(end - done.get(place, 0) for place, end in (await self._consumer.end_offsets(places)).items())

    async def positions(self, worker: str) -> dict[str, tuple[int, int]]:
        """(committed, end) of each partition a worker reads, by "topic/partition". Raises KafkaError."""
        places = self.inputs(worker)
        done = await self._committed(worker, places)
        ends = await self._consumer.end_offsets(places)
        return {topics.partition_name(place): (done[place], end) for place, end in ends.items() if place in done}

    async def committed(self, worker: str) -> int:
        """Records a worker has committed, over all its topics."""
        return sum((await self.reached(worker)).values())

    async def reached(self, worker: str) -> dict[TopicPartition, int]:
        """The offset before which a worker has committed everything, by input partition."""
        return await self._committed(worker, self.inputs(worker))

    def inputs(self, worker: str) -> list[TopicPartition]:
        """The partitions that a worker reads."""
        return [place for topic in INPUTS[worker] for place in places(self._settings, topic)]

    async def _committed(self, worker: str, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        group = topics.app_id(worker, self._settings.namespace)
        try:
            found = await self._admin.list_consumer_group_offsets(group, partitions=places)
        except KafkaError as error:
            if not error.retriable:
                raise
            return {}  # a new broker makes the groups' own topic first
        return {place: max(0, entry.offset) for place, entry in found.items()}


async def wait_joined(settings: Settings, children: list[process.Child], *, timeout_s: float) -> None:
    """Until every one of these workers is in its group with its partitions. Raises DependencyDown."""
    deadline_s = time.monotonic() + timeout_s
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.broker_address())
    await admin.start()
    try:
        waiting = Counter(topics.app_id(worker_of(child), settings.namespace) for child in children)
        while waiting:
            check_alive(children)
            if time.monotonic() > deadline_s:
                raise DependencyDown(f"expected {', '.join(waiting)} to join within {timeout_s:.0f} s; see their logs")
            for group, members in list(waiting.items()):
                if await _is_stable(admin, group, members):
                    del waiting[group]
            await asyncio.sleep(0.1 if waiting else 0)
    finally:
        await admin.close()


async def _is_stable(admin: AIOKafkaAdminClient, group: str, members: int) -> bool:
    try:
        answers = await admin.describe_consumer_groups([group])
    except KafkaError as error:
        if not error.retriable:
            raise
        return False  # a new broker makes the groups' own topic first
    found = [one for answer in answers for one in answer.groups if one[1] == group]
    return any(one[2] == "Stable" and len(one[5]) >= members for one in found)


async def wait_drained(settings: Settings, children: list[process.Child], *, stalled_after_s: float) -> None:
    """Until every worker has committed the end of its input, in the order data flows.

    Raises DependencyDown for one that ended, and for one that commits nothing for so long.
    """
    async with Lag(settings) as lag:
        running = {worker_of(child) for child in children}
        for name in [name for name in READERS if name in running]:
            least, since_s = sys.maxsize, time.monotonic()
            while (left := await lag.of(name)) > 0:
                check_alive(children)
                if left < least:
                    least, since_s = left, time.monotonic()
                elif time.monotonic() - since_s > stalled_after_s:
                    raise DependencyDown(
                        f"{name}: expected it to go on, found that it committed nothing for {stalled_after_s:.0f} s "
                        f"with {left} records left. Its log says why."
                    )
                await asyncio.sleep(0.1)
