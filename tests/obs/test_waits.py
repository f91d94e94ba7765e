"""A worker that hangs tells what each of its tasks waits for, and no values."""

import asyncio
import os
import weakref

from sofia_streams.obs import waits


async def inner(secret: str) -> None:
    await asyncio.Event().wait()


async def outer(secret: str) -> None:
    await inner(secret)


async def test_each_task_is_told_with_the_places_that_wait_for_one_another():
    task = asyncio.create_task(outer("hunter2"), name="stuck")
    await asyncio.sleep(0)
    told = waits.report()
    task.cancel()
    mine = told[told.index("  stuck\n") :].splitlines()
    assert mine[1].startswith("    tests/obs/test_waits.py:") and mine[1].endswith(" outer")
    assert mine[2].endswith(" inner")
    assert mine[3].endswith(" wait")
    assert "hunter2" not in told


async def test_a_proxy_whose_object_is_gone_does_not_stop_the_report():
    gone = weakref.proxy(asyncio.Event())
    assert "tasks of process" in waits.report()
    del gone


async def test_the_report_comes_when_the_process_is_asked(capfd):
    waits.say_when_asked(asyncio.get_running_loop())
    os.kill(os.getpid(), waits.ASK)
    async with asyncio.timeout(30):
        while "tasks of process" not in (said := capfd.readouterr().err):  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.01)
    assert "test_the_report_comes_when_the_process_is_asked" in said
    asyncio.get_running_loop().remove_signal_handler(waits.ASK)
