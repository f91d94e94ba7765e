"""The check of configured pairs beside live ingest: a real process asks, warns, counts, and never gets in the way."""

import asyncio

import psutil
import pytest
from rest_server import serving_rest

from sofia_streams.ingest.rest import listing_check
from sofia_streams.ingest.rest.listing_check import check_listings
from sofia_streams.obs import metrics
from sofia_streams.settings import Settings
from sofia_streams.simulator.instrument import SimulatedInstrument
from sofia_streams.simulator.rest import Rest
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.slow
PATIENCE_S = 60.0


def simulated():
    return [SimulatedInstrument(venue, pair, 0) for venue in VENUES for pair in ("BTC/USDT", "ETH/USDT")]


def settings_for(port, tmp_path, **more):
    return Settings(simulator_url=f"ws://127.0.0.1:{port}", data_dir=tmp_path, **more)


async def test_unlisted_pairs_are_counted_by_venue(tmp_path):
    async with serving_rest(Rest(simulated())) as port:
        settings = settings_for(port, tmp_path, crypto_symbols=("BTC/USDT", "BTC/USTD", "ETH/USTD"))
        found = await check_listings(settings, settle_s=0)
    assert found.failed == {} and len(found.instruments) == 4
    assert sorted({one.symbol for one in found.unlisted}) == ["BTC/USTD", "ETH/USTD"]
    assert all(one.near[0] in ("BTC/USDT", "ETH/USDT") for one in found.unlisted)
    assert [metrics.UNLISTED.labels(venue)._value.get() for venue in VENUES] == [2.0] * 4


async def test_venues_that_are_down_raise_nothing(tmp_path):
    found = await check_listings(settings_for(1, tmp_path), settle_s=0)
    assert sorted(found.failed) == sorted(VENUES) and not found.instruments


async def test_a_process_that_fails_raises_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(listing_check, "__name__", "sofia_streams.no_such_module")
    assert await check_listings(settings_for(1, tmp_path), settle_s=0) is None


async def test_the_asking_process_ends_with_the_worker(tmp_path):
    asked = asyncio.Event()
    silent = await asyncio.start_server(lambda reader, writer: asked.set(), "127.0.0.1", 0)
    settings = settings_for(silent.sockets[0].getsockname()[1], tmp_path)
    task = asyncio.create_task(check_listings(settings, settle_s=0))
    await asyncio.wait_for(asked.wait(), PATIENCE_S)
    children = [
        one for one in psutil.Process().children() if "sofia_streams.ingest.rest.listing_check" in one.cmdline()
    ]
    assert children
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not any(child.is_running() for child in children)
    silent.close()
