"""Connections by name: which instruments' feed one carries, whether it speaks as usual, which of two is faster."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sofia_streams.core.feeds.lines import LineRace
from sofia_streams.core.feeds.pulse import Pulse
from sofia_streams.model import Market, Trade
from sofia_streams.obs import metrics

_RECORDING_PAUSE_NS = 5_000_000_000
_SILENCE_NS_MIN = 3_000_000_000
"""A connection may always pause for so long."""


class Line(NamedTuple):
    """One connection. Connections of one `shard` replace one another: they carry the same instruments."""

    venue: str
    market: Market
    connection: str
    shard: str = ""

    def feed(self) -> tuple[str, str, str]:
        """What stays the same when the connection is replaced."""
        return self.venue, self.market, self.shard


class Connections:
    """The state of every feed; one that was silent for `silent_ns` says nothing about quiet instruments."""

    def __init__(self, silent_ns: int) -> None:
        self._silent_ns = silent_ns
        self._pulses: dict[tuple[str, str, str], Pulse] = {}
        self._recorded_ns: dict[str, int] = {}
        self.races: dict[str, LineRace] = defaultdict(LineRace)

    def heard(self, line: Line, now_ns: int) -> None:
        """A frame came."""
        pulse = self._pulses.get(line.feed())
        if pulse is None:
            pulse = self._pulses[line.feed()] = Pulse(now_ns, _SILENCE_NS_MIN)
        pulse.saw(now_ns)

    def recorded(self, line: Line, now_ns: int) -> None:
        """A frame of a recording came on this very connection."""
        self._recorded_ns[line.connection] = now_ns

    def is_over(self, line: Line, now_ns: int) -> bool:
        """Whether the recording of this connection has ended, or pauses: nothing can be said of its instruments."""
        recorded_ns = self._recorded_ns.get(line.connection)
        return recorded_ns is not None and now_ns - recorded_ns > _RECORDING_PAUSE_NS

    def closed(self, line: Line) -> None:
        """A connection is gone; another line, or its successor, is heard in a moment."""
        self._pulses.pop(line.feed(), None)

    def moved(self, by_ns: int) -> None:
        """The receiver's clock was set."""
        for pulse in self._pulses.values():
            pulse.moved(by_ns)

    def is_alive(self, line: Line, now_ns: int) -> bool:
        """Whether the feed speaks as it usually does: only then a quiet instrument is known to be quiet."""
        pulse = self._pulses.get(line.feed())
        return pulse is not None and not pulse.level(now_ns) and now_ns - pulse.heard_ns < self._silent_ns

    def race(self, name: str, line: Line, trades: Sequence[Trade], received_ns: int) -> Iterator[str]:
        """The lines that had these trades of an instrument first, for those that two lines had."""
        carrier = line.connection.rpartition(".")[0]  # without the number of the connection
        for leader, lead_ns in self.races[name].saw(carrier, trades, received_ns):
            metrics.LINE_LEAD_MS.labels(line.venue, leader).observe(lead_ns / 1e6)
            yield leader
