"""Writes down every trade that a made market printed, one JSON object a line: the truth for whoever compares later.

A trade stands here whether or not a fault kept it from clients. What it does not do: outlive a kill of the simulator by
more than what was written out, once a second.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from sofia_streams.errors import ConfigError
from sofia_streams.simulator.sent import Sent

_BUFFER_BYTES = 1 << 20
_encoder = msgspec.json.Encoder(decimal_format="string")


class Ledger:
    """An open file; what it holds already is kept, so that a simulator started again goes on in it."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError where the file cannot be opened."""
        try:
            self._file = path.open("ab", buffering=_BUFFER_BYTES)
        except OSError as error:
            raise ConfigError(f"--ledger: expected a file that can be written, found {path}: {error}") from error

    def add(self, sent: Sent) -> None:
        """The trade of this, if it has one."""
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
        self._file.write(_encoder.encode(line) + b"\n")

    def flush(self) -> None:
        """Hand what is written to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Flush, and no more."""
        self._file.close()
