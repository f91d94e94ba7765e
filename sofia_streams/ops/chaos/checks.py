"""Puts the ledger beside everything that was read back, instrument by instrument, and takes the times of gaps.

What cannot be read back is noted with the reason, and counts as not held (`report`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from sofia_streams.errors import SofiaError
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, NS_PER_SECOND, Gap
from sofia_streams.ops.chaos import readback
from sofia_streams.ops.chaos.readback import Log
from sofia_streams.ops.chaos.truth import Print, Prints, candles, read_ledger
from sofia_streams.ops.chaos.verdict import (
    Tally,
    Watched,
    Window,
    covers,
    judge_bars,
    judge_claims,
    judge_copies,
    judge_log,
    judge_store,
)
from sofia_streams.ops.replay.streaming import settled_counts
from sofia_streams.ops.rescoring import Rescored, rescore
from sofia_streams.ops.verify.fallback import PostgresSide
from sofia_streams.ops.verify.log import Span
from sofia_streams.ops.verify.run import verify
from sofia_streams.settings import Settings

_QUESTDB_WITHIN_S, _READINGS_MAX = 60.0, 4
_PART_WITHIN_S = 900.0
"""A broker that goes away while it is read would be waited for without end."""
LOG, QUESTDB, REDIS, VERIFY, SIGNALS = "the log", "QuestDB", "Redis", "sofia verify", "features and predictions"
_AGAINST_LOG = ("bars", "gaps", QUESTDB, REDIS, VERIFY, SIGNALS)
_WAY_IN = ("crypto_ws", "kafka")
"""What every trade goes through into the log."""
HurtSpan = tuple[int, int]
"""From and until, ns."""


@dataclass
class Compared:
    """The counts, where `sofia verify` finds differences, rows in the fallback; and the times: of gaps from found to
    closed and from their first missing trade to closed, and by venue the longest time without a trade, at all and while
    nothing of its own way into the log was hurt; s.

    `uncompared` is what could not be compared, and why: its counts are nothing.
    """

    tally: Tally = field(default_factory=Tally)
    uncompared: dict[str, str] = field(default_factory=dict)
    gaps: int = 0
    gaps_open: int = 0
    differs: list[str] = field(default_factory=list)
    fallback_rows: int = 0
    found_to_closed_s: list[float] = field(default_factory=list)
    missed_to_closed_s: list[float] = field(default_factory=list)
    stall_s: dict[str, float] = field(default_factory=dict)
    healthy_stall_s: dict[str, float] = field(default_factory=dict)


async def compare(
    settings: Settings,
    ledger: Path,
    symbols: Mapping[tuple[str, str], str],
    watched: Watched,
    spans: Mapping[str, Sequence[HurtSpan]],
    say: Callable[[str], None],
) -> Compared:
    """Everything, once it is at rest; `spans` are times in which something was hurt, by its name.

    Where the log went on meanwhile (silence becomes news late), all is read again. What does not answer is noted in
    `uncompared`.
    """
    prints = await asyncio.to_thread(read_ledger, ledger, symbols)
    for _ in range(_READINGS_MAX):
        found = Compared()
        async with _part(found, LOG):
            before = await readback.ends(settings)
            log = await readback.read_log(settings)
        if found.uncompared:
            found.uncompared |= dict.fromkeys(_AGAINST_LOG, "it is compared with the log")
            return found
        _judge(found, settings, log, prints, watched, spans)
        async with _part(found, QUESTDB):
            await _judge_questdb(found.tally, settings, log)
        async with _part(found, REDIS):
            await _judge_redis(found.tally, settings, log)
        async with _part(found, VERIFY):
            await _verify(found, settings, say)
        async with _part(found, SIGNALS):
            _judge_signals(found.tally, await rescore(settings))
        async with _part(found, "what the log got meanwhile"):
            if await readback.ends(settings) != before:
                say("the log went on meanwhile: comparing again")
                continue
        break
    return found


@asynccontextmanager
async def _part(found: Compared, what: str) -> AsyncIterator[None]:
    """Inside, what does not answer is noted as not compared."""
    try:
        async with asyncio.timeout(_PART_WITHIN_S):
            yield
    except (SofiaError, KafkaError, RedisError, OSError) as error:  # one that is late is an OSError too
        found.uncompared[what] = str(error) or type(error).__name__


def _judge(
    found: Compared,
    settings: Settings,
    log: Log,
    prints: Prints,
    watched: Watched,
    spans: Mapping[str, Sequence[HurtSpan]],
) -> None:
    """The log, its bars and its gaps against the ledger."""
    tally = found.tally
    log.gaps = [gap for gap in log.gaps if gap.opened_ns < watched.stopped_ns]
    for name, printed in prints.items():
        gaps = [gap for gap in log.gaps if f"{gap.venue}|{gap.market}|{gap.symbol}" == name]
        judge_log(tally, name, printed, watched, log.trades[name], gaps, log.history[name])
    tally.repeats, tally.backfilled = log.repeats, log.backfilled
    _judge_bars(tally, prints, watched, log, settings.crypto_symbols)
    found.gaps, found.gaps_open = len(log.gaps), sum(gap.state == "open" for gap in log.gaps)
    for gap in log.gaps:
        if gap.state == "closed":
            _time(found, gap, prints.get(f"{gap.venue}|{gap.market}|{gap.symbol}", {}).values())
    for venue, times in sorted(log.arrivals.items()):
        seen = sorted(one for one in times if one < watched.stopped_ns)
        found.stall_s[venue] = longest_s(seen, [])
        hurt = [span for name in (venue, *_WAY_IN) for span in spans.get(name, ())]
        found.healthy_stall_s[venue] = longest_s(seen, hurt)


async def _verify(found: Compared, settings: Settings, say: Callable[[str], None]) -> None:
    verified = await verify(settings, Span(), say)
    found.differs = [f"{line} ({count} rows)" for line, count in _differences(verified["totals"]).items()]
    found.fallback_rows = sum(line["found"] for line in verified["totals"] if line["store"] == PostgresSide.name)


def _differences(totals: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Rows that are missing, surplus or different, by store and table."""
    counts = {f"{one['store']}, {one['table']}": one["missing"] + one["surplus"] + one["different"] for one in totals}
    return {name: count for name, count in counts.items() if count}


def _judge_bars(tally: Tally, prints: Prints, watched: Watched, log: Log, symbols: Sequence[str]) -> None:
    """Bars are what the log's distinct trades make; where those are not all, they say so."""
    kept = {name: [one for one in found.values() if one.trade_id in log.trades[name]] for name, found in prints.items()}
    missed = {
        name: [one for one in found.values() if watched.holds(one) and one.trade_id not in log.trades[name]]
        for name, found in prints.items()
    }
    for size_ns in (NS_PER_SECOND, NS_PER_MINUTE):
        for name, found in kept.items():
            venue = name.partition("|")[0]
            judge_bars(tally, name, candles(((venue, one) for one in found), size_ns), log.bars_of(name, size_ns))
            judge_claims(tally, name, missed[name], size_ns, log.bars_of(name, size_ns))
        for symbol in symbols:
            market = next(iter(kept)).split("|")[1]
            joint = f"{CONSOLIDATED}|{market}|{symbol}"
            judge_bars(tally, joint, candles(_of_symbol(kept, symbol), size_ns), log.bars_of(joint, size_ns))
            lacks = (one for _, one in _of_symbol(missed, symbol))
            judge_claims(tally, joint, lacks, size_ns, log.bars_of(joint, size_ns))


def _of_symbol(kept: Mapping[str, Sequence[Print]], symbol: str) -> Iterator[tuple[str, Print]]:
    for name, found in kept.items():
        venue, _, its_symbol = name.split("|")
        if its_symbol == symbol:
            yield from ((venue, one) for one in found)


async def _judge_questdb(tally: Tally, settings: Settings, log: Log) -> None:
    async with asyncio.timeout(_QUESTDB_WITHIN_S):
        await settled_counts(settings)
    ids, bars = await readback.questdb_ids(settings), await readback.questdb_bars(settings)
    _judge_store(tally, QUESTDB, log, ids, bars)


def _judge_signals(tally: Tally, found: Rescored) -> None:
    tally.computed, tally.scored = found.computed, found.scored
    tally.signals_unequal = found.missing + found.surplus + found.different + (found.computed == 0)
    for text in found.examples:
        tally.note("signals", text)


async def _judge_redis(tally: Tally, settings: Settings, log: Log) -> None:
    ids, bars = await readback.redis_ids(settings), await readback.redis_bars(settings)
    _judge_store(tally, REDIS, log, ids, bars)


def _judge_store(
    tally: Tally, store: str, log: Log, ids: Mapping[str, list[str]], bars: Mapping[Window, tuple[object, ...]]
) -> None:
    for name in log.trades.keys() | log.history.keys() | ids.keys():
        judge_store(tally, store, name, log.ids(name), ids.get(name, []))
    wanted: dict[Window, tuple[object, ...]] = {key: readback.values_of(bar) for key, bar in log.bars.items()}
    judge_copies(tally, f"bars of {store}", wanted, bars)


def _time(found: Compared, gap: Gap, prints: Iterable[Print]) -> None:
    found.found_to_closed_s.append((gap.received_ns - gap.opened_ns) / 1e9)
    missed = min((one.exchange_ns for one in prints if covers(gap, one)), default=None)
    if gap.first_id and missed is not None:
        found.missed_to_closed_s.append((gap.received_ns - missed) / 1e9)


def longest_s(times_ns: Sequence[int], hurt: Sequence[HurtSpan]) -> float:
    """The longest pause between ascending times that touches none of these spans, s."""
    pauses = [
        after - before
        for before, after in pairwise(times_ns)
        if not any(before < until_ns and from_ns < after for from_ns, until_ns in hurt)
    ]
    return round(max(pauses, default=0) / 1e9, 1)
