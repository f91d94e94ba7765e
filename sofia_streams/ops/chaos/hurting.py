"""Carries a plan out on a running pipeline: signals to processes, requests to the simulator, statements to QuestDB.

Every fault waits until the system is busy, is proven to have happened, and is undone in any case. What it does not do:
decide what to break (`plan`), or whether the system held (`verdict`).
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import psutil  # type: ignore[import-untyped]  # it ships no types

from sofia_streams.embedded import process
from sofia_streams.embedded.ports import pick_ports
from sofia_streams.embedded.stack import Stack
from sofia_streams.errors import DependencyDown
from sofia_streams.model import NS_PER_MINUTE
from sofia_streams.ops.chaos import disk
from sofia_streams.ops.chaos.exchange import Exchange
from sofia_streams.ops.chaos.plan import PROCESSES, SERVERS, VENUES, Fault, Plan
from sofia_streams.ops.chaos.probe import Busy, Probe
from sofia_streams.ops.supervision.restarts import Restarts
from sofia_streams.ops.supervision.supervise import Supervisor
from sofia_streams.ops.workers import start_worker
from sofia_streams.settings import Settings
from sofia_streams.stores.questdb import QuestDb
from sofia_streams.venues import registry

State = Literal["fired", "idle", "unknown", "refused"]
_BUSY_WITHIN_S, _DIES_WITHIN_S, _RETURNS_WITHIN_S = 45.0, 10.0, 90.0
_LOOK_S = 0.05
_SHUTDOWN_S, _STARVED_S = 1.0, 0.4
_COMMITTED_S = 0.7
"""Workers commit within this time what they had done, and it is seen; one that was killed is not back by then."""
_ONE_AT_A_TIME = frozenset({*PROCESSES, "stall"})
"""Of one target."""
_ANSWER_S = 1.0
"""So much later than asked a stall may have begun: the next of its venue waits for that."""
_OVER_S = 15.0
"""A connection that was cut is back by then."""


class Outcome(NamedTuple):
    """What became of a fault.

    state       fired; idle: the system never was busy, so it was left out; unknown: asked for, no answer came;
                refused: it could not be done
    busy        how busy the system was just before
    kills       processes killed
    recovery_s  from the end of the fault until its target got on; None where it did not, or has nothing to get on with
    """

    fault: Fault
    state: State
    at_s: float = 0.0
    busy: Busy | None = None
    kills: int = 0
    recovery_s: float | None = None
    detail: str = ""
    span_ns: tuple[int, int] = (0, 0)
    """From just before it until its target got on, or it was over."""

    @property
    def is_stuck(self) -> bool:
        """Whether its target should have got on, and did not."""
        return self.state == "fired" and self.fault.kind in PROCESSES and self.recovery_s is None


class Hurting:
    """One run's faults."""

    def __init__(
        self, settings: Settings, supervisor: Supervisor, stack: Stack, exchange: Exchange, probe: Probe,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._settings, self.supervisor, self._stack = settings, supervisor, stack
        self.exchange, self.probe, self._say = exchange, probe, say
        self._began_s, self._copies = 0.0, 0
        self._hurts: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """Of a process or a venue."""
        self._whole_ns = -(-time.time_ns() // NS_PER_MINUTE) * NS_PER_MINUTE
        """From then on minutes are whole: where ids do not count, only those tell what is missing."""

    async def carry_out(self, plan: Plan) -> list[Outcome]:
        """All faults, each at its moment or as soon after it as the system is busy; what became of each."""
        self._began_s = time.monotonic()
        tasks = [asyncio.create_task(self._timed(fault)) for fault in plan.faults]
        try:
            outcomes = [await task for task in tasks]
            await asyncio.sleep(max(0.0, plan.hurt_s - self._elapsed_s()))
            return outcomes
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.heal()

    def heal(self) -> None:
        """Whatever is stopped goes on; `Exchange.heal` does the same at the exchanges."""
        for child in self._children().values():
            child.signal(signal.SIGCONT)

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began_s

    def _children(self) -> Mapping[str, process.Child]:
        return {**{kept.name: kept.child for kept in self.supervisor.kept}, **self._stack.children()}

    async def _timed(self, fault: Fault) -> Outcome:
        await asyncio.sleep(max(0.0, fault.at_s - self._elapsed_s()))
        if fault.kind == "drop" and not registry.VENUES[fault.target].ids_count:
            await asyncio.sleep(max(0.0, (self._whole_ns - time.time_ns()) / 1e9))
        began_ns = time.time_ns()
        async with self._hurts[fault.target] if fault.kind in _ONE_AT_A_TIME else contextlib.nullcontext():
            outcome = await self._one(fault)
            if fault.kind == "stall":
                await asyncio.sleep(fault.seconds + _ANSWER_S)
        left_s = 0.0 if fault.kind == "stall" else fault.seconds
        lasts_s = left_s + _OVER_S if fault.target in VENUES else 0.0
        return outcome._replace(span_ns=(began_ns, time.time_ns() + round(lasts_s * 1e9)))

    async def _one(self, fault: Fault) -> Outcome:
        busy = await self._busy(fault)
        if busy is None:
            self._say(f"{self._elapsed_s():6.1f} s  left out, nothing moved: {fault.words()}")
            return Outcome(fault, "idle", self._elapsed_s())
        self._say(f"{self._elapsed_s():6.1f} s  {fault.words()[10:]} ({busy.records_per_s} records/s, lag {busy.lag})")
        outcome = Outcome(fault, "fired", self._elapsed_s(), busy)
        if fault.kind in PROCESSES:
            return await self._hurt_process(outcome)
        if fault.kind in ("suspend", "join"):
            return await (self._suspend(outcome) if fault.kind == "suspend" else self._join(outcome))
        state, detail = await asyncio.to_thread(self.exchange.hurt, fault)
        return outcome._replace(state=state, detail=detail)

    async def _busy(self, fault: Fault) -> Busy | None:
        """Wait until the system is busy and the target of a signal runs."""
        deadline_s = time.monotonic() + _BUSY_WITHIN_S
        while time.monotonic() < deadline_s:
            runs = fault.kind not in PROCESSES or self._children()[fault.target].exit_code() is None
            busy = self.probe.busy()
            if runs and busy is not None:
                return busy
            await asyncio.sleep(_LOOK_S)
        return None

    async def _hurt_process(self, outcome: Outcome) -> Outcome:
        target, kind = outcome.fault.target, outcome.fault.kind
        reached = self.probe.reached(target)
        kills = 0
        if kind == "pause":
            await self._pause(target, outcome.fault.seconds)
        elif kind == "starve":
            await self._starve(target, outcome.fault.seconds)
        elif kind == "fill":
            await self._fill(target, outcome.fault.seconds)
        elif kind == "away":
            kills = await self._hold_down(target, outcome.fault.seconds)
        else:
            if kind == "kill-in-shutdown":
                self._forgive(target)
                self._children()[target].signal(signal.SIGTERM)
                await asyncio.sleep(_SHUTDOWN_S)
            kills = await self._kill(target)
            if kind == "kill-twice":
                await self._returned(target, self._children()[target])
                await asyncio.sleep(outcome.fault.seconds)
                kills += await self._kill(target)
        over_s = time.monotonic()
        if target in SERVERS or kills:
            await asyncio.sleep(_COMMITTED_S)
        reached = max(reached, self.probe.reached(target))  # what came of work done before does not count
        recovery_s = await self.probe.moved(target, reached, over_s, _RETURNS_WITHIN_S)
        return outcome._replace(kills=kills, recovery_s=recovery_s)

    async def _kill(self, target: str) -> int:
        """SIGKILL, and proof of the end; 0 where it had ended by itself."""
        child = self._children()[target]
        if child.exit_code() is not None:
            return 0
        self._forgive(target)
        child.signal(signal.SIGKILL)
        deadline_s = time.monotonic() + _DIES_WITHIN_S
        while child.exit_code() is None:
            if time.monotonic() > deadline_s:
                raise DependencyDown(f"{target}: expected SIGKILL to end it, found it still there. See {child.log}")
            await asyncio.sleep(_LOOK_S)
        return int(child.exit_code() == -signal.SIGKILL)

    async def _hold_down(self, target: str, seconds: float) -> int:
        """Killed, and started again only after a while; returns once it has been."""
        gone, killed = self._children()[target], await self._kill(target)
        again = self.supervisor.servers[target]
        while not again.is_waiting:  # noqa: ASYNC110  until the supervisor has seen it
            await asyncio.sleep(_LOOK_S)
        again.put_off(time.monotonic() + seconds)
        await asyncio.sleep(seconds)
        await self._returned(target, gone)
        return killed

    def _forgive(self, target: str) -> None:
        """This end does not count as one more of a process that keeps ending: it comes back after the first pause."""
        fresh = Restarts(time.monotonic())
        for kept in self.supervisor.kept:
            if kept.name == target:
                fresh.count, kept.again = kept.again.count, fresh
        if target in self.supervisor.servers:
            fresh.count, self.supervisor.servers[target] = self.supervisor.servers[target].count, fresh

    async def _returned(self, target: str, gone: process.Child) -> None:
        deadline_s = time.monotonic() + _RETURNS_WITHIN_S
        while self._children()[target] is gone and time.monotonic() < deadline_s:  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(_LOOK_S)

    async def _pause(self, target: str, seconds: float) -> None:
        child = self._children()[target]
        try:
            child.signal(signal.SIGSTOP)
            await asyncio.sleep(seconds)
            with contextlib.suppress(psutil.NoSuchProcess):  # a watchdog may have ended it
                if psutil.Process(child.pid).status() != psutil.STATUS_STOPPED:
                    raise DependencyDown(f"{target}: expected SIGSTOP to hold it for {seconds:.1f} s, found it running")
        finally:
            child.signal(signal.SIGCONT)

    async def _starve(self, target: str, seconds: float) -> None:
        """A fifth of the time to run, as on a machine that has too much to do."""
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            await self._pause(target, _STARVED_S)
            await asyncio.sleep(_STARVED_S / 4)

    async def _fill(self, target: str, seconds: float) -> None:
        """The disk of a server is full for a while."""
        place = self._settings.data_dir / target
        try:
            await asyncio.to_thread(disk.fill, place)
            await asyncio.sleep(seconds)
        finally:
            disk.free(place)

    async def _join(self, outcome: Outcome) -> Outcome:
        """A second copy of a worker takes over some of its partitions, and gives them back or dies with them."""
        name, self._copies = outcome.fault.target, self._copies + 1
        kept = next(kept for kept in self.supervisor.kept if kept.name == name)
        own = kept.settings.model_copy(update={"web_port": pick_ports([0])[0]})
        copy = start_worker(name, own, self._settings.data_dir, copy=1 + self._copies)
        try:
            await asyncio.sleep(outcome.fault.seconds)
            if copy.exit_code() is not None:
                return outcome._replace(detail=f"the copy ended by itself with code {copy.exit_code()}")
            if outcome.fault.detail == "stopped":
                copy.signal(signal.SIGTERM)
                await asyncio.sleep(_SHUTDOWN_S)
            return outcome._replace(kills=int(copy.exit_code() is None))
        finally:
            process.stop([copy], grace_s=0)

    async def _suspend(self, outcome: Outcome) -> Outcome:
        store = QuestDb(self._settings.questdb_address(), self._settings.table_prefix())
        table = store.table(outcome.fault.target)
        try:
            await asyncio.to_thread(store.query, f"ALTER TABLE '{table}' SUSPEND WAL")
        except (ValueError, DependencyDown) as error:
            return outcome._replace(state="refused", detail=str(error)[:200])
        try:
            await asyncio.sleep(outcome.fault.seconds)
        finally:
            await asyncio.to_thread(store.query, f"ALTER TABLE '{table}' RESUME WAL")
        return outcome
