"""Rows put aside on disk by bucket, so that only one bucket is in memory at a time. Knows no store.

About a hundred bytes a row, in a folder that goes with it. What it does not do: put rows in order, drop repeats.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from sofia_streams.errors import NotWritten
from sofia_streams.ops.verify.rows import Bucket

_PENDING_MAX = 50_000
"""Rows in memory before they are written."""
_LENGTH = 4
R = TypeVar("R")


class Spool(Generic[R]):
    """A context manager. `decoder` gives that of a list of rows, by table. Raises NotWritten where there is no room."""

    def __init__(self, folder: Path, decoder: Callable[[str], msgspec.msgpack.Decoder[list[R]]]) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._folder = tempfile.TemporaryDirectory(prefix="verify-", dir=folder)
        except OSError as error:
            raise NotWritten(folder, error) from error
        self._decoder = decoder
        self._encode = msgspec.msgpack.Encoder().encode
        self._files: dict[Bucket, Path] = {}
        self._pending: dict[Bucket, list[R]] = defaultdict(list)
        self._waiting = 0
        self.rows_added = 0

    def __enter__(self) -> Spool[R]:
        """Ready at once."""
        return self

    def __exit__(self, *error: object) -> None:
        self._folder.cleanup()

    def add(self, bucket: Bucket, row: R) -> None:
        """Put a row aside. Raises NotWritten, after which nothing here is to be read."""
        self._pending[bucket].append(row)
        self._waiting += 1
        self.rows_added += 1
        if self._waiting >= _PENDING_MAX:
            self._flush()

    def buckets(self) -> set[Bucket]:
        """Those that have rows."""
        return self._files.keys() | self._pending.keys()

    def rows(self, bucket: Bucket) -> list[R]:
        """The rows of a bucket as they were added. Raises NotWritten."""
        self._flush()
        return [row for block in self._blocks(bucket) for row in block]

    def _flush(self) -> None:
        for bucket, rows in self._pending.items():
            path = self._files.setdefault(bucket, Path(self._folder.name) / f"{len(self._files)}.rows")
            block = self._encode(rows)
            try:
                with path.open("ab") as file:
                    file.write(len(block).to_bytes(_LENGTH, "big") + block)
            except OSError as error:
                raise NotWritten(path, error) from error
        self._pending.clear()
        self._waiting = 0

    def _blocks(self, bucket: Bucket) -> Iterator[list[R]]:
        path = self._files.get(bucket)
        if path is None:
            return
        decoder = self._decoder(bucket.table)
        with path.open("rb") as file:
            while length := file.read(_LENGTH):
                yield decoder.decode(file.read(int.from_bytes(length, "big")))
