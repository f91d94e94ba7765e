"""Which instruments ingest keeps state of: live those that were subscribed, in a recording the first that it names.

Whatever a venue sends, the number of instruments is bounded: each is a tape, a row of a table, a stream, and a record
each second. What a name stands for is said by `names`. Opens nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from sofia_streams.core.bars.windows import instrument_key
from sofia_streams.errors import UnknownSymbol
from sofia_streams.ingest.line import Line
from sofia_streams.ingest.names import Names

_log = structlog.get_logger("instruments")
INSTRUMENTS_MAX = 10_000
"""Of all recordings that a process reads."""
_REFUSED_MAX = 1_000
"""So many names that were refused are remembered, and set aside once each; further ones are only counted."""
_CHARS_KEPT = 41


class Instruments:
    """The instruments of a process. A name that is refused is worth a record in `quarantine` once."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._feeds: dict[str, set[tuple[str, str, str]]] | None = None  # live: whose connections carry it
        self._known: set[str] = set()
        self._refused: set[tuple[str, str, str]] = set()

    def subscribe(self, names: Iterable[str], line: Line) -> None:
        """Connections of this feed carry these instruments; from now on nothing is taken that was not subscribed."""
        feeds = self._feeds = self._feeds or {}
        for name in names:
            feeds.setdefault(name, set()).add(line.feed())

    def named(self, line: Line, listing: str) -> tuple[str, str]:
        """(instrument, unified symbol) of what came on a connection. Raises UnknownSymbol."""
        symbol = self._names.unified(line.venue, line.market, listing)
        name = instrument_key(line.venue, line.market, symbol)
        if self._feeds is not None:
            if line.feed() not in self._feeds.get(name, ()):
                raise UnknownSymbol(
                    f"{line.venue}: expected instruments that this connection subscribed to, found {listing[:40]!r}"
                )
        elif name not in self._known:
            self._has_room(line, listing)
            self._known.add(name)
        return name, symbol

    def is_news(self, line: Line, listing: str) -> bool:
        """Whether a name that was refused is to be set aside: live, and where there is no room, once."""
        if self._feeds is None and len(self._known) < INSTRUMENTS_MAX:
            return True
        refused = (line.venue, line.market, listing[:_CHARS_KEPT])
        if refused in self._refused or len(self._refused) >= _REFUSED_MAX:
            return False
        self._refused.add(refused)
        _log.warning("not an instrument that is read, its data is left out", venue=line.venue, listing=refused[2])
        if len(self._refused) == _REFUSED_MAX:
            _log.error("too many names that are not read, further ones are only counted", names=_REFUSED_MAX)
        return True

    def _has_room(self, line: Line, listing: str) -> None:
        if len(self._known) < INSTRUMENTS_MAX:
            return
        if not self._refused:
            _log.error("the recordings name too many instruments, further ones are left out", most=INSTRUMENTS_MAX)
        raise UnknownSymbol(
            f"{line.venue}: expected at most {INSTRUMENTS_MAX} instruments in all, found one more, {listing[:40]!r}"
        )
