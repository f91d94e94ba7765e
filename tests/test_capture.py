"""Capture files: written and read back, recorded from live sockets, and damaged ones named."""

import asyncio
import contextlib
import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from sofia_streams.capture import LINE_BYTES_MAX, CapturedFrame, CaptureWriter, read_capture
from sofia_streams.errors import BadCapture, DependencyDown
from sofia_streams.model import ParsedTrade
from sofia_streams.ops.record import record
from sofia_streams.ops.replay import replay_in_process
from sofia_streams.ops.simulate import checked_plan, simulate, taped
from sofia_streams.settings import Settings
from sofia_streams.venues.registry import VENUES

ROOT = Path(__file__).parents[1]
FRAME = CapturedFrame(1, "okx", "spot", "c1", "in", "pong")
PATIENCE_S = 60.0
SECONDS = 3.0
PAIRS = {"CRYPTO_SYMBOLS": "BTC/USDT,ETH/USDT"}


def written(path: Path, count: int = 200) -> Path:
    with CaptureWriter(path) as capture:
        for number in range(count):
            capture.write(CapturedFrame(number, "okx", "spot", "c1", "in", f'{{"n": "{number * 7919}"}}'))
    return path


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "one.jsonl.gz"
    with CaptureWriter(path) as capture:
        capture.write(FRAME)
    assert list(read_capture(path)) == [FRAME]


def test_a_cut_file_gives_its_frames_and_then_says_it_is_cut(tmp_path):
    path = written(tmp_path / "cut.jsonl.gz")
    path.write_bytes(path.read_bytes()[:-40])
    read = []
    with pytest.raises(BadCapture, match="whole gzip file"):
        read.extend(iter_into(read, path))
    assert [frame.received_ns for frame in read] == list(range(len(read)))


def iter_into(read, path):
    for frame in read_capture(path):
        read.append(frame)
    return []


@pytest.mark.parametrize(
    "line",
    [
        b'{"received_ns": "x"}',
        b'{"received_ns":-1,"venue":"okx","market":"spot","connection":"c","direction":"in","frame":""}',
        b'{"received_ns":1e300,"venue":"okx","market":"spot","connection":"c","direction":"in","frame":""}',
        b'{"received_ns":99999999999999999999,"venue":"okx","market":"spot","connection":"c","direction":"in","frame":""}',
        b'{"received_ns":1,"venue":"kraken","market":"spot","connection":"c","direction":"in","frame":""}',
        b'{"received_ns":1,"venue":"okx","market":"spot","connection":"c","direction":"in","frame":"\xff\xfe"}',
        b'{"received_ns":1,"venue":"okx","market":"spot","connection":"c","direction":"in","frame":"\\ud800"}',
        b'{"x":' + b"[" * 100_000,
        b"\x00" * 100,
        b"",
    ],
)
def test_a_line_that_is_no_frame_is_named_by_number(tmp_path, line):
    path = tmp_path / "bad.jsonl.gz"
    path.write_bytes(gzip.compress(line + b"\n"))
    with pytest.raises(BadCapture, match="line 1"):
        list(read_capture(path))


def test_an_endless_line_is_refused_before_it_fills_the_memory(tmp_path):
    path = tmp_path / "bomb.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(LINE_BYTES_MAX // 2**20 + 1):
            file.write(b" " * 2**20)
    assert path.stat().st_size < 2**18
    with pytest.raises(BadCapture, match="line 1 is over"):
        list(read_capture(path))


def check_damaged(path, content):
    """Frames that were there, in order, and then an error or the end; nothing else."""
    path.write_bytes(content)
    read = []
    with contextlib.suppress(BadCapture):
        iter_into(read, path)
    return read


def test_a_file_cut_at_any_byte_gives_its_frames_and_is_never_taken_for_whole(tmp_path):
    whole = written(tmp_path / "whole.jsonl.gz", 30).read_bytes()
    frames = list(read_capture(tmp_path / "whole.jsonl.gz"))
    for end in range(len(whole)):
        path = tmp_path / "cut.jsonl.gz"
        read = check_damaged(path, whole[:end])
        assert read == frames[: len(read)]
        with pytest.raises(BadCapture):
            list(read_capture(path))


def test_a_file_with_any_byte_changed_gives_frames_or_an_error(tmp_path):
    whole = written(tmp_path / "whole.jsonl.gz", 30).read_bytes()
    for place in range(len(whole)):
        check_damaged(tmp_path / "hurt.jsonl.gz", whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])


@pytest.mark.parametrize("tail", [b"x", b"\x1f\x8b", b"\x1f\x8b\x08\x08" + b"a" * 100_000, b"PK\x03\x04"])
def test_what_is_no_gzip_behind_the_frames_is_an_error(tmp_path, tail):
    path = written(tmp_path / "tail.jsonl.gz")
    path.write_bytes(path.read_bytes() + tail)
    with pytest.raises(BadCapture, match="cut or damaged after line 200"):
        list(read_capture(path))


BOMBS = {
    "lines of nothing": b"\n" * 2**20,
    "one line of spaces": b" " * 2**20,
    "one long text": b"a" * 2**20,
    "nests": b"[" * 2**20,
}
READ = """
import sys
from pathlib import Path
from sofia_streams.capture import read_capture
from sofia_streams.errors import BadCapture
def peak_kb():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:"))
before_kb = peak_kb()
try:
    frames = sum(1 for _ in read_capture(Path(sys.argv[1])))
except BadCapture as error:
    print(peak_kb() - before_kb, error)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc, which is not here")
@pytest.mark.parametrize("name", BOMBS)
def test_a_file_that_would_grow_to_a_gibibyte_is_refused_in_bounded_memory(tmp_path, name):
    path = tmp_path / "bomb.jsonl.gz"
    once = gzip.compress(BOMBS[name], 9)
    path.write_bytes(once * 1024)
    command = [sys.executable, "-c", READ, str(path)]
    env = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=True)
    grown_kb, _, said = done.stdout.partition(" ")
    assert "line 1 is" in said
    assert int(grown_kb) < 64 * 1024


@pytest.mark.parametrize("content", [gzip.compress(b""), b""])
def test_a_file_without_any_frame_is_refused(tmp_path, content):
    path = tmp_path / "empty.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(BadCapture, match="found none"):
        list(read_capture(path))


def test_a_missing_file_says_what_to_give(tmp_path):
    with pytest.raises(BadCapture, match=r"\.jsonl\.gz"):
        list(read_capture(tmp_path / "none.jsonl.gz"))


def test_an_existing_file_is_kept_unless_it_may_be_replaced(tmp_path):
    path = written(tmp_path / "one.jsonl.gz")
    before = path.read_bytes()
    with pytest.raises(BadCapture, match="--force"):
        CaptureWriter(path)
    assert path.read_bytes() == before
    with CaptureWriter(path, replace=True) as capture:
        capture.write(FRAME)
    assert list(read_capture(path)) == [FRAME]


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(BadCapture, match="cannot be written"):
        CaptureWriter(tmp_path / "nowhere" / "one.jsonl.gz")


def test_what_was_flushed_survives_a_crash(tmp_path):
    path = tmp_path / "one.jsonl.gz"
    capture = CaptureWriter(path)
    capture.write(FRAME)
    capture.flush()
    read = []
    with pytest.raises(BadCapture, match="cut or damaged after line 1"):
        iter_into(read, path)
    assert read == [FRAME]


full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full, a disk that is full")


@full
def test_a_full_disk_is_reported():
    capture = CaptureWriter(Path("/dev/full"), replace=True)
    with pytest.raises(BadCapture, match="No space left"), capture:
        capture.write(FRAME)
        capture.flush()


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
    path = written(tmp_path / "one.jsonl.gz")
    with pytest.raises(BadCapture, match="--force"):
        await record(Settings(simulator_url="ws://127.0.0.1:9"), path, SECONDS, lambda text: None)


async def test_where_nothing_came_there_is_an_error_and_no_file(tmp_path):
    path = tmp_path / "none.jsonl.gz"
    settings = Settings(simulator_url="ws://127.0.0.1:9", crypto_exchanges=("okx",))
    with pytest.raises(DependencyDown, match="found none"):
        await record(settings, path, 1.0, lambda text: None)
    assert not path.exists()


@full
async def test_a_disk_that_fills_up_ends_the_recording_with_an_error():
    async with Simulated() as market, asyncio.timeout(PATIENCE_S):
        with pytest.raises(BadCapture, match="No space left"):
            await record(market.settings(), Path("/dev/full"), 600.0, lambda text: None, replace=True)
