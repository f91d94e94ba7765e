"""All processes of a data directory go by one budget and one ban of a venue; counted at the venue."""

import asyncio
import errno
import fcntl
import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from rest_server import serving_rest
from test_rest_budget import market, no

from sofia_streams.core.feeds.budget import Bucket, Rate
from sofia_streams.errors import DependencyDown
from sofia_streams.ingest.rest import shared
from sofia_streams.ingest.rest.budget import RestBudget, budget_of, forget_budgets
from sofia_streams.ingest.rest.instruments import Place
from sofia_streams.ingest.rest.shared import Closure, Moment, Shared
from sofia_streams.ingest.rest.trade_history import fetch_recent
from sofia_streams.settings import load_settings

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
RATE = Rate(600, 3)
ASKS = """
import asyncio, sys
from sofia_streams.errors import DependencyDown
from sofia_streams.core.feeds.budget import Rate
from sofia_streams.ingest.rest import budget
from sofia_streams.ingest.rest.instruments import Place
from sofia_streams.ingest.rest.trade_history import fetch_recent
from sofia_streams.settings import load_settings

async def main(port, folder, times):
    budget.RATES["okx"] = Rate(600, 3)
    settings = load_settings(None, {"DATA_DIR": folder, "SIMULATOR_URL": f"ws://127.0.0.1:{port}"})
    async with Place.of(settings).rest("okx", "spot") as rest:
        print("ready", flush=True)
        for _ in range(int(times)):
            try:
                await fetch_recent(rest, "BTC-USDT")
            except DependencyDown as error:
                print(error, flush=True)
                return
asyncio.run(main(*sys.argv[1:]))
"""


async def another(port, folder, times):
    """Another process that asks so often, or until it is told not to; it is ready to ask."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ASKS, str(port), str(folder), str(times),
        stdout=asyncio.subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=folder,
    )  # fmt: skip
    assert (await process.stdout.readline()) == b"ready\n"
    return process


async def said_by(process):
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    assert process.returncode == 0
    return said.decode()


def sharing(folder, port):
    """A client whose budget is that of others too, as a worker has."""
    settings = load_settings(None, {"DATA_DIR": str(folder), "SIMULATOR_URL": f"ws://127.0.0.1:{port}"})
    return Place.of(settings).rest("okx", "spot")


@pytest.fixture(autouse=True)
def alone():
    yield
    forget_budgets()


@pytest.mark.parametrize(("status", "retry_after"), [(418, None), (403, None), (429, "3600")])
async def test_what_one_process_is_told_stops_another_that_is_at_work(tmp_path, status, retry_after):
    simulated = market("okx")
    async with serving_rest(simulated) as port:
        other = await another(port, tmp_path, 100_000)
        async with sharing(tmp_path, port) as rest:
            simulated.instead.append(no(status, retry_after))
            with pytest.raises(DependencyDown, match="not asked before"):
                while True:
                    await fetch_recent(rest, "BTC-USDT")
            said = await said_by(other)
            asked = simulated.asked["okx"]
            with pytest.raises(DependencyDown, match="not asked before"):
                await fetch_recent(rest, "BTC-USDT")
    assert "not asked before 20" in said
    assert simulated.asked["okx"] == asked


async def test_a_process_that_starts_during_a_ban_asks_nothing(tmp_path):
    simulated = market("okx")
    simulated.instead.append(no(418, "3600"))
    async with serving_rest(simulated) as port:
        assert "HTTP 418" in await said_by(await another(port, tmp_path, 1))
        async with sharing(tmp_path, port) as rest:
            with pytest.raises(DependencyDown, match="the venue said HTTP 418"):
                await fetch_recent(rest, "BTC-USDT")
    assert simulated.asked["okx"] == 1


async def test_a_pause_of_one_process_is_waited_for_by_another_and_then_over(tmp_path):
    simulated = market("okx")
    simulated.instead.append(no(429, "2"))
    async with serving_rest(simulated) as port:
        other = await another(port, tmp_path, 1)  # it is told to wait, waits, and asks again
        async with asyncio.timeout(60):
            while not list((tmp_path / "rest").glob("*.closed.json")):  # noqa: ASYNC110  what is waited for has no event
                await asyncio.sleep(0.005)
        told_s = time.monotonic()
        async with sharing(tmp_path, port) as rest:
            assert len(await fetch_recent(rest, "BTC-USDT")) == 1
            assert time.monotonic() - told_s > 1.5
        assert await said_by(other) == ""


async def test_three_processes_ask_no_more_together_than_one_may(tmp_path):
    simulated = market("okx")
    async with serving_rest(simulated) as port:
        others = [await another(port, tmp_path, 12) for _ in range(3)]
        began_s, asked = time.monotonic(), simulated.asked["okx"]
        for other in others:
            assert await said_by(other) == ""
        took_s = time.monotonic() - began_s
    assert simulated.asked["okx"] == 36
    assert simulated.asked["okx"] - asked <= RATE.burst + RATE.per_minute / 60 * took_s + 1


async def granted(found, own=None):
    """A bucket after one request, and how soon it may be sent."""
    async with found.turn() as is_ours:
        bucket, at_ns = found.grant(RATE, own or Bucket(), 1, is_ours=is_ours)
    return bucket, at_ns - time.monotonic_ns()


@contextmanager
def stopped_with_the_lock(folder):
    """Another process."""
    file = os.open(folder / "okx.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(file)


async def test_a_process_that_stands_still_with_the_lock_holds_up_nobody(tmp_path):
    mine = Shared(tmp_path, "okx", None)
    with stopped_with_the_lock(tmp_path):
        async with asyncio.timeout(5):
            bucket, wait_ns = await granted(mine)
            await mine.close(Closure(Moment.at(time.monotonic_ns() + 10**9), "no", is_ban=True))
    assert wait_ns <= 0
    assert mine.closure() is not None
    assert (await granted(mine, bucket))[0] > bucket


async def test_while_one_waits_for_the_lock_everything_else_of_its_process_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(shared, "_LOCK_S_MAX", 60)
    with stopped_with_the_lock(tmp_path):
        asked = asyncio.create_task(granted(Shared(tmp_path, "okx", None)))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not asked.done()
    async with asyncio.timeout(5):
        assert (await asked)[1] <= 0


async def test_all_who_ask_at_once_get_a_place_of_their_own_in_the_budget(tmp_path):
    shared_budget = RestBudget("okx", Shared(tmp_path, "okx", None))
    shared_budget._rate = Rate(6_000, 1)  # one in 10 ms
    began_s = time.monotonic()
    await asyncio.gather(*(shared_budget.admit("trades", 1) for _ in range(21)))
    assert time.monotonic() - began_s >= 0.2


async def test_who_waits_for_its_place_when_another_process_is_banned_sends_nothing(tmp_path):
    mine, other = (RestBudget("okx", Shared(tmp_path, "okx", None)) for _ in range(2))
    mine._rate = Rate(30, 1)  # one in two seconds
    await mine.admit("trades", 1)
    asked = asyncio.create_task(mine.admit("trades", 1))
    await asyncio.sleep(0)  # it has looked and found no ban
    await other.close(3_600, "HTTP 418", is_ban=True)
    assert not asked.done()
    with pytest.raises(DependencyDown, match="the venue said HTTP 418"):
        await asked


async def test_a_folder_that_cannot_be_written_makes_nobody_wait(tmp_path):
    (tmp_path / "file").write_text("")
    found = Shared(tmp_path / "file", "okx", None)
    await found.close(Closure(Moment.at(time.monotonic_ns() + 10**9), "no", is_ban=True))
    assert found.closure() is None
    assert (await granted(found))[1] <= 0


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
async def test_a_folder_on_which_nothing_can_be_locked_makes_nobody_wait(tmp_path, monkeypatch, number):
    def refuse(file, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    found = Shared(tmp_path, "okx", None)
    await found.close(Closure(Moment.at(time.monotonic_ns() + 10**9), "no", is_ban=True))
    assert found.closure() is not None
    bucket, wait_ns = await granted(found)
    assert wait_ns <= 0
    assert (await granted(found, bucket))[0] > bucket  # by what it knows itself


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"until": 3}', b"\xff"])
async def test_files_that_are_damaged_are_as_if_they_were_not_there(tmp_path, text):
    found = Shared(tmp_path, "okx", None)
    for name in ("okx.closed.json", "okx.used.json"):
        (tmp_path / name).write_bytes(text)
    assert found.closure() is None
    assert (await granted(found))[1] <= 0
    await found.close(Closure(Moment.at(time.monotonic_ns() + 10**9), "no", is_ban=True))
    assert found.closure() is not None


async def test_a_ban_outlives_a_new_start_of_the_machine_and_a_shorter_one_does_not_end_it(tmp_path, monkeypatch):
    first = Shared(tmp_path, "okx", None)
    until_ns = time.monotonic_ns() + 3_600 * 10**9
    await first.close(Closure(Moment.at(until_ns), "HTTP 418", is_ban=True))
    await first.close(Closure(Moment.at(until_ns - 1_800 * 10**9), "HTTP 429", is_ban=False))
    monkeypatch.setattr(shared, "_boot", lambda: "another")
    kept = msgspec.json.decode((tmp_path / "okx.closed.json").read_bytes())
    kept["until"]["monotonic_ns"] += 10**18  # that clock begins anew
    (tmp_path / "okx.closed.json").write_bytes(msgspec.json.encode(kept))
    found = Shared(tmp_path, "okx", None).closure()
    assert found is not None
    assert found.why == "HTTP 418"
    assert abs(found.until.here_ns() - until_ns) < 5 * 10**9


async def test_venues_and_what_stands_in_for_them_have_files_of_their_own(tmp_path):
    for venue, url in (("okx", None), ("bybit", None), ("okx", "http://127.0.0.1:1/okx")):
        await budget_of(venue, url, tmp_path).close(60, "no", is_ban=True)
    assert len(list(tmp_path.glob("*.closed.json"))) == 3
