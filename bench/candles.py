"""Trades a second from the log to bars on one worker, and the same trades in plain Faust, Quix Streams and Bytewax.

Every run is checked: the bars in its output topic must hash like the fold of the same records in this process. A run
with another result has no figure.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient

from bench import contest, stream
from bench.drain import drain, running
from bench.environments import Unavailable
from bench.figures import ratios, spread
from bench.prefill import Prepared, fill, fold, offer, prepare, shape
from sofia_streams.core.bars.windows import Rules
from sofia_streams.errors import SofiaError
from sofia_streams.model import NS_PER_MS
from sofia_streams.ops.latency import quantiles, read_stages
from sofia_streams.ops.replay.streaming import read_bars
from sofia_streams.ops.topics import apply_topics
from sofia_streams.ops.workers import Lag, wait_joined
from sofia_streams.settings import Settings

APPLIED = "sofia_trades_applied_total"
PEER_TRADES = {"faust": 20_000, "quix": 100_000, "bytewax": 300_000}
"""How many of the trades a contestant gets at most, so that each takes seconds."""
_JOIN_S = 60.0
_SAME = ", same records"
_WARM_S = 3.0
"""After so long the coalescer has found its pace and the worker is warm."""


class WrongResult(SofiaError):
    """A run whose bars are not those of the trades: it has no figure."""


class Plan(NamedTuple):
    """What to run; `rate` is trades a second over all instruments."""

    trades: int
    rate: float
    rounds: int
    peers: Sequence[str]
    sustained: bool = True
    same_records: bool = False
    """Give the contestants our records as well, many trades each."""


class Work(NamedTuple):
    """Records, and what a right run makes of them."""

    records: list[Prepared]
    trades: int
    sha256: str
    in_process_per_s: float


@asynccontextmanager
async def namespace(settings: Settings) -> AsyncIterator[Settings]:
    """Inside, topics of an own namespace; afterwards nothing of it is left, whoever made it."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    settings = settings.model_copy(update={"namespace": name, "topic_retention_hours": 0})
    await apply_topics(settings)
    try:
        yield settings
    finally:
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.broker_address())
        await admin.start()
        try:
            await admin.delete_topics([topic for topic in await admin.list_topics() if name in topic])
        finally:
            await admin.close()


async def run(settings: Settings, data_dir: Path, say: Callable[[str], None], plan: Plan) -> dict[str, Any]:
    """`settings` has the address of a running broker."""
    say(f"generating {plan.trades:,} trades and their records at {plan.rate:,.0f} trades/s")
    batches = list(stream.frames(plan.trades, plan.rate))
    rules = Rules(lateness_ns=settings.lateness_ms * NS_PER_MS)
    ours = _work(prepare(stream.ended(stream.coalesced(batches))), rules)
    skipped: dict[str, str] = {}
    pythons = _interpreters(plan.peers, skipped, say)
    theirs = {
        name: _work(prepare(stream.ended(stream.one_by_one(batches[: PEER_TRADES[name]]))), rules) for name in pythons
    }
    if plan.same_records:
        theirs |= {f"{name}{_SAME}": ours for name in pythons}
    everyone = {"sofia": ours, **theirs}
    rates: dict[str, list[float]] = {"sofia": []}
    for number in range(plan.rounds):
        rates["sofia"].append(await _ours(settings, data_dir, ours))
        say(f"round {number + 1}: sofia {rates['sofia'][-1]:,.0f} trades/s over {ours.trades:,} trades")
        for label, work in theirs.items():
            name = label.removesuffix(_SAME)
            rates.setdefault(label, []).append(await _theirs(name, pythons[name], settings, data_dir, work))
            say(f"round {number + 1}: {label} {rates[label][-1]:,.0f} trades/s over {work.trades:,} trades")
    result = {
        "rate": plan.rate,
        "stream": shape(ours.records),
        **_rated(rates),
        "trades_each": {name: work.trades for name, work in everyone.items()},
        "fold_alone_per_s": {name: round(work.in_process_per_s) for name, work in everyone.items()},
        "skipped": skipped,
        "bars_equal": True,  # else it was refused
        "sha256": ours.sha256,
    }
    if plan.sustained:
        say(f"offering the same records in real time, {plan.rate:,.0f} trades/s")
        result["sustained"] = await _sustained(settings, data_dir, ours, say)
    return result


def _rated(rates: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    spreads = {name: spread(found) for name, found in rates.items()}
    medians = {name: found["median"] for name, found in spreads.items()}
    ours = medians.pop("sofia")
    return {"trades_per_s": spreads, "ratio": ratios(ours, medians)}


def _work(records: list[Prepared], rules: Rules) -> Work:
    began_s = time.perf_counter()
    trades, sha256 = fold(records, rules)
    return Work(records, trades, sha256, trades / (time.perf_counter() - began_s))


def _interpreters(names: Sequence[str], skipped: dict[str, str], say: Callable[[str], None]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = contest.interpreter(name, say)
        except Unavailable as error:
            skipped[name] = str(error)
            say(f"skipped: {error}")
    return found


async def _check(who: str, settings: Settings, work: Work) -> None:
    found = (await read_bars(settings)).sha256()
    if found != work.sha256:
        raise WrongResult(f"{who}: expected bars with the hash {work.sha256}, found {found}; its time counts nothing")


async def _ours(settings: Settings, data_dir: Path, work: Work) -> float:
    async with namespace(settings) as own:
        await fill(own, work.records)
        async with running("ohlcv", own, data_dir) as worker:
            drained = await drain(worker, APPLIED)
            if (counted := worker.counter(APPLIED)) != work.trades:
                raise WrongResult(f"sofia: expected {work.trades} trades applied, found {counted:.0f}")
        await _check("sofia", own, work)
        return drained.per_s


async def _theirs(name: str, python: str, settings: Settings, data_dir: Path, work: Work) -> float:
    async with namespace(settings) as own:
        await fill(own, work.records)
        drained = await contest.run(name, python, own, data_dir, records=len(work.records), trades=work.trades)
        await _check(name, own, work)
        return drained.per_s


async def _sustained(settings: Settings, data_dir: Path, work: Work, say: Callable[[str], None]) -> dict[str, Any]:
    async with namespace(settings) as own, running("ohlcv", own, data_dir) as worker:
        await wait_joined(own, [worker.child], timeout_s=_JOIN_S)
        offering = asyncio.create_task(offer(own, work.records))
        lags: list[int] = []
        port, warm = worker.settings.web_port, {}
        async with Lag(own) as lag:
            while not offering.done():
                await asyncio.wait([offering], timeout=1.0)
                lags.append(await lag.of("ohlcv"))
                if len(lags) == _WARM_S:
                    warm = (await asyncio.to_thread(read_stages, port)).get("applied", {})
        behind_s = await offering
        drained = await drain(worker, APPLIED)
        applied = (await asyncio.to_thread(read_stages, port)).get("applied", {})
        await _check("sofia, sustained", own, work)
        say(f"lag in records, each second: {lags}")
        return {
            "seconds": round(work.records[-1].at_s, 1),
            "lag_records": lags,
            "drained_after_s": round(drained.seconds, 2),
            "offered_late_s_max": round(behind_s, 3),
            "receipt_to_applied_ms": quantiles(applied),
            f"receipt_to_applied_ms_after_{_WARM_S:.0f}_s": quantiles(
                {bound: count - warm.get(bound, 0.0) for bound, count in applied.items()}
            ),
        }
