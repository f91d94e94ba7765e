"""Faust's Kafka transport, with two of its traits mended (0.15.3). Everything else is Faust's.

**No record is lost when a worker comes back.** After recovery Faust resumes the input partitions, seeks to the
committed offsets, and then `flow_control.resume()` empties every stream's queue (`tables/recovery.py`). What was
fetched in between is gone: read, never processed, and its offset is passed over or stops every later commit. Here
input partitions stay paused until the queues are empty.

**Short, filled fetches.**

A client has one fetch under way for each broker. Where that one asks only for partitions that have nothing, the broker
keeps it for as long as it may (1.5 s in Faust 0.15.3, `transport/drivers/aiokafka.py`, not a setting), and what
arrives meanwhile in the other partitions waits. A fetch that returns with the first byte is the other extreme: at 600
records a second it costs 600 fetches a second and worker, and the system calls of two cores.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from faust.transport.drivers import aiokafka as driver

from sofia_streams.crash_points import passing

FETCH_MS_MAX = 20
FETCH_BYTES_MIN = 64 * 1024
"""A fetch returns when it has so much, or after FETCH_MS_MAX with what there is."""


class PromptThread(driver.AIOKafkaConsumerThread):
    """As Faust's, with the two limits above."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MS_MAX  # both are read when it starts
        consumer._fetch_min_bytes = FETCH_BYTES_MIN
        return consumer


class PromptConsumer(driver.Consumer):
    """As Faust's, on a PromptThread; input partitions are resumed by `resume_flow`, not before."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._held: set[Any] = set()

    def _new_consumer_thread(self) -> PromptThread:
        return PromptThread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """After recovery, before the flow is resumed."""
        passing("recovery")
        await super().perform_seek()

    async def on_stop(self) -> None:
        """Before the group is left."""
        passing("shutdown")
        await super().on_stop()

    def resume_partitions(self, tps: Iterable[Any]) -> None:
        """Changelogs at once, inputs once the flow is resumed."""
        changelogs = {tp for tp in tps if tp.topic in self.app.tables.changelog_topics}
        self._held |= set(tps) - changelogs
        super().resume_partitions(changelogs)

    def resume_flow(self) -> None:
        """Faust has just emptied the queues."""
        super().resume_flow()
        held, self._held = self._held, set()
        super().resume_partitions(held)

    def pause_partitions(self, tps: Iterable[Any]) -> None:
        """Also those that were to be resumed."""
        self._held -= set(tps)
        super().pause_partitions(tps)


class PromptTransport(driver.Transport):
    """As Faust's, with PromptConsumer."""

    Consumer = PromptConsumer
