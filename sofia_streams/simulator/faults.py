"""Faults that the simulator puts between a venue and its client, seeded: each frame may be hurt.

A fault is a probability a frame (busy: a REST request). Recordings served on `/replay` are never hurt: a replay gives
the same every time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

from sofia_streams.errors import ConfigError

KINDS = ("drop", "duplicate", "reorder", "malformed", "disconnect", "stall", "late", "busy")
BUSY = "busy"
"""The one that hurts REST and no frame: HTTP 429, and when to ask again."""
_SECONDS = {"stall": 40.0, "late": 5.0, BUSY: 1.0}
"""A stall is longer than any venue's own heartbeat; late is later than a candle waits."""
_SECONDS_MAX = 3_600.0
_GARBAGE = '{"e":"trade","s":"BTCUSDT","p":"NaN","q":[],"T":-1'


class Fault(NamedTuple):
    """How likely a frame is hurt, and for how long (stall, late, busy)."""

    share: float
    seconds: float = 0.0


def parse_faults(texts: Sequence[str]) -> dict[str, Fault]:
    """`drop=0.01`, `late=0.001:5` and the like. Raises ConfigError."""
    found = {}
    for text in texts:
        kind, _, value = text.partition("=")
        share_text, colon, seconds_text = value.partition(":")
        share, seconds = _number(share_text), _number(seconds_text) if colon else _SECONDS.get(kind, 0.0)
        is_timed = kind in _SECONDS and 0.0 < seconds <= _SECONDS_MAX
        if kind not in KINDS or not 0.0 <= share <= 1.0 or not (is_timed or (kind not in _SECONDS and not colon)):
            raise ConfigError(
                f"--fault: expected KIND=0..1 with KIND one of {', '.join(KINDS)} "
                f"({', '.join(_SECONDS)}: KIND=0..1:SECONDS as well), found {text[:60]!r}"
            )
        found[kind] = Fault(share, seconds)
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0


class Hurt(NamedTuple):
    """What to do instead of sending one frame: send `frames`, and `late` after `late_s`."""

    frames: list[str]
    late: Sequence[str] = ()
    late_s: float = 0.0
    stall_s: float = 0.0
    disconnect: bool = False


class Faults:
    """Decides for one client, frame by frame; counts in `fired` by kind."""

    def __init__(self, faults: Mapping[str, Fault], seed: int, fired: dict[str, int]) -> None:
        self._faults = {kind: fault for kind, fault in faults.items() if kind != BUSY}
        self._random = Random(seed)  # noqa: S311
        self._held: str | None = None
        self._fired = fired

    def apply(self, frame: str) -> Hurt:
        """What happens to this frame."""
        hit = [kind for kind, fault in self._faults.items() if self._random.random() < fault.share]
        for kind in hit:
            self._fired[kind] += 1
        frames = [] if "drop" in hit else [frame, frame] if "duplicate" in hit else [frame]
        late = []
        if "late" in hit:
            frames, late = [], frames
        if "malformed" in hit:
            frames.append(_GARBAGE)
        if self._held is not None:
            frames, self._held = [*frames, self._held], None
        elif "reorder" in hit and frames:
            frames, self._held = frames[:-1], frames[-1]
        return Hurt(
            frames,
            late,
            late_s=self._faults["late"].seconds if late else 0.0,
            stall_s=self._faults["stall"].seconds if "stall" in hit else 0.0,
            disconnect="disconnect" in hit,
        )
