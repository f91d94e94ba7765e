"""Tickers merged onto what was known, and conflated: at most ten a second of an instrument, the newest never lost."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from sofia_streams.model import ParsedTicker, Ticker

EVERY_NS = 100_000_000


class Tickers:
    """The last ticker of every instrument; times of the receiver's clock."""

    def __init__(self) -> None:
        self._known: dict[str, Ticker] = {}
        self._sent_ns: dict[str, int] = {}

    def merge(self, name: str, new: Ticker, found: ParsedTicker) -> list[Ticker]:
        """What to send now; `new` says whose it is and when it came, `found` the fields that the venue said."""
        known = self._known.get(name) or new
        exchange_ns = found.exchange_ns if found.exchange_ns is not None else known.exchange_ns
        fields = {"received_ns": new.received_ns, "exchange_ns": exchange_ns, **found.fields}
        ticker = self._known[name] = msgspec.structs.replace(known, **fields)
        if new.received_ns - self._sent_ns.get(name, 0) < EVERY_NS:
            return []
        self._sent_ns[name] = new.received_ns
        return [ticker]

    def held(self) -> Iterator[Ticker]:
        """Those that were held back and not sent since."""
        for name, ticker in self._known.items():
            if self._sent_ns.get(name, 0) < ticker.received_ns:
                self._sent_ns[name] = ticker.received_ns
                yield ticker
