"""The system takes only a part of a file of ours, or none: said with the file's name, and no cut file passes for whole.

A limit on the size of files stands for a full disk: the write that passes it is cut short, the next one is refused.
Python itself does not look at how much of its compiled modules was written, so it writes none meanwhile.
"""

import os
import resource
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
import pyarrow.parquet as pq
import pytest

from sofia_streams.capture import CapturedFrame, CaptureWriter, read_capture
from sofia_streams.cli.__main__ import main
from sofia_streams.embedded import process
from sofia_streams.embedded.lock import DataDirLock, holder
from sofia_streams.errors import BadCapture, ConfigError, NotWritten
from sofia_streams.files import make_folder, whole, write_whole
from sofia_streams.model import NS_PER_SECOND
from sofia_streams.ops.chaos.truth import read_ledger
from sofia_streams.ops.look import bundle
from sofia_streams.ops.replay.bar_book import BarBook
from sofia_streams.ops.replay.export import write_replay
from sofia_streams.ops.replay.scored_book import ScoredBook
from sofia_streams.ops.replay.trade_book import TradeBook
from sofia_streams.ops.supervision import running
from sofia_streams.ops.verify.rows import Bucket
from sofia_streams.ops.verify.spool import Spool
from sofia_streams.settings import Settings
from sofia_streams.simulator.ledger import Ledger
from sofia_streams.training.retraining.notes import Notes, write_notes

ROOT = Path(__file__).parents[1]
CAPTURE = ROOT / "tests" / "captures" / "okx-spot-mixed6-20210722.jsonl.gz"
SOFIA = """
import resource, sys
sys.dont_write_bytecode = True
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
from sofia_streams.cli.__main__ import main
sys.exit(main(sys.argv[2:]))
"""
BUCKET = Bucket(0, "spot", "BTC/USDT", "trades", "okx")


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Inside, no file may become larger; Python ignores the signal that would come with it."""
    before, compiles = resource.getrlimit(resource.RLIMIT_FSIZE), sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        sys.dont_write_bytecode = compiles


def sofia(folder: Path, size: int, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """A command that may write files of at most `size` bytes."""
    own = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    return subprocess.run(
        [sys.executable, "-c", SOFIA, str(size), *arguments], cwd=folder, env=own | settings, capture_output=True,
        text=True, check=False, timeout=120,
    )  # fmt: skip


def check_said(done: subprocess.CompletedProcess[str], path: Path, code: int = 1) -> None:
    """One line that names the file and the cause, and what to do."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("sofia: ")
    assert path.name in last
    assert "File too large" in last
    assert "room" in last or "free space" in last


def test_a_file_is_replaced_by_a_whole_one_or_not_at_all(tmp_path):
    path = tmp_path / "one"
    path.write_text("before")
    with at_most(10), pytest.raises(NotWritten, match="one: expected to write it, found: File too large"):
        write_whole(path, b"x" * 11)
    with at_most(10), pytest.raises(NotWritten, match="room and rights"), whole(path) as partial:
        partial.write_bytes(b"x" * 11)
    with pytest.raises(KeyError), whole(path) as partial:
        partial.write_text("half")
        raise KeyError
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == {"one": "before"}
    with at_most(10):
        write_whole(path, b"x" * 10, mode=0o600)
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == {"one": "x" * 10}
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("place", ["a file", "a file/below"])
def test_a_folder_that_cannot_be_made_is_named_with_the_cure(tmp_path, place):
    (tmp_path / "a file").touch()
    path = tmp_path / place
    replayed = (BarBook(), TradeBook(0, keep=True), ScoredBook(NS_PER_SECOND))
    for making in (make_folder, lambda path: write_replay(path, *replayed), lambda path: write_notes(path, Notes())):
        with pytest.raises(NotWritten, match=f"{path}: expected to write it, found: .*room and rights"):
            making(path)
    done = sofia(tmp_path, -1, "replay", str(CAPTURE), "--in-process", "--out", place)
    assert done.returncode == 1
    assert f"{place}: expected to write it" in done.stderr.splitlines()[-1]
    make_folder(tmp_path / "some" / "where")
    make_folder(tmp_path / "some" / "where")
    assert (tmp_path / "some" / "where").is_dir()


def test_what_says_only_when_it_is_synced_that_it_failed_is_not_taken_for_whole(tmp_path, monkeypatch):
    def broken(number: int) -> None:
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(NotWritten, match="Input/output error"), whole(tmp_path / "one") as partial:
        partial.write_text("all of it")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_an_export_that_does_not_fit_leaves_what_was_there_and_nothing_else(tmp_path):
    arguments = ("replay", str(CAPTURE), "--in-process", "--out", "out")
    first = sofia(tmp_path, -1, *arguments)
    assert first.returncode == 0, first.stderr
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    check_said(sofia(tmp_path, len(before["trades.parquet"]) - 1, *arguments), Path("trades.parquet"))
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    for name in before:
        assert pq.read_table(tmp_path / "out" / name).num_rows > 0


@pytest.mark.slow
def test_a_recording_that_does_not_fit_says_so_and_gives_its_frames_and_then_that_it_is_cut(tmp_path):
    with simulator(tmp_path) as url:
        done = sofia(tmp_path, 20_000, "capture", "--out", "one.jsonl.gz", "--seconds", "60", SIMULATOR_URL=url)
    check_said(done, Path("one.jsonl.gz"))
    frames = 0
    with pytest.raises(BadCapture, match="expected a whole gzip file, found it cut"):
        for _ in read_capture(tmp_path / "one.jsonl.gz"):
            frames += 1
    assert frames > 10
    assert (tmp_path / "one.jsonl.gz").stat().st_size <= 20_000


@contextmanager
def simulator(folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "sofia_streams.cli", "simulate", "--port", str(port), "--rate", "200"]
    own = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=folder, env=own, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stderr is not None
            assert any("counts:" in line for line in iter(child.stderr.readline, ""))
            yield f"ws://127.0.0.1:{port}"
        finally:
            child.kill()


@pytest.mark.slow
def test_a_ledger_that_does_not_fit_ends_the_simulator_and_goes_on_behind_its_last_whole_line(tmp_path):
    path = tmp_path / "ledger.jsonl"
    arguments = ("simulate", "--port", "0", "--rate", "2000", "--venues", "okx", "--symbols", "BTC/USDT", "--ledger")
    check_said(sofia(tmp_path, 100_001, *arguments, str(path)), path)
    symbols = {("okx", "BTC-USDT"): "BTC/USDT"}
    assert not path.read_bytes().endswith(b"\n")
    found = read_ledger(path, symbols)
    assert sum(map(len, found.values())) > 100
    again = sofia(tmp_path, 200_001, *arguments, str(path))
    check_said(again, path)
    more = read_ledger(path, symbols)
    (name,) = found
    assert more[name].items() > found[name].items()


@pytest.mark.parametrize("torn", [b"", b'{"ve', b'{"venue":"okx","mar'])
def test_a_torn_last_line_of_a_ledger_is_cut_off_at_the_next_start(tmp_path, torn):
    path = tmp_path / "ledger.jsonl"
    lines = b'{"venue":"okx","market":"spot"}\n' * 3
    path.write_bytes(lines + torn)
    Ledger(path).close()
    assert path.read_bytes() == lines


def test_a_file_that_is_no_ledger_is_left_as_it_is(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("buy milk\nand bread")
    with pytest.raises(ConfigError, match="expected a ledger or no file"):
        Ledger(path)
    assert path.read_text() == "buy milk\nand bread"


def test_a_process_that_cannot_be_noted_does_not_run(tmp_path):
    for name in ("run", "log"):
        (tmp_path / name).mkdir()
    command = [sys.executable, "-c", "import time; time.sleep(600)", str(tmp_path)]
    with at_most(16), pytest.raises(NotWritten, match=r"sleeper\.json"):
        process.start("sleeper", command, port=0, data_dir=tmp_path, cwd=tmp_path)
    assert not list((tmp_path / "run").iterdir())
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in (one.info["cmdline"] or ())]


def test_who_holds_a_data_directory_is_said_or_it_is_not_held(tmp_path):
    (tmp_path / "run").mkdir()
    lock = DataDirLock(tmp_path)
    with at_most(16), pytest.raises(NotWritten, match="run/lock"):
        lock.acquire()
    assert not list((tmp_path / "run").iterdir())
    other = DataDirLock(tmp_path)
    other.acquire()
    found = holder(tmp_path)
    other.release()
    assert found is not None
    assert found.pid == os.getpid()


def test_the_notes_of_what_runs_are_whole_or_as_they_were(tmp_path):
    (tmp_path / "run").mkdir()
    with at_most(16), pytest.raises(NotWritten, match=r"up\.note"), running.noted(tmp_path, Settings()):
        pass
    running.note_given_up(tmp_path, {"ohlcv": "it ended"})
    with at_most(16), pytest.raises(NotWritten, match=r"given_up\.note"):
        running.note_given_up(tmp_path, {"ohlcv": "it ended", "redis_bridge": "it too"})
    assert running.given_up(tmp_path) == {"ohlcv": "it ended"}
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["given_up.note"]


async def test_a_bug_report_that_does_not_fit_leaves_none(tmp_path):
    settings = Settings(data_dir=tmp_path, crypto_exchanges=("okx",), simulator_url="ws://127.0.0.1:1")
    path = tmp_path / "report.tar.gz"
    with at_most(100), pytest.raises(NotWritten, match=r"report\.tar\.gz"):
        await bundle.write_bundle(settings, path)
    assert not list(tmp_path.iterdir())
    await bundle.write_bundle(settings, path)
    with tarfile.open(path) as found:
        assert "doctor.json" in found.getnames()


def test_rows_put_aside_that_do_not_fit_are_never_read(tmp_path):
    decoder = msgspec.msgpack.Decoder(list[int])
    with at_most(1_000), Spool[int](tmp_path, lambda _: decoder) as spool:
        for number in range(2_000):
            spool.add(BUCKET, number)
        with pytest.raises(NotWritten, match=r"\.rows"):
            spool.rows(BUCKET)
    assert not list(tmp_path.iterdir())


def test_a_comparison_without_room_says_that_nothing_was_compared(monkeypatch, capsys, tmp_path):
    async def refused(*_: object, **__: object) -> dict[str, object]:
        (tmp_path / "a file").touch()
        Spool(tmp_path / "a file", lambda _: msgspec.msgpack.Decoder(list[int]))
        return {}

    monkeypatch.setattr("sofia_streams.ops.verify.run.verify", refused)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["verify"])
    assert ended.value.code == 5
    assert "expected to write it" in capsys.readouterr().err


def test_a_recording_whose_disk_has_room_again_at_its_end_is_not_whole_with_frames_missing(tmp_path):
    path, written = tmp_path / "one.jsonl.gz", []
    with pytest.raises(BadCapture, match="cannot be written"), CaptureWriter(path) as capture, at_most(2_000):
        while True:
            written.append(CapturedFrame(len(written), "okx", "spot", "c1", "in", os.urandom(40).hex()))
            capture.write(written[-1])
            capture.flush()
    frames: list[CapturedFrame] = []
    try:
        for frame in read_capture(path):
            frames.append(frame)
    except BadCapture:
        assert frames == written[: len(frames)]
    else:
        assert frames == written
    assert len(frames) > 10
