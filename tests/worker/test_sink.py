"""A sink: offsets only after the write, nothing lost while it is down, batches by rows and by time, a bounded queue."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from sofia_streams.errors import DependencyDown
from sofia_streams.obs import metrics
from sofia_streams.worker import retrying
from sofia_streams.worker.sink import Item, Sink


class Event:
    def __init__(self, number, acknowledged):
        self._number, self._acknowledged = number, acknowledged

    def ack(self):
        self._acknowledged.append(self._number)
        return True


@asynccontextmanager
async def running(write, rows_max=10, wait_s_max=0.01):
    sink = Sink("test", write, rows_max=rows_max, wait_s_max=wait_s_max)
    task = asyncio.create_task(sink.run())
    yield sink, task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(true):
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0.005)


async def test_a_write_that_fails_moves_no_offset_and_is_made_again():
    acknowledged, written, seen = [], [], []

    async def write(batch):
        seen.append(list(acknowledged))
        if len(seen) <= 2:
            raise DependencyDown("down")
        written.extend(item.record for item in batch)

    async with running(write) as (sink, _):
        for number in range(3):
            await sink.put(Item(Event(number, acknowledged), 0, number, 1))
        await until(lambda: len(acknowledged) == 3)
    assert seen[:3] == [[], [], []]
    assert written == acknowledged == [0, 1, 2]


async def test_batches_hold_about_the_rows_asked_for():
    acknowledged, sizes = [], []

    async def write(batch):
        sizes.append(sum(item.rows for item in batch))

    async with running(write, rows_max=10, wait_s_max=5.0) as (sink, _):
        for number in range(8):
            await sink.put(Item(Event(number, acknowledged), 0, number, 5))
        await until(lambda: len(acknowledged) == 8)
    assert sizes == [10, 10, 10, 10]


async def test_a_sink_that_is_down_makes_the_log_wait_instead_of_growing():
    async def write(batch):
        raise DependencyDown("down")

    async with running(write, rows_max=4) as (sink, _):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                for number in range(10_000):
                    await sink.put(Item(Event(number, []), 0, number, 1))
        assert number < 200


async def test_any_other_error_stops_the_worker():
    acknowledged = []

    async def write(batch):
        raise TypeError("a bug")

    async with running(write) as (sink, task):
        await sink.put(Item(Event(1, acknowledged), 0, 1, 1))
        with pytest.raises(TypeError):
            await task
    assert acknowledged == []


async def test_records_that_cannot_be_written_are_handed_on_and_the_others_are_written():
    acknowledged, written, refused = [], [], []

    async def write(batch):
        if any(item.record in (3, 7) for item in batch):
            raise TypeError("a poisoned record")
        written.extend(item.record for item in batch)

    async def hand_on(item, error):
        refused.append((item.record, str(error)))

    async with running(write) as (sink, _):
        sink.refused = hand_on
        for number in range(10):
            await sink.put(Item(Event(number, acknowledged), 0, number, 1))
        await until(lambda: len(acknowledged) == 10)
    assert refused == [(3, "a poisoned record"), (7, "a poisoned record")]
    assert written == [0, 1, 2, 4, 5, 6, 8, 9]
    assert acknowledged == list(range(10)), "a record is acknowledged after it was written or handed on"


async def test_where_every_record_is_refused_the_worker_ends_and_says_nothing_of_records():
    refused = []

    async def write(batch):
        raise TypeError("the table is not what it was")

    async def hand_on(item, error):
        refused.append(item.record)

    async with running(write, rows_max=50) as (sink, task):
        sink.refused = hand_on
        for number in range(50):
            await sink.put(Item(Event(number, []), 0, number, 1))
        with pytest.raises(TypeError):
            await task
    assert len(refused) < 10


async def test_want_of_memory_is_no_matter_of_a_record():
    async def write(batch):
        raise MemoryError

    async def hand_on(item, error):
        raise AssertionError("it was handed on")

    async with running(write) as (sink, task):
        sink.refused = hand_on
        await sink.put(Item(Event(1, []), 0, 1, 1))
        with pytest.raises(MemoryError):
            await task


async def test_a_long_write_says_that_it_waits_for_a_while_and_no_longer(monkeypatch):
    """So that the watch does not end a writer whose store is slow, but does one whose store never answers."""
    monkeypatch.setattr(retrying, "_LONG_S", 0.01)
    monkeypatch.setattr(retrying, "_LONG_S_MAX", 0.1)
    waiting, over = metrics.WAITING.labels("long"), asyncio.Event()
    writing = asyncio.create_task(retrying.retry(over.wait, "long"))
    await until(lambda: waiting._value.get() == 1)
    await until(lambda: waiting._value.get() == 0)
    over.set()
    assert await writing
    monkeypatch.setattr(retrying, "_LONG_S_MAX", 60.0)
    over.clear()
    writing = asyncio.create_task(retrying.retry(over.wait, "long"))
    await until(lambda: waiting._value.get() == 1)
    over.set()
    await writing
    assert waiting._value.get() == 0
