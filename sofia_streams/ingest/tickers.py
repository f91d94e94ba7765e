"""Tickers merged onto what was known, and conflated: at most ten a second of an instrument, the newest never lost.

The last one of an instrument that is quiet or dead is said again each second, so that the log alone says how far its
tickers have come (`Ticker.state`). The clock is a parameter. What it does not do: judge a connection (`line`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from sofia_streams.ingest.line import Connections, Line
from sofia_streams.ingest.punctuation import OVER_NS
from sofia_streams.model import NS_PER_SECOND, ParsedTicker, Ticker

EVERY_NS = 100_000_000
AGAIN_AFTER_NS = NS_PER_SECOND
"""An instrument of which nothing was written for so long is said again."""


class Tickers:
    """The last ticker of every instrument; times of the receiver's clock."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._known: dict[str, Ticker] = {}
        self._sent_ns: dict[str, int] = {}
        self._again_ns: dict[str, int] = {}
        self._lines: dict[str, Line] = {}
        self._ended: set[str] = set()  # their feed ended, and nothing came since

    def merge(self, name: str, line: Line, new: Ticker, found: ParsedTicker) -> list[Ticker]:
        """What to send now; `new` says whose it is and when it came, `found` the fields that the venue said."""
        self._lines[name] = line
        self._ended.discard(name)
        known = self._known.get(name) or new
        exchange_ns = found.exchange_ns if found.exchange_ns is not None else known.exchange_ns
        fields = {"received_ns": new.received_ns, "exchange_ns": exchange_ns, **found.fields}
        ticker = self._known[name] = msgspec.structs.replace(known, **fields)
        if new.received_ns - self._sent_ns.get(name, 0) < EVERY_NS:
            return []
        self._sent_ns[name] = new.received_ns
        return [ticker]

    def due(self, now_ns: int) -> Iterator[Ticker]:
        """Once a second or so: those that were held back and not sent since, and those that are to be said again."""
        for name, ticker in self._known.items():
            if self._sent_ns.get(name, 0) < ticker.received_ns:
                self._sent_ns[name] = ticker.received_ns
                yield ticker
            if now_ns - self._written_ns(name) >= AGAIN_AFTER_NS:
                yield self._again(name, now_ns)

    def ended(self, now_ns: int, line: Line | None = None) -> list[Ticker]:
        """The instruments (of a connection and those it replaced) are dead: said of each, and from now on."""
        now_ns += OVER_NS if line is None else 0
        names = [name for name, known in self._lines.items() if line is None or known.feed() == line.feed()]
        self._ended.update(names)
        return [self._again(name, max(now_ns, self._written_ns(name))) for name in names]

    def moved(self, by_ns: int) -> None:
        """The receiver's clock was set."""
        for times_ns in (self._sent_ns, self._again_ns):
            times_ns.update({name: at_ns + by_ns for name, at_ns in times_ns.items()})
        for name, ticker in self._known.items():
            self._known[name] = msgspec.structs.replace(ticker, received_ns=ticker.received_ns + by_ns)

    def _written_ns(self, name: str) -> int:
        return max(self._sent_ns.get(name, 0), self._again_ns.get(name, 0))

    def _again(self, name: str, now_ns: int) -> Ticker:
        self._again_ns[name] = now_ns
        state: Literal["quiet", "dead"] = "quiet" if self._is_alive(name, now_ns) else "dead"
        return msgspec.structs.replace(self._known[name], received_ns=now_ns, state=state)

    def _is_alive(self, name: str, now_ns: int) -> bool:
        if name in self._ended:
            return False
        line = self._lines[name]
        return self._connections.is_alive(line, now_ns) and not self._connections.is_over(line, now_ns)
