"""Writes down every trade that a made market printed, one JSON object a line: the truth for whoever compares later.

A trade stands here whether or not a fault kept it from clients. What it does not do: outlive a kill of the simulator by
more than what was written out, once a second. A last line that was being written then is cut off at the next start.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from sofia_streams.errors import ConfigError, NotWritten
from sofia_streams.simulator.sent import Sent

_BUFFER_BYTES = 1 << 20
_LINE_BYTES_MAX = 1 << 16
_BEGIN = b'{"venue":'
_encoder = msgspec.json.Encoder(decimal_format="string")


class Ledger:
    """An open file; what it holds already is kept, so that a simulator started again goes on in it."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError where the file cannot be opened, or ends in a line that is no trade's."""
        self._path = path
        try:
            if path.is_file():
                _cut_torn_line(path)
            self._file = path.open("ab", buffering=_BUFFER_BYTES)
        except OSError as error:
            raise ConfigError(f"--ledger: expected a file that can be written, found {path}: {error}") from error

    def add(self, sent: Sent) -> None:
        """The trade of this, if it has one. Raises NotWritten, as all below."""
        if sent.said is None:
            return
        trade = sent.said.trade
        line = {
            "venue": sent.venue,
            "market": sent.market,
            "listing": sent.listing,
            "trade_id": trade.trade_id,
            "exchange_ns": trade.exchange_ns,
            "price": trade.price,
            "quantity": trade.quantity,
            "side": trade.taker_side,
        }
        with self._writing():
            self._file.write(_encoder.encode(line) + b"\n")

    def flush(self) -> None:
        """Hand what is written to the operating system."""
        with self._writing():
            self._file.flush()

    def close(self) -> None:
        """Flush, and no more."""
        with self._writing():
            self._file.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise NotWritten(self._path, error) from error


def _cut_torn_line(path: Path) -> None:
    """Nothing is cut that was not begun as a line of ours. Raises ConfigError, OSError."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - _LINE_BYTES_MAX)
        file.seek(start)
        end = file.read()
        torn = end[end.rfind(b"\n") + 1 :]
        if not torn.startswith(_BEGIN) and not _BEGIN.startswith(torn):
            raise ConfigError(f"--ledger: expected a ledger or no file, found {path}, which ends in {torn[:40]!r}.")
        file.truncate(size - len(torn))
