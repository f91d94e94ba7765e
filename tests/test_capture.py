"""Capture files: written and read back, and damaged ones named."""

import gzip
from pathlib import Path

import pytest

from sofia_streams.capture import CapturedFrame, CaptureWriter, read_capture
from sofia_streams.errors import BadCapture

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


def test_a_line_that_is_no_frame_is_named_by_number(tmp_path):
    path = tmp_path / "bad.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"received_ns": "x"}\n'))
    with pytest.raises(BadCapture, match="line 1"):
        list(read_capture(path))


def test_a_missing_file_says_what_to_give(tmp_path):
    with pytest.raises(BadCapture, match=r"\.jsonl\.gz"):
        list(read_capture(tmp_path / "none.jsonl.gz"))
