"""Notices that a venue changed what it sends: an alert where frames can no longer be read, a count of new fields.

A new field is ignored, as the parsers do; one frame with trades a second is looked at for that. Does not parse.
"""

from __future__ import annotations

from collections import defaultdict

import msgspec
import structlog

from sofia_streams.core.feeds.frame_changes import Fields, Unreadable
from sofia_streams.model import NS_PER_SECOND, Alert

_log = structlog.get_logger("venue_changes")


class VenueChanges:
    """Every venue's frames. One object a process."""

    def __init__(self) -> None:
        self._unreadable: dict[str, Unreadable] = defaultdict(Unreadable)
        self._reasons: dict[str, str] = {}
        self._fields: dict[str, Fields] = defaultdict(Fields)
        self._looked_ns: dict[str, int] = {}

    def saw(self, venue: str, reason: str | None, now_ns: int) -> None:
        """A frame; `reason` where something of it could not be taken."""
        self._unreadable[venue].saw(now_ns, is_bad=reason is not None)
        if reason is not None:
            self._reasons[venue] = reason

    def new_fields(self, venue: str, frame: bytes, now_ns: int) -> int:
        """How many fields are new in this frame with trades; most frames are not looked at."""
        if abs(now_ns - self._looked_ns.get(venue, 0)) < NS_PER_SECOND:
            return 0
        self._looked_ns[venue] = now_ns
        try:
            found = self._fields[venue].new(msgspec.json.decode(frame))
        except msgspec.DecodeError:
            return 0
        if found:
            _log.warning("the venue sends new fields, they are ignored", venue=venue, fields=found)
        return len(found)

    def alerts(self, now_ns: int) -> list[Alert]:
        """What a person must know now, each matter once."""
        return [self._alert(venue, now_ns) for venue, one in self._unreadable.items() if one.has_begun(now_ns)]

    def _alert(self, venue: str, now_ns: int) -> Alert:
        frames, bad = self._unreadable[venue].lately(now_ns)
        text = (
            f"venue changed? {venue}: {bad} of {frames} frames of the last minute could not be taken. "
            f"The last one: {self._reasons[venue][:300]}. `quarantine` has what is no known message."
        )
        _log.error("the venue may have changed what it sends", venue=venue, frames=frames, unreadable=bad)
        return Alert(f"changed:{venue}:{now_ns}", "critical", "crypto_ws", text, now_ns)
