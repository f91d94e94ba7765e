"""A blocked event loop is said, with the place where it hangs."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import structlog
from structlog.testing import capture_logs

from sofia_streams.errors import SLEPT_EXIT_CODE
from sofia_streams.worker import loop_watch
from sofia_streams.worker.loop_watch import BLOCKED_S, LoopWatch


async def test_a_loop_that_is_blocked_is_said_once_with_its_stack(monkeypatch):
    monkeypatch.setattr(loop_watch, "_log", structlog.get_logger("test"))
    with capture_logs() as said:
        watch = LoopWatch(asyncio.get_running_loop())
        watch.start()
        try:
            hold_the_loop(BLOCKED_S * 2)
            while len(said) < 2:  # noqa: ASYNC110  it comes from another thread
                await asyncio.sleep(0.05)
        finally:
            watch.stop()
    assert [line["event"] for line in said] == ["the event loop is blocked; it is here", "the event loop turns again"]
    assert "hold_the_loop" in said[0]["stack"]


def hold_the_loop(seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        pass


async def test_a_loop_that_turns_is_left_alone():
    with capture_logs() as said:
        watch = LoopWatch(asyncio.get_running_loop())
        watch.start()
        await asyncio.sleep(BLOCKED_S)
        watch.stop()
    assert said == []


SLEEPER = """
import asyncio, sys
from sofia_streams.worker.loop_watch import LoopWatch
async def run():
    LoopWatch(asyncio.get_running_loop(), float(sys.argv[1])).start()
    print("runs", flush=True)
    await asyncio.sleep(8)
asyncio.run(run())
"""


def stopped_for_a_while(slept_s_max: str) -> subprocess.Popen[bytes]:
    """A watched process that was stopped for three seconds, and woken."""
    command = [sys.executable, "-c", SLEEPER, slept_s_max]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"runs\n"
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(3)  # what is tested is that so much time passed
    os.kill(process.pid, signal.SIGCONT)
    return process


def test_a_process_that_was_stopped_for_longer_than_its_group_waits_ends_when_it_wakes():
    process = stopped_for_a_while("2")
    _, said = process.communicate(timeout=60)
    assert process.returncode == SLEPT_EXIT_CODE
    assert b"another worker may have taken over" in said


def test_a_process_that_was_stopped_for_a_moment_goes_on():
    process = stopped_for_a_while("60")
    assert process.communicate(timeout=60) == (b"", b"")
    assert process.returncode == 0
