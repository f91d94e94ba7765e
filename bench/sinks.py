"""Rows a second from the log to QuestDB's or the fallback's ack, entries a second to Redis, with the real workers.

Every run is checked: the store must hold one row, or entry, for each distinct trade.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import stream
from bench.candles import WrongResult, namespace
from bench.drain import drain, running
from bench.figures import spread
from bench.prefill import Prepared, fill, prepare, shape
from sofia_streams.ops.namespaces import empty_stores
from sofia_streams.settings import Settings
from sofia_streams.stores.base import Store
from sofia_streams.stores.questdb import QuestDb
from sofia_streams.stores.redis_streams import RedisStreams

WORKERS = {"questdb": "timeseries_writer", "postgres": "timeseries_writer", "redis": "redis_bridge"}
_COUNTERS = {"postgres": 'sofia_fallback_rows_total{store="postgres"}'}
_QUESTDB_AWAY = {"questdb_http_port": 1, "failover_after_s": 1}
"""Nothing listens there, so that the fallback is written to."""
_VISIBLE_S_MAX = 60.0
_KEEPS_ALL = {"redis_maxlen": 2**40, "retention_trades_days": 0}
"""So that everything can be counted afterwards."""


async def run(
    settings: Settings,
    data_dir: Path,
    say: Callable[[str], None],
    *,
    trades: int,
    rate: float,
    rounds: int,
    sinks: Sequence[str],
) -> dict[str, Any]:
    """`settings` has the addresses of running servers. Raises WrongResult."""
    say(f"generating {trades:,} trades and their records at {rate:,.0f} trades/s")
    records = prepare(stream.coalesced(stream.frames(trades, rate)))
    rates: dict[str, list[float]] = {sink: [] for sink in sinks}
    for number in range(rounds):
        for sink in sinks:
            rates[sink].append(await _once(sink, settings, data_dir, records, trades))
            unit = "entries" if sink == "redis" else "rows"
            say(f"round {number + 1}: {sink} {rates[sink][-1]:,.0f} {unit}/s")
    return {
        "rate": rate,
        "stream": shape(records),
        "acknowledged_per_s": {sink: spread(found) for sink, found in rates.items()},
        "checked": dict.fromkeys(sinks, trades),
    }


async def _once(sink: str, settings: Settings, data_dir: Path, records: Sequence[Prepared], trades: int) -> float:
    settings = settings.model_copy(update=_KEEPS_ALL)
    async with namespace(settings) as own:
        try:
            await fill(own, records)
            chosen = own.model_copy(update=_QUESTDB_AWAY) if sink == "postgres" else own
            async with running(WORKERS[sink], chosen, data_dir) as worker:
                drained = await drain(worker, _COUNTERS.get(sink, f'sofia_sink_rows_total{{sink="{sink}"}}'))
            found = await (_entries(own) if sink == "redis" else _rows(_store(sink, own), trades))
        finally:
            await empty_stores(own)
    if found != trades:
        raise WrongResult(f"{sink}: expected {trades} distinct trades, found {found}; its time counts nothing")
    return drained.per_s


def _store(sink: str, settings: Settings) -> Store:
    if sink == "questdb":
        return QuestDb(settings.questdb_address(), settings.table_prefix())
    from sofia_streams.stores.postgres import Postgres

    return Postgres(settings.fallback_url() or "", settings.table_prefix())


async def _rows(store: Store, wanted: int) -> int:
    """Rows visible, once the write-ahead log is applied; at most `_VISIBLE_S_MAX` is waited for."""
    deadline_s = asyncio.get_running_loop().time() + _VISIBLE_S_MAX
    while (found := await asyncio.to_thread(store.count, "trades")) != wanted:
        if asyncio.get_running_loop().time() > deadline_s:
            break
        await asyncio.sleep(0.1)
    return found


async def _entries(settings: Settings) -> int:
    """Entries over the trade streams of the namespace."""
    streams = RedisStreams(settings.redis_address(), settings.redis_maxlen)
    try:
        return sum((await streams.counts(f"{settings.stream_prefix()}trades:")).values())
    finally:
        await streams.close()
