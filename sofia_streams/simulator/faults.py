"""Faults that the simulator puts between a venue and its client, seeded: each frame may be hurt.

A fault is a probability a frame; `busy` is one a REST request, and `gap` hurts all clients alike (`outages`).
Recordings served on `/replay` are never hurt: a replay gives the same every time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

from sofia_streams.errors import ConfigError

KINDS = ("drop", "duplicate", "reorder", "malformed", "disconnect", "stall", "late", "busy", "gap")
BUSY, GAP = "busy", "gap"
"""HTTP 429 for a REST request, and when to ask again; trades of one instrument in a row that no client gets."""
_SECONDS = {"stall": 40.0, "late": 5.0, BUSY: 1.0}
"""A stall is longer than any venue's own heartbeat; late is later than a candle waits."""
_SECONDS_MAX = 3_600.0
_GAP_USUAL, _GAP_MAX = 10, 500
_GARBAGE = '{"e":"trade","s":"BTCUSDT","p":"NaN","q":[],"T":-1'


class Fault(NamedTuple):
    """How likely a frame is hurt, and for how long (stall, late, busy) or how many (gap)."""

    share: float
    seconds: float = 0.0
    trades: int = 0


def parse_faults(texts: Sequence[str]) -> dict[str, Fault]:
    """`drop=0.01`, `late=0.001:5` and the like. Raises ConfigError."""
    found = {}
    for text in texts:
        kind, _, value = text.partition("=")
        share_text, colon, more = value.partition(":")
        fault = Fault(_number(share_text), *_more(kind, more if colon else None))
        if kind not in KINDS or not 0.0 <= fault.share <= 1.0 or fault.seconds < 0 or fault.trades < 0:
            raise ConfigError(
                f"--fault: expected KIND=0..1 with KIND one of {', '.join(KINDS)} ({', '.join(_SECONDS)}: "
                f"KIND=0..1:SECONDS as well, gap=0..1:TRADES with 1 to {_GAP_MAX}), found {text[:60]!r}"
            )
        found[kind] = fault
    return found


def _more(kind: str, text: str | None) -> tuple[float, int]:
    """Seconds and count of a fault of this kind; -1 for what is wrong."""
    if kind in _SECONDS:
        seconds = _SECONDS[kind] if text is None else _number(text)
        return seconds if 0.0 < seconds <= _SECONDS_MAX else -1.0, 0
    if kind == GAP:
        count = _GAP_USUAL if text is None else int(text) if text.isascii() and text.isdigit() else 0
        return 0.0, count if 1 <= count <= _GAP_MAX else -1
    return 0.0 if text is None else -1.0, 0


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
        self._faults = {kind: fault for kind, fault in faults.items() if kind not in (BUSY, GAP)}
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
