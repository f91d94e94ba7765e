"""A process whose wall clock is really set while it reads (libfaketime): an hour ahead, an hour back, a day ahead."""

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path

import pytest
from scripted import Scripted

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
PATIENCE_S = 60.0


def library():
    places = [Path(os.environ.get("LIBFAKETIME", "")), *Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]
    return next((place for place in places if place.is_file()), None)


@contextlib.asynccontextmanager
async def reading(url, clock):
    """What a process with the clock of this file says, line by line."""
    paths = f"{HERE}{os.pathsep}{HERE.parents[1]}"
    faked = {"LD_PRELOAD": str(library()), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    env = {**os.environ, **faked, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "PYTHONPATH": paths}
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "faked_ingest.py"), url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, env=env, limit=2**24,
    )  # fmt: skip

    async def until(true):
        async with asyncio.timeout(PATIENCE_S):
            while line := await child.stdout.readline():
                if line.startswith(b"{") and true(found := json.loads(line)):
                    return found
        raise AssertionError("the process ended")

    try:
        yield until
    finally:
        child.kill()
        await child.wait()


@pytest.mark.skipif(
    library() is None, reason="needs libfaketime (apt install libfaketime), or LIBFAKETIME=its path"
)
async def test_a_process_whose_wall_clock_is_set_reads_on_and_says_so(tmp_path):
    venue, clock = Scripted("bybit", every_s=0.02), tmp_path / "clock"
    clock.write_text("+0")
    async with venue.reached() as url:
        trading = asyncio.create_task(venue.trade())
        try:
            async with reading(url, clock) as until:
                await until(lambda found: len(found["ids"]) > 50)
                for told, words in enumerate(["+1h", "+0", "+1d"], 1):
                    clock.write_text(words)
                    await until(lambda found, told=told: len(found["alerts"]) == told)
                    since = venue.printed
                    found = await until(lambda found, since=since: found["ids"][-1] > since + 50)
        finally:
            trading.cancel()
            await asyncio.gather(trading, return_exceptions=True)
    set_by_s = [float(text.split("set by ")[1].split()[0]) for text in found["alerts"]]
    print(f"set by {set_by_s} s, {len(found['ids'])} trades")
    assert [round(one / 10) for one in set_by_s] == [360, -360, 8640]
    assert found["ids"] == list(range(found["ids"][0], found["ids"][-1] + 1))
    assert found["odd"] == []
