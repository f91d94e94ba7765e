"""Waits for the system: until it is warm, until it is as if nothing had been, until nothing moves any more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple, Self

from aiokafka.errors import KafkaError

from sofia_streams.errors import DependencyDown
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND
from sofia_streams.ops.chaos.exchange import Exchange
from sofia_streams.ops.chaos.hurting import Outcome
from sofia_streams.ops.chaos.keeper import Keeper
from sofia_streams.ops.chaos.plan import Plan
from sofia_streams.ops.chaos.probe import Probe
from sofia_streams.ops.gaps import open_gaps
from sofia_streams.ops.supervision.supervise import Supervisor
from sofia_streams.settings import Settings
from sofia_streams.venues.registry import VENUES

_WARM_WITHIN_S, _REST_WITHIN_S, _STILL_S = 120.0, 90.0, 4.0
_OUTAGE_S = 10.0
"""So long after a connection has gone, ingest says that its feeds are dead (`ingest.sockets.live`)."""
_LAG_S = 3.0
"""While trades come a worker is never at the end: so many seconds of records behind counts as there."""
_CANDLES_AFTER_NS = 20 * NS_PER_SECOND
"""So long after a minute what a venue without counting ids lost is known by its candles."""


async def wait_warm(probe: Probe, instruments: int, exchange: Exchange) -> float:
    """Until every instrument has traded and every worker keeps up; how many seconds. Raises DependencyDown."""
    began_s = time.monotonic()
    while (elapsed_s := time.monotonic() - began_s) < _WARM_WITHIN_S:
        busy, sample = probe.busy(), probe.newest()
        flows = busy is not None and busy.records_per_s > 0 and _keeps_up(probe)
        if flows and sample and min(sample.committed.values()) > instruments:
            written = exchange.written()
            await asyncio.sleep(2.0)  # what is in the ledger now is later than the subscriptions
            if written and _keeps_up(probe):
                return elapsed_s
        await asyncio.sleep(0.2)
    found = probe.newest()
    raise DependencyDown(f"expected trades to flow within {_WARM_WITHIN_S:.0f} s, found {found}. See the logs.")


def _keeps_up(probe: Probe) -> bool:
    busy = probe.busy()
    return busy is not None and busy.lag <= max(50.0, _LAG_S * busy.records_per_s)


class Healing(NamedTuple):
    """The time after the last fault: whether everything converged, after how long, else what was still awaited."""

    is_done: bool
    seconds: float
    waits_for: str = ""

    @classmethod
    async def of(
        cls, settings: Settings, probe: Probe, keeper: Keeper, outcomes: Sequence[Outcome], plan: Plan
    ) -> Self:
        """Wait, at most as long as the plan says."""
        began_s = time.monotonic()
        known_ns = _known_by_ns(outcomes, plan)
        while True:
            waits_for = await _awaited(settings, probe, keeper, known_ns)
            seconds = round(time.monotonic() - began_s, 1)
            if not waits_for or seconds > plan.heal_s:
                return cls(not waits_for, seconds, waits_for)
            await asyncio.sleep(1.0)


def _known_by_ns(outcomes: Sequence[Outcome], plan: Plan) -> int:
    """When everything lost can be known: what is lost where ids do not count shows in the candles of its minute.

    A connection that was cut is known by itself, but for frames that were later than it. What a silent venue says at
    last to a new connection is taken for history of before it.
    """
    unsaid = [one.fault for one in outcomes if one.fault.kind in ("drop", "stall")]
    uncounted = [fault for fault in unsaid if not VENUES[fault.target].ids_count]
    if not uncounted and "late" not in plan.frames:
        return 0
    return -(-time.time_ns() // NS_PER_MINUTE) * NS_PER_MINUTE + _CANDLES_AFTER_NS


async def _awaited(settings: Settings, probe: Probe, keeper: Keeper, known_ns: int) -> str:
    """What has not converged, in words; "" where all has."""
    if down := keeper.down():
        return f"{', '.join(down)} to run"
    if not _keeps_up(probe):
        sample = probe.newest()
        return f"the workers to keep up, lag {dict(sample.lag)}" if sample else "the broker to answer"
    try:
        gaps = await open_gaps(settings)
    except (KafkaError, OSError) as error:
        return f"the broker to answer, found {error!r}"
    fillable = [gap for gap in gaps if VENUES[gap.venue].ids_count]
    if fillable:
        one = fillable[0]
        return f"{len(fillable)} gaps to close, the first {one.venue} {one.symbol} {one.gap_id} {one.detail}".strip()
    return "the candles of the last minute" if time.time_ns() < known_ns else ""


async def come_to_rest(probe: Probe, supervisor: Supervisor) -> str:
    """After the exchanges have stopped: until nothing is left to do; what still was after a while, "" for nothing.

    `crypto_ws` says each second that feeds are dead, so it is stopped once it has said so the first time.
    """
    await asyncio.sleep(_OUTAGE_S + _STILL_S)
    await asyncio.to_thread(supervisor.retire, "crypto_ws")
    began_s = time.monotonic()
    ends, still_s = -1, began_s
    while (now_s := time.monotonic()) - began_s < _REST_WITHIN_S:
        sample = probe.newest()
        if sample is None or sample.ends != ends or any(sample.lag.values()):
            ends, still_s = sample.ends if sample else -1, now_s
        elif now_s - still_s >= _STILL_S:
            return ""
        await asyncio.sleep(0.2)
    sample = probe.newest()
    return f"lag {dict(sample.lag)}" if sample else "the broker does not answer"
