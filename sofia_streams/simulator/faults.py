"""Faults that the simulator puts between a venue and its client, seeded: each frame may be hurt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

from sofia_streams.errors import ConfigError

KINDS = ("drop", "duplicate", "reorder", "malformed", "disconnect", "stall")
STALL_S = 40.0
"""Longer than any venue's own heartbeat."""
_GARBAGE = '{"e":"trade","s":"BTCUSDT","p":"NaN","q":[],"T":-1'


def parse_faults(texts: Sequence[str]) -> dict[str, float]:
    """`drop=0.01` and the like to {kind: probability a frame}. Raises ConfigError."""
    found = {}
    for text in texts:
        kind, _, value = text.partition("=")
        try:
            share = float(value)
        except ValueError:
            share = -1.0
        if kind not in KINDS or not 0.0 <= share <= 1.0:
            raise ConfigError(f"--fault: expected KIND=0..1 with KIND one of {', '.join(KINDS)}, found {text[:60]!r}")
        found[kind] = share
    return found


class Hurt(NamedTuple):
    """What to do instead of sending one frame."""

    frames: list[str]
    stall_s: float = 0.0
    disconnect: bool = False


class Faults:
    """Decides for one client, frame by frame; `fired` counts by kind."""

    def __init__(self, shares: Mapping[str, float], seed: int) -> None:
        self._shares = dict(shares)
        self._random = Random(seed)  # noqa: S311
        self._held: str | None = None
        self.fired: dict[str, int] = dict.fromkeys(shares, 0)

    def apply(self, frame: str) -> Hurt:
        """What happens to this frame."""
        hit = [kind for kind, share in self._shares.items() if self._random.random() < share]
        for kind in hit:
            self.fired[kind] += 1
        frames = [] if "drop" in hit else [frame, frame] if "duplicate" in hit else [frame]
        if "malformed" in hit:
            frames.append(_GARBAGE)
        if self._held is not None:
            frames, self._held = [*frames, self._held], None
        elif "reorder" in hit and frames:
            frames, self._held = frames[:-1], frames[-1]
        return Hurt(frames, STALL_S if "stall" in hit else 0.0, "disconnect" in hit)
