"""Capture files: gzip JSON lines, one frame a line, in receive order.

Read with caps (a line at most 16 MiB), because captures come from strangers. Does not parse frames.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal

import msgspec

from sofia_streams.errors import BadCapture
from sofia_streams.model import Market

LINE_BYTES_MAX = 16 * 1024 * 1024


class CapturedFrame(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a capture. `received_ns` is the recorder's clock; `frame` is the text exactly as on the wire."""

    received_ns: int
    venue: Literal["binance", "okx", "coinbase", "bybit"]
    market: Market
    connection: str
    direction: Literal["in", "out"]
    frame: str
    api: Literal["exchange", "advanced"] | None = None


_decoder = msgspec.json.Decoder(CapturedFrame)
_encoder = msgspec.json.Encoder()


def read_capture(path: Path) -> Iterator[CapturedFrame]:
    """The frames of `path`, in file order. Raises BadCapture with the line number; frames before it are yielded."""
    number = 0
    try:
        with gzip.open(path, "rb") as lines:
            while line := lines.readline(LINE_BYTES_MAX + 1):
                number += 1
                if len(line) > LINE_BYTES_MAX:
                    raise BadCapture(f"{path}: line {number} is over {LINE_BYTES_MAX} bytes; is this a capture file?")
                yield _decoder.decode(line)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadCapture(
            f"{path}: expected a whole gzip file, found it cut or damaged after line {number} ({error}). "
            "Copy it again; `zcat` shows what is left."
        ) from error
    except msgspec.DecodeError as error:
        raise BadCapture(
            f"{path}: line {number} is not a captured frame ({error}). "
            "Expected one JSON object a line, as `sofia capture` writes."
        ) from error
    except OSError as error:
        raise BadCapture(f"{path}: {error.strerror or error}. Give the path of a .jsonl.gz capture.") from error


class CaptureWriter:
    """Writes frames to `path`; use as a context manager, since the file is whole only once closed."""

    def __init__(self, path: Path) -> None:
        self._file = gzip.open(path, "wb")  # noqa: SIM115  closed in __exit__

    def write(self, frame: CapturedFrame) -> None:
        """Append one frame."""
        self._file.write(_encoder.encode(frame) + b"\n")

    def __enter__(self) -> CaptureWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
