"""Named runs, each a row or a few of the reliability battery. What they mean: docs/guarantees.md. Pure.

Moments and severities are drawn from the seed; kinds and targets are the row's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import NamedTuple

from sofia_streams.ops.chaos.plan import COPIED, HEAL_S, VENUES, WORKERS, Fault, Kind, Plan, drawn

_DISK_MIB = 384
Draw = Callable[[Random, Sequence[str]], Sequence[Fault]]


class Scenario(NamedTuple):
    """One named run.

    rows     of the battery
    about    what is done, and what must hold
    faults   drawn from the seed, for these symbols
    hurt_s   how long faults may begin
    frames   shares of frames that are hurt all the time
    disk_mib  of the broker, where it is a small one; needs root
    fallback  whether there is a PostgreSQL
    """

    rows: str
    about: str
    faults: Draw
    hurt_s: float = 90.0
    frames: Mapping[str, float] = {}
    disk_mib: int = 0
    fallback: bool = False

    def plan(self, name: str, seed: int, symbols: Sequence[str], *, rate: float) -> Plan:
        """The run of a seed."""
        faults = self.faults(Random(seed), symbols)  # noqa: S311
        return Plan(name, seed, self.hurt_s, faults, self.frames, rate, HEAL_S, self.disk_mib, self.fallback)


def _kills(kind: Kind, targets: Sequence[str], count: int, *, every_s: float) -> Draw:
    """Every target in turn, `count` times in all, each about `every_s` after the one before."""

    def draw(random: Random, symbols: Sequence[str]) -> list[Fault]:
        order = [targets[number % len(targets)] for number in range(count)]
        random.shuffle(order)
        moments = [(number + random.uniform(0.1, 0.6)) * every_s for number in range(count)]
        hurt_s = every_s * count
        return [drawn(random, kind, at_s, hurt_s, symbols, target) for at_s, target in zip(moments, order, strict=True)]

    return draw


def _pauses(target: str, seconds: Sequence[float]) -> Draw:
    """One after the other, with time to get on between them."""

    def draw(random: Random, symbols: Sequence[str]) -> list[Fault]:
        faults: list[Fault] = []
        at_s = random.uniform(1.0, 3.0)
        for length_s in seconds:
            faults.append(Fault(at_s, "pause", target, length_s))
            at_s += length_s + random.uniform(12.0, 20.0)
        return faults

    return draw


def _pairs(random: Random, symbols: Sequence[str]) -> list[Fault]:
    """Each worker and the broker at once."""
    faults: list[Fault] = []
    for number, worker in enumerate(random.sample(WORKERS, len(WORKERS))):
        at_s = 2.0 + number * 30.0
        faults += [Fault(at_s, "kill", worker), Fault(at_s + random.uniform(0.0, 1.0), "kill", "kafka")]
    return faults


def _venues(kind: Kind, count: int, *, every_s: float) -> Draw:
    return _kills(kind, VENUES, count, every_s=every_s)


def _drops(random: Random, symbols: Sequence[str]) -> list[Fault]:
    """From one trade to 500 in a row, at every venue."""
    sizes = (1, 2, 5, 20, 60, 61, 200, 500)
    faults = []
    for number, trades in enumerate(sizes):
        for venue in VENUES:
            at_s = 1.0 + number * 6.0 + random.uniform(0.0, 5.0)
            faults.append(Fault(at_s, "drop", venue, trades=trades, detail=random.choice(symbols)))
    return sorted(faults)


def _storm(random: Random, symbols: Sequence[str]) -> list[Fault]:
    """A further copy of ohlcv every three seconds for a minute; each is there for about as long as it takes to join."""
    ends = random.choices(("stopped", "killed"), k=20)
    return [Fault(2.0 + 3.0 * n, "join", "ohlcv", random.uniform(4.0, 6.0), detail=end) for n, end in enumerate(ends)]


def _skews(random: Random, symbols: Sequence[str]) -> list[Fault]:
    """Every venue's clock away from ours by up to five seconds, then back."""
    wrong = [Fault(2.0 + number, "skew", venue, random.choice((-5.0, 5.0))) for number, venue in enumerate(VENUES)]
    return [*wrong, *(Fault(fault.at_s + 30.0, "skew", fault.target, 0.0) for fault in wrong)]


def _outage(target: str, kills: int) -> Draw:
    """Killed again and again: it comes back later each time, and is away for most of the run."""

    def draw(random: Random, symbols: Sequence[str]) -> list[Fault]:
        return [Fault(2.0 + 3.0 * number, "kill", target) for number in range(kills)]

    return draw


def _both(*draws: Draw) -> Draw:
    def draw(random: Random, symbols: Sequence[str]) -> list[Fault]:
        return sorted(fault for one in draws for fault in one(random, symbols))

    return draw


def _all_down(random: Random, symbols: Sequence[str]) -> list[Fault]:
    """Every venue silent for 40 s, its sockets cut meanwhile."""
    silent = [Fault(2.0, "stall", venue, 40.0) for venue in VENUES]
    return [*silent, *(Fault(3.0, "disconnect", venue) for venue in VENUES)]


def _suspensions(random: Random, symbols: Sequence[str]) -> list[Fault]:
    return [Fault(3.0, "suspend", "trades", 20.0), Fault(30.0, "suspend", "bars_1s", 10.0)]


def _writer_waits(random: Random, symbols: Sequence[str]) -> list[Fault]:
    """What the writer holds at its end is in the log and nowhere else; it must not be acknowledged."""
    faults: list[Fault] = []
    for at_s in (1.0, 14.0):
        faults += [Fault(at_s, "kill", "questdb"), Fault(at_s + 1.5, "kill", "timeseries_writer")]
    return faults


def _zombies(random: Random, symbols: Sequence[str]) -> list[Fault]:
    """A worker is stopped for so long that its copy takes over; then it wakes."""
    faults: list[Fault] = []
    for number, worker in enumerate(COPIED):
        at_s = 2.0 + 50.0 * number
        faults += [Fault(at_s, "join", worker, 45.0, detail="stopped"), Fault(at_s + 12.0, "pause", worker, 20.0)]
    return faults


def _away(random: Random, symbols: Sequence[str]) -> list[Fault]:
    return [Fault(10.0, "away", "questdb", 120.0)]


def _fills(random: Random, symbols: Sequence[str]) -> list[Fault]:
    return [Fault(2.0 + random.uniform(0.0, 5.0), "fill", "kafka", 15.0), Fault(50.0, "fill", "kafka", 15.0)]


SCENARIOS = {
    "worker-kills": Scenario("1", "every worker killed in turn, 20 kills",
                             _kills("kill", WORKERS, 20, every_s=8.0), 170),
    "recovery-kills": Scenario("3", "each worker killed, and again while it recovers",
                               _kills("kill-twice", WORKERS, len(WORKERS), every_s=25.0),
                               25.0 * len(WORKERS)),
    "shutdown-kills": Scenario("3", "each worker killed in its shutdown",
                               _kills("kill-in-shutdown", WORKERS, len(WORKERS), every_s=15.0),
                               15.0 * len(WORKERS)),
    "worker-pauses": Scenario("4", "ohlcv stopped for longer than its session lasts, twice",
                              _pauses("ohlcv", (20.0, 30.0)), 100),
    "writer-pauses": Scenario("4", "the QuestDB writer stopped for longer than its session lasts, twice",
                              _pauses("timeseries_writer", (20.0, 30.0)), 100),
    "zombies": Scenario("4", "workers stopped until a copy has taken over, then woken", _zombies, 150),
    "rebalance-storm": Scenario("22", "a further copy of ohlcv comes every three seconds, and goes", _storm, 75),
    "copies": Scenario("5", "copies of ohlcv and the sinks come and go, politely or not",
                       _kills("join", COPIED, 9, every_s=9.0), 110),
    "starved": Scenario("9", "each worker with a fifth of the time to run",
                        _kills("starve", WORKERS, len(WORKERS), every_s=25.0), 25.0 * len(WORKERS)),
    "broker-kills": Scenario("14", "the broker killed five times", _kills("kill", ("kafka",), 5, every_s=24.0), 130),
    "broker-pauses": Scenario("15", "the broker stopped for 10 and for 20 s", _pauses("kafka", (10.0, 20.0)), 80),
    "worker-and-broker": Scenario("1, 14", "each worker and the broker killed at once", _pairs, 30.0 * len(WORKERS)),
    "broker-disk-full": Scenario("16", "the broker's disk full for 15 s, twice; needs root", _fills, 90,
                                 disk_mib=_DISK_MIB),
    "stalls": Scenario("25", "a symbol or a whole venue silent", _venues("stall", 4, every_s=20.0)),
    "resets": Scenario("27", "sockets reset every few seconds", _venues("disconnect", 16, every_s=5.0)),
    "damaged-frames": Scenario("30", "frames doubled, swapped and five seconds late, with resets",
                               _venues("disconnect", 4, every_s=15.0), 60,
                               {"duplicate": 0.05, "reorder": 0.05, "late": 0.002}),
    "drops": Scenario("31", "1 to 500 trades in a row lost by every venue", _drops, 60),
    "rest-trouble": Scenario("35, 36", "trades lost while REST answers 429, 418, 403, 500, HTML, half a body, nothing",
                             _both(_venues("rest", 8, every_s=7.0), _drops), 70),
    "all-venues-down": Scenario("40", "every venue silent for 40 s, then back at once", _all_down, 60),
    "skewed-clocks": Scenario("44", "every venue's clock five seconds wrong, then right", _skews, 60),
    "questdb-kills": Scenario("45", "QuestDB killed ten times", _kills("kill", ("questdb",), 10, every_s=9.0), 120),
    "questdb-suspended": Scenario("46", "a table of QuestDB suspended, then resumed", _suspensions, 60),
    "questdb-and-writer": Scenario("45", "QuestDB killed, and its writer while it waits for it", _writer_waits, 20),
    "questdb-outage": Scenario("47", "QuestDB killed again and again, away for minutes", _outage("questdb", 7), 120),
    "questdb-away": Scenario("47", "QuestDB killed and away for 120 s, PostgreSQL takes its rows", _away, 135,
                             fallback=True),
    "redis-kills": Scenario("50", "Redis killed ten times", _kills("kill", ("redis",), 10, every_s=8.0)),
}  # fmt: skip
