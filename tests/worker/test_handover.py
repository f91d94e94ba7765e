"""A sink that loses its partitions writes nothing of them any more, and what comes after is written as ever."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.errors import DependencyDown
from sofia_streams.worker.sink import Item, Sink


class Event:
    def __init__(self, number, acknowledged):
        self._number, self._acknowledged = number, acknowledged

    def ack(self):
        self._acknowledged.append(self._number)


class Scene:
    """A sink on a store that answers when it is told to; `fails` of its writes do not."""

    def __init__(self, fails=0):
        self.written, self.acknowledged, self.fails = [], [], fails
        self.asked, self.answers = asyncio.Event(), asyncio.Event()
        self.sink = Sink("test", self.write, rows_max=4, wait_s_max=0.005)
        self.task = asyncio.create_task(self.sink.run())

    async def write(self, batch):
        self.asked.set()
        await self.answers.wait()
        if self.fails:
            self.fails -= 1
            raise DependencyDown("away")
        self.written += [item.record for item in batch]

    async def put(self, *numbers):
        for number in numbers:
            await self.sink.put(Item(Event(number, self.acknowledged), 0, number, 1))

    async def end(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def until(holds):
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("fails", [0, 1])
async def test_what_is_being_written_is_waited_for_and_the_rest_is_left_to_whoever_comes_next(fails):
    scene = Scene(fails)
    await scene.put(*range(10))
    await scene.asked.wait()
    handing_over = asyncio.create_task(scene.sink.hand_over())
    await asyncio.sleep(0)
    assert not handing_over.done(), "a write is under way"
    scene.answers.set()
    await handing_over
    done = [] if fails else [0, 1, 2, 3]
    assert scene.written == done
    await scene.put(*range(100, 110))
    await until(lambda: len(scene.acknowledged) == len(done) + 10)
    assert scene.written == scene.acknowledged == [*done, *range(100, 110)]
    await scene.end()


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 6), st.integers(0, 6)), min_size=1, max_size=12))
async def test_two_writers_leave_the_newest_of_each_row_however_the_partition_moves(moves):
    """Each owner reads on from what is committed; a store keeps what was written last, as QuestDB does."""
    store, committed, log = {}, 0, list(range(200))
    writers = [Writer(store), Writer(store)]
    for owner, reads, waits in moves:
        writer = writers[owner]
        await writer.read(log[committed : committed + reads])
        for _ in range(waits):
            await asyncio.sleep(0)
        await writer.sink.hand_over()
        committed = max(committed, writer.committed)
        newest = {number % 3: number for number in log[:committed]}
        assert all(store.get(row, -1) >= number for row, number in newest.items())
    final = Writer(store)
    await final.read(log[committed:])
    await until(lambda: final.committed == len(log))
    assert store == {0: 198, 1: 199, 2: 197}
    for writer in (*writers, final):
        await writer.end()


class Writer:
    """One process: rows of `number % 3`; `committed` is how far it has acknowledged."""

    def __init__(self, store):
        self.store, self.committed = store, 0
        self.sink = Sink("test", self.write, rows_max=3, wait_s_max=0.001)
        self.task = asyncio.create_task(self.sink.run())

    async def write(self, batch):
        for item in batch:
            await asyncio.sleep(0)
            self.store[item.record % 3] = item.record

    async def read(self, numbers):
        for number in numbers:
            await self.sink.put(Item(Commit(self, number), 0, number, 1))

    async def end(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class Commit:
    def __init__(self, writer, number):
        self._writer, self._number = writer, number

    def ack(self):
        self._writer.committed = max(self._writer.committed, self._number + 1)
