"""Recording from live sockets: what was sent is in the file, which is whole however the recording ends."""

import asyncio
import gzip
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from sofia_streams.capture import read_capture
from sofia_streams.errors import BadCapture, DependencyDown
from sofia_streams.model import ParsedTrade
from sofia_streams.ops.record import record
from sofia_streams.ops.replay.in_process import replay_in_process
from sofia_streams.ops.simulate import checked_plan, simulate, taped
from sofia_streams.settings import Settings
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
SECONDS = 3.0
PAIRS = {"CRYPTO_SYMBOLS": "BTC/USDT,ETH/USDT"}


class Simulated:
    """A tape on four venues, served on a free port; `sent` are the trades that were handed to clients' sockets."""

    async def __aenter__(self):
        opened = asyncio.get_running_loop().create_future()
        source = taped(checked_plan("binance,okx,coinbase,bybit", "BTC/USDT,ETH/USDT", 60.0))
        self.sent = []
        self._source = source._replace(sent=lambda: map(self._noted, source.sent()))
        self._task = asyncio.create_task(
            simulate(self._source, port=0, faults={}, say=lambda text: None, opened=opened.set_result)
        )
        await asyncio.wait([opened, self._task], return_when=asyncio.FIRST_COMPLETED)
        self.url = f"ws://127.0.0.1:{opened.result()}"
        return self

    async def __aexit__(self, *error):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _noted(self, sent):
        if sent.trades:
            (frame, _), *_ = sent.frames
            self.sent += [(sent.venue, one) for one in trades_in(sent.venue, frame)]
        return sent

    def settings(self, **others):
        return Settings(simulator_url=self.url, crypto_symbols=("BTC/USDT", "ETH/USDT"), **others)


def trades_in(venue, frame):
    found = VENUES[venue].parse(frame.encode(), received_ns=0)
    return [one for one in found if isinstance(one, ParsedTrade)]


def trades_of(path):
    frames = [frame for frame in read_capture(path) if frame.direction == "in"]
    return [(frame.venue, one) for frame in frames for one in trades_in(frame.venue, frame.frame)]


def by_instrument(trades):
    found = {}
    for venue, one in trades:
        found.setdefault((venue, one.venue_symbol), []).append(one)
    return found


async def test_a_capture_of_live_sockets_replays_to_the_trades_that_were_sent(tmp_path):
    path = tmp_path / "now.jsonl.gz"
    secret = "123456:hidden-" + "x" * 30
    async with Simulated() as market:
        settings = market.settings(telegram_bot_token=SecretStr(secret))
        frames = await record(settings, path, SECONDS, lambda text: None)
    assert set(frames) == set(VENUES)
    sent, kept = by_instrument(market.sent), by_instrument(trades_of(path))
    assert set(kept) == set(sent)
    for name, trades in kept.items():
        first = sent[name].index(trades[0])
        assert trades == sent[name][first : first + len(trades)]
        assert len(trades) > SECONDS  # of 25 to 35 a second on average
    summary = replay_in_process([path]).summary()
    assert summary["trades"] == sum(map(len, kept.values()))
    assert summary["duplicates"] == summary["quarantined"] == 0
    counted = {name: found["trades"] for name, found in summary["instruments"].items()}
    assert counted == {f"{venue}|spot|{pair(listing)}": len(trades) for (venue, listing), trades in kept.items()}
    lines = gzip.decompress(path.read_bytes())
    assert secret.encode() not in lines
    assert market.url.encode() not in lines
    assert {frame.api for frame in read_capture(path) if frame.venue == "coinbase"} == {"exchange"}
    assert {frame.api for frame in read_capture(path) if frame.venue != "coinbase"} == {None}
    assert {frame.direction for frame in read_capture(path)} == {"in", "out"}


def pair(listing):
    return {"BTC": "BTC/USDT", "ETH": "ETH/USDT"}[listing[:3]]


async def test_ctrl_c_ends_a_capture_early_and_leaves_a_whole_file(tmp_path):
    path = tmp_path / "early.jsonl.gz"
    command = [sys.executable, "-m", "sofia_streams.cli", "capture", "--seconds", "600", "--out", str(path), "--json"]
    async with Simulated() as market, asyncio.timeout(PATIENCE_S):
        clean = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        environment = {**clean, "PYTHONPATH": str(ROOT), "SIMULATOR_URL": market.url, **PAIRS}
        process = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, env=environment, stdout=-1, stderr=-1)
        while not path.exists() or path.stat().st_size < 5_000:
            assert process.returncode is None, await process.stderr.read()
            await asyncio.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, _ = await process.communicate()
    assert process.returncode == 0
    told = json.loads(out)["frames"]
    assert sum(told.values()) == sum(frame.direction == "in" for frame in read_capture(path))
    assert trades_of(path)


async def test_a_name_that_is_taken_is_refused_before_anything_is_recorded(tmp_path):
    path = tmp_path / "one.jsonl.gz"
    path.write_bytes(b"somebody's")
    with pytest.raises(BadCapture, match="--force"):
        await record(Settings(simulator_url="ws://127.0.0.1:9"), path, SECONDS, lambda text: None)
    assert path.read_bytes() == b"somebody's"


async def test_where_nothing_came_there_is_an_error_and_no_file(tmp_path):
    path = tmp_path / "none.jsonl.gz"
    settings = Settings(simulator_url="ws://127.0.0.1:9", crypto_exchanges=("okx",))
    with pytest.raises(DependencyDown, match="found none"):
        await record(settings, path, 1.0, lambda text: None)
    assert not path.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full, a disk that is full")
async def test_a_disk_that_fills_up_ends_the_recording_with_an_error():
    async with Simulated() as market, asyncio.timeout(PATIENCE_S):
        with pytest.raises(BadCapture, match="No space left"):
            await record(market.settings(), Path("/dev/full"), 600.0, lambda text: None, replace=True)
