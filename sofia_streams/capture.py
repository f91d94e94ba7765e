"""Capture files: gzip JSON lines, one frame a line, in receive order.

Read with caps (a line at most 16 MiB, read line by line), because captures come from strangers. Does not parse frames.
A capture holds frames of public market data, when they came and on which connection: no address, header or setting.
"""

from __future__ import annotations

import gzip
import heapq
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal

import msgspec

from sofia_streams.errors import BadCapture
from sofia_streams.model import Market

LINE_BYTES_MAX = 16 * 1024 * 1024
TIME_NS_MAX = 2**63 - 1
_LEVEL = 6
"""Of compression: 9 takes thrice the time for 2 % less."""


class CapturedFrame(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a capture. `received_ns` is the recorder's clock; `frame` is the text exactly as on the wire."""

    received_ns: Annotated[int, msgspec.Meta(ge=0, le=TIME_NS_MAX)]
    venue: Literal["binance", "okx", "coinbase", "bybit"]
    market: Market
    connection: str
    direction: Literal["in", "out"]
    frame: str
    api: Literal["exchange", "advanced"] | None = None

    def data(self) -> bytes:
        """The frame as parsers take it; a lone surrogate in a captured text is kept."""
        return self.frame.encode("utf-8", "surrogatepass")


_decoder = msgspec.json.Decoder(CapturedFrame)
_encoder = msgspec.json.Encoder()


def read_capture(path: Path) -> Iterator[CapturedFrame]:
    """The frames of `path`, in file order. Raises BadCapture with the line number; frames before it are yielded.

    A file without any frame is refused too.
    """
    number = 0
    try:
        with gzip.open(path, "rb") as lines:
            while line := lines.readline(LINE_BYTES_MAX + 1):
                number += 1
                if len(line) > LINE_BYTES_MAX:
                    raise BadCapture(f"{path}: line {number} is over {LINE_BYTES_MAX} bytes; is this a capture file?")
                yield _decoder.decode(line)
        if number == 0:
            raise BadCapture(f"{path}: expected frames, found none. Was the recording stopped at once? Record again.")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadCapture(
            f"{path}: expected a whole gzip file, found it cut or damaged after line {number} ({error}). "
            "Copy it again; `zcat` shows what is left."
        ) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadCapture(
            f"{path}: line {number} is not a captured frame ({error}). "
            "Expected one JSON object a line, as `sofia capture` writes."
        ) from error
    except OSError as error:
        raise BadCapture(f"{path}: {error.strerror or error}. Give the path of a .jsonl.gz capture.") from error


def merged_frames(paths: Sequence[Path]) -> Iterable[CapturedFrame]:
    """The frames of all captures in one receive order. Raises BadCapture."""
    return heapq.merge(*map(read_capture, paths), key=lambda frame: frame.received_ns)


class CaptureWriter:
    """Writes frames to `path`; use as a context manager, since the file is whole only once closed.

    Raises BadCapture where the file exists (unless it may be replaced), and from any method where the disk refuses.
    """

    def __init__(self, path: Path, *, replace: bool = False) -> None:
        self._path = path
        try:
            self._file = gzip.open(path, "wb" if replace else "xb", compresslevel=_LEVEL)  # noqa: SIM115  see __exit__
        except FileExistsError:
            raise BadCapture(
                f"{path}: expected no file of this name, found one. Choose another name, or replace it with --force."
            ) from None
        except OSError as error:
            raise self._refused(error) from error

    def write(self, frame: CapturedFrame) -> None:
        """Append one frame."""
        try:
            self._file.write(_encoder.encode(frame) + b"\n")
        except OSError as error:
            raise self._refused(error) from error

    def flush(self) -> None:
        """Hand everything to the operating system: a crash later than this loses none of it."""
        try:
            self._file.flush()
        except OSError as error:
            raise self._refused(error) from error

    def discard(self) -> None:
        """Remove the file; call it once it is closed."""
        if self._path.is_file():  # not a device
            self._path.unlink()

    def _refused(self, error: OSError) -> BadCapture:
        return BadCapture(
            f"{self._path}: cannot be written: {error.strerror or error}. Check the folder, its rights, the free space."
        )

    def __enter__(self) -> CaptureWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError as refused:
            if error is None:
                raise self._refused(refused) from refused
