"""What to break, when and how hard: drawn from a seed, so that a seed names a run. Pure; breaks nothing itself.

A run draws its own kinds and severities (swarm): one seed is mostly kills, another mostly venue trouble.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Literal, NamedTuple, get_args

from sofia_streams.ops.workers import INPUTS
from sofia_streams.settings import Exchange
from sofia_streams.simulator.outages import TROUBLES

Kind = Literal[
    "kill", "kill-twice", "kill-in-shutdown", "pause", "starve", "join", "disconnect", "drop", "stall", "rest", "skew",
    "suspend", "fill", "away",
]  # fmt: skip
WORKERS = tuple(INPUTS)
SERVERS = ("kafka", "questdb", "redis")
COPIED = ("ohlcv", "timeseries_writer", "redis_bridge")
"""Workers of which a second copy may run."""
VENUES: tuple[str, ...] = get_args(Exchange)
HEAL_S = 150.0
"""So long everything may take to be as if nothing had been, once the faults have stopped: a worker that hangs from
its start is ended by the watch after two minutes (four times WATCHDOG_STALL_S)."""
_DROPPED_MAX = 500
_PAUSE_S_MAX, _STALL_S_MAX, _REST_S_MAX, _SKEW_S_MAX = 20.0, 45.0, 20.0, 5.0
_COPY_S = (8.0, 25.0)
"""A copy takes a few seconds to join."""
_WEIGHTS: dict[Kind, int] = {
    "kill": 10, "kill-twice": 2, "kill-in-shutdown": 2, "pause": 4, "starve": 1, "join": 2,
    "disconnect": 4, "drop": 5, "stall": 2, "rest": 3, "skew": 1,
}  # fmt: skip
PROCESSES: frozenset[Kind] = frozenset(
    {"kill", "kill-twice", "kill-in-shutdown", "pause", "starve", "fill", "away"}
)
"""Kinds that hurt a process, which must get on afterwards."""


class Fault(NamedTuple):
    """One thing to break, `at_s` after the hurt phase began.

    target   a worker, a server, a venue, or a table (suspend)
    seconds  how long (pause, starve, join, stall, rest, suspend, fill, away), until the second kill (kill-twice), or
             how far the clock is ahead (skew)
    trades   how many (drop)
    detail   the symbol (drop, stall; "": all of the venue), the kind of trouble (rest), or the end of a copy (join)
    """

    at_s: float
    kind: Kind
    target: str
    seconds: float = 0.0
    trades: int = 0
    detail: str = ""

    def words(self) -> str:
        """As people read it."""
        amount = f" {self.trades} trades" if self.trades else f" {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at_s:6.1f} s  {self.kind} {self.target}{f' {self.detail}' if self.detail else ''}{amount}"


class Plan(NamedTuple):
    """One run.

    rate        trades a second and venue
    frames      shares of frames that are hurt all the time, by kind of the simulator (duplicate, reorder, late,
                malformed)
    hurt_s      how long faults may begin; then everything must converge within `heal_s`
    disk_mib    the broker's disk, where it is a small one of its own (fill); 0: that of everything
    fallback    whether there is a PostgreSQL that takes the rows while QuestDB is away
    """

    name: str
    seed: int
    hurt_s: float
    faults: Sequence[Fault]
    frames: Mapping[str, float] = {}
    rate: float = 100.0
    heal_s: float = HEAL_S
    disk_mib: int = 0
    fallback: bool = False

    def lines(self) -> list[str]:
        """What is printed before anything breaks."""
        frames = ", ".join(f"{kind} {share:.4f}" for kind, share in self.frames.items()) or "none"
        head = f"{self.name}, seed {self.seed}: {self.hurt_s:.0f} s of faults at {self.rate:.0f} trades/s a venue"
        return [head, f"frames hurt all the time: {frames}", *(fault.words() for fault in self.faults)]


def mixed(seed: int, seconds: float, symbols: Sequence[str], *, rate: float, heal_s: float = HEAL_S) -> Plan:
    """A mix over everything that can be broken; the same seed, the same plan."""
    draw = Random(seed)  # noqa: S311
    weights = {kind: weight for kind, weight in _WEIGHTS.items() if draw.random() < 0.7}
    weights["kill"] = _WEIGHTS["kill"]
    pause_s = draw.uniform(4.0, 10.0)
    together = draw.uniform(0.05, 0.3)
    faults: list[Fault] = []
    at_s = draw.uniform(1.0, 4.0)
    while at_s < seconds - 2.0:
        kind = draw.choices(list(weights), list(weights.values()))[0]
        faults.append(drawn(draw, kind, at_s, seconds, symbols))
        if draw.random() < together:
            faults += [Fault(at_s, "kill", draw.choice(WORKERS)), Fault(at_s, "kill", "kafka")]
        at_s += draw.uniform(0.5, 1.5) * pause_s
    frames = {kind: draw.uniform(0.0005, 0.02) for kind in ("duplicate", "reorder") if draw.random() < 0.7}
    if draw.random() < 0.3:
        frames["late"] = draw.uniform(0.0001, 0.001)
    if draw.random() < 0.3:
        frames["malformed"] = draw.uniform(0.0005, 0.005)
    return Plan("mix", seed, seconds, _once(faults), frames, rate, heal_s)


def drawn(draw: Random, kind: Kind, at_s: float, hurt_s: float, symbols: Sequence[str], target: str = "") -> Fault:
    """One fault of a kind with its severity; it is over when the hurt phase is."""
    left_s = max(2.0, hurt_s - at_s)
    if kind in PROCESSES:
        target = target or draw.choice((*WORKERS, *SERVERS) if kind in ("kill", "kill-twice", "pause") else WORKERS)
        lasting_s = min(_PAUSE_S_MAX, left_s)
        longest_s = {"pause": lasting_s, "starve": lasting_s, "kill-twice": 4.0}.get(kind, 0.0)
        return Fault(at_s, kind, target, draw.uniform(min(2.0, longest_s), longest_s))
    if kind == "join":
        end = draw.choice(("stopped", "killed"))
        return Fault(at_s, kind, target or draw.choice(COPIED), draw.uniform(*_COPY_S), detail=end)
    target, symbol = target or draw.choice(VENUES), draw.choice(symbols)
    if kind == "drop":
        return Fault(at_s, kind, target, trades=min(_DROPPED_MAX, int(2 ** draw.uniform(0, 9))), detail=symbol)
    if kind == "stall":
        whole = draw.random() < 0.5
        return Fault(at_s, kind, target, draw.uniform(2.0, min(_STALL_S_MAX, left_s)), detail="" if whole else symbol)
    if kind == "rest":
        return Fault(at_s, kind, target, draw.uniform(2.0, min(_REST_S_MAX, left_s)), detail=draw.choice(TROUBLES))
    if kind == "skew":
        return Fault(at_s, kind, target, draw.choice((-1.0, 1.0)) * draw.uniform(0.2, _SKEW_S_MAX))
    return Fault(at_s, kind, target)


def _once(faults: Sequence[Fault]) -> list[Fault]:
    """Without a second fault of one target at one moment: a process is killed once at a time."""
    return list({(fault.at_s, fault.target): fault for fault in reversed(faults)}.values())[::-1]
