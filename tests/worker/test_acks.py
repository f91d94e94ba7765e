"""The order of effects: outputs, then rows, then the acknowledgement; a failure acknowledges nothing."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from sofia_streams.worker.acks import Acknowledger


class Event:
    """A log record that writes down when it is acknowledged."""

    def __init__(self, name, happened):
        self.name, self._happened = name, happened

    def ack(self):
        self._happened.append(f"ack {self.name}")
        return True


class Log:
    """Acknowledges what was sent when it is told to."""

    def __init__(self):
        self.happened = []
        self.futures = {}

    def sent(self, name):
        self.futures[name] = asyncio.get_running_loop().create_future()
        return self.futures[name]

    def write(self, row):
        self.happened.append(f"write {row}")
        return self.sent(row)

    async def has(self, name):
        self.futures[name].set_result(None)
        await settled()


async def settled():
    for _ in range(20):
        await asyncio.sleep(0)


@asynccontextmanager
async def running(log):
    acknowledger = Acknowledger(log.write)
    task = asyncio.create_task(acknowledger.run())
    yield acknowledger, task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_rows_wait_for_outputs_and_the_acknowledgement_for_rows():
    log = Log()
    async with running(log) as (acknowledger, _):
        await acknowledger.add(Event("1", log.happened), [log.sent("bar")], ["row"])
        await settled()
        assert log.happened == []
        await log.has("bar")
        assert log.happened == ["write row"]
        await log.has("row")
        assert log.happened == ["write row", "ack 1"]


async def test_records_overlap_and_are_acknowledged_in_order():
    log = Log()
    async with running(log) as (acknowledger, _):
        for name in "12":
            await acknowledger.add(Event(name, log.happened), [log.sent(f"bar {name}")], [f"row {name}"])
        await log.has("bar 2")
        assert log.happened == [], "the second record's rows do not pass the first's"
        await log.has("bar 1")
        assert log.happened == ["write row 1", "write row 2"], "neither waits for the other's acknowledgement"
        await log.has("row 2")
        await log.has("row 1")
        assert log.happened[2:] == ["ack 1", "ack 2"]


async def test_a_coroutine_runs_when_all_earlier_outputs_are_in_the_log():
    log = Log()

    async def rebuild():
        log.happened.append("rebuild")

    async with running(log) as (acknowledger, _):
        await acknowledger.add(Event("1", log.happened), [log.sent("bar")], [])
        await acknowledger.add(Event("2", log.happened), [rebuild()], [])
        await settled()
        assert log.happened == []
        await log.has("bar")
        assert "rebuild" in log.happened


@pytest.mark.parametrize("failing", ["bar", "row"])
async def test_a_failure_stops_the_worker_and_acknowledges_nothing(failing):
    log = Log()
    async with running(log) as (acknowledger, task):
        await acknowledger.add(Event("1", log.happened), [log.sent("bar")], ["row"])
        await settled()
        if failing == "row":
            await log.has("bar")
        log.futures[failing].set_exception(ConnectionError("the broker is gone"))
        with pytest.raises(ExceptionGroup):
            await task
        assert "ack 1" not in log.happened


async def test_drain_waits_for_a_record_in_hand():
    log = Log()
    async with running(log) as (acknowledger, _):
        async with acknowledger.in_hand:
            drained = asyncio.create_task(acknowledger.drain())
            await settled()
            assert not drained.done()
            await acknowledger.add(Event("1", log.happened), [], [])
        await drained
        assert log.happened == ["ack 1"]


async def test_drain_waits_for_everything_under_way():
    log = Log()
    async with running(log) as (acknowledger, _):
        await acknowledger.add(Event("1", log.happened), [log.sent("bar")], ["row"])
        drained = asyncio.create_task(acknowledger.drain())
        await log.has("bar")
        assert not drained.done()
        await log.has("row")
        await drained
        assert log.happened[-1] == "ack 1"
