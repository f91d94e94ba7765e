"""Capture files: written and read back, and damaged ones named."""

import contextlib
import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from sofia_streams.capture import LINE_BYTES_MAX, CapturedFrame, CaptureWriter, read_capture
from sofia_streams.errors import BadCapture

ROOT = Path(__file__).parents[1]
FRAME = CapturedFrame(1, "okx", "spot", "c1", "in", "pong")


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


@pytest.mark.parametrize("content", [gzip.compress(b"", mtime=0), b""], ids=["gzip of nothing", "nothing"])
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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full, a disk that is full")
def test_a_full_disk_is_reported():
    capture = CaptureWriter(Path("/dev/full"), replace=True)
    with pytest.raises(BadCapture, match="No space left"), capture:
        capture.write(FRAME)
        capture.flush()
