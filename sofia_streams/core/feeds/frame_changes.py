"""Whether a venue's frames are not what they were: unreadable ones in a minute, fields that are new. Pure; bounded.

What it does not do: read frames (`venues`), say anything to anybody (`ingest.venue_changes`).
"""

from __future__ import annotations

from collections.abc import Iterator

_BUCKET_NS = 5_000_000_000
_BUCKETS = 12
UNREADABLE_MIN = 5
UNREADABLE_PARTS = 100
"""At least so many frames of the last minute, and one in so many of them: among best bids and asks trades are rare."""
FRAMES_LEARNT = 60
_FIELDS_MAX = 200
_FIELD_CHARS_MAX = 80
_DEPTH_MAX = 6


class Unreadable:
    """One venue's frames over the last minute, and how many of them could not be taken."""

    def __init__(self) -> None:
        self._counts: dict[int, tuple[int, int]] = {}
        self._is_said = False

    def saw(self, now_ns: int, *, is_bad: bool) -> None:
        """A frame."""
        bucket = now_ns // _BUCKET_NS
        frames, bad = self._counts.get(bucket, (0, 0))
        self._counts[bucket] = frames + 1, bad + is_bad
        if len(self._counts) > _BUCKETS:
            del self._counts[next(iter(self._counts))]

    def lately(self, now_ns: int) -> tuple[int, int]:
        """(frames, unreadable ones) of the last minute."""
        since = now_ns // _BUCKET_NS - _BUCKETS
        counts = [count for bucket, count in self._counts.items() if bucket > since]
        return sum(frames for frames, _ in counts), sum(bad for _, bad in counts)

    def has_begun(self, now_ns: int) -> bool:
        """Whether there are too many of them, once: again after a minute without any."""
        frames, bad = self.lately(now_ns)
        if not bad:
            self._is_said = False
        if self._is_said or bad < UNREADABLE_MIN or bad * UNREADABLE_PARTS < frames:
            return False
        self._is_said = True
        return True


class Fields:
    """The fields of one kind of frame. What is there in the first FRAMES_LEARNT is known, what comes later is new."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._frames = 0

    def new(self, frame: object) -> list[str]:
        """The fields of a decoded frame that none before it had, each once."""
        self._frames += 1
        found = [name for name in dict.fromkeys(_names(frame, "", _DEPTH_MAX)) if name not in self._known]
        found = found[: _FIELDS_MAX - len(self._known)]
        self._known.update(found)
        return found if self._frames > FRAMES_LEARNT else []


def _names(value: object, prefix: str, depth: int) -> Iterator[str]:
    if not depth:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            name = f"{prefix}.{key}"[:_FIELD_CHARS_MAX] if prefix else str(key)[:_FIELD_CHARS_MAX]
            yield name
            yield from _names(inner, name, depth - 1)
    elif isinstance(value, list):
        for inner in value[:_FIELDS_MAX]:
            yield from _names(inner, prefix, depth - 1)
