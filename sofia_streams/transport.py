"""Faust's Kafka transport with short, filled fetches: neither an idle partition nor many small records slow it down.

A client has one fetch under way for each broker. Where that one asks only for partitions that have nothing, the broker
keeps it for as long as it may (1.5 s in Faust 0.15.3, `transport/drivers/aiokafka.py`, not a setting), and what
arrives meanwhile in the other partitions waits. A fetch that returns with the first byte is the other extreme: at 600
records a second it costs 600 fetches a second and worker, and the system calls of two cores.
"""

from __future__ import annotations

from typing import Any

from faust.transport.drivers import aiokafka as driver

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
    """As Faust's, on a PromptThread."""

    def _new_consumer_thread(self) -> PromptThread:
        return PromptThread(self, loop=self.loop, beacon=self.beacon)


class PromptTransport(driver.Transport):
    """As Faust's, with PromptConsumer."""

    Consumer = PromptConsumer
