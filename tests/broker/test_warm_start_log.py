"""Warm start through the workers on a simulator: features are ready within seconds, also behind a kill -9."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import eventually

from sofia_streams import codec, topics
from sofia_streams.core.features.history import WINDOWS_MAX
from sofia_streams.core.features.sets import base_set
from sofia_streams.core.signals.rolling import Rolling
from sofia_streams.embedded import process
from sofia_streams.embedded.ports import HOST, pick_ports
from sofia_streams.embedded.stack import Ports
from sofia_streams.ingest.log_bars import known_before
from sofia_streams.logread import places, reader, records_between
from sofia_streams.model import CONSOLIDATED, NS_PER_SECOND, Bar
from sofia_streams.ops.stack import running_stack
from sofia_streams.ops.supervision.alerts import Alerts
from sofia_streams.ops.supervision.supervise import Supervisor
from sofia_streams.ops.supervision.up import start_simulator
from sofia_streams.ops.topics import apply_topics
from sofia_streams.scored import Features, History
from sofia_streams.settings import Settings, load_settings

pytestmark = pytest.mark.broker
SYMBOLS = ("BTC/USDT", "ETH/USDT")
READY_S = 60.0
BARS_UNTIL_READY = 15
"""At most so many bars of a second are scored without features: those before the candles of the venues are there."""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Settings, Supervisor]]:
    data_dir = tmp_path / "data"
    with running_stack(load_settings(None, {}), data_dir, say=lambda text: None, ports=Ports(0, 0, 0, 0)) as found:
        port = pick_ports([0])[0]
        chosen = {"namespace": "warm", "simulator_url": f"ws://{HOST}:{port}", "crypto_symbols": SYMBOLS}
        settings = found.model_copy(update=chosen | {"signals_bar_size": "1s"})
        asyncio.run(apply_topics(settings))
        simulator = start_simulator(settings, data_dir, port, rate=100.0, even=True)
        supervisor = None
        try:
            supervisor = Supervisor(
                ["crypto_ws", "backfill", "ohlcv"], settings, data_dir, Alerts(settings, lambda text: None)
            )
            yield settings, supervisor
        finally:
            if supervisor is not None:
                supervisor.stop()
            process.stop([simulator], grace_s=2.0)


async def records(settings: Settings) -> dict[int, list[codec.InBars]]:
    """What `bars` has, by partition, in order."""
    chosen, found = places(settings, topics.BARS), {}
    async with reader(settings) as consumer:
        first, ends = await consumer.beginning_offsets(chosen), await consumer.end_offsets(chosen)
        async for message in records_between(consumer, first, ends):
            found.setdefault(message.partition, []).append(codec.decode_bars(message.value))
    return found


def of(symbol: str, found: dict[int, list[codec.InBars]]) -> list[Bar | History]:
    """A symbol's bars of a second, and its histories; they must stand in one partition."""
    parts = [[one for one in rows if getattr(one, "symbol", "") == symbol] for rows in found.values()]
    (rows,) = [rows for rows in parts if rows]
    return [one for one in rows if isinstance(one, Bar | History) and one.size_ns == NS_PER_SECOND]


def scored(rows: list[Bar | History]) -> list[Features]:
    """Features as a scorer of the log gets them."""
    rolling, found = Rolling([base_set(NS_PER_SECOND)]), []
    for row in rows:
        if isinstance(row, History):
            rolling.learn(row)
        elif (features := rolling.take(row)) is not None:
            found.append(features)
    return found


def readiness(rows: list[Bar | History]) -> list[bool]:
    return [one.sets["base"].is_ready for one in scored(rows) if one.candle is not None]


async def test_features_are_ready_within_seconds_of_a_start(running: tuple[Settings, Supervisor]) -> None:
    settings, supervisor = running

    async def all_ready() -> bool:
        supervisor.check()
        found = await records(settings)
        rows = [[one for part in found.values() for one in part if getattr(one, "symbol", "") == name]
                for name in SYMBOLS]  # fmt: skip
        return all(any(isinstance(one, History) for one in part) for part in rows) and all(
            any(readiness(of(symbol, found))) for symbol in SYMBOLS
        )

    await eventually(all_ready, READY_S)
    found = await records(settings)
    for symbol in SYMBOLS:
        rows = of(symbol, found)
        histories = [one for one in rows if isinstance(one, History)]
        ready = readiness(rows)
        print(f"{symbol}: ready behind bar {ready.index(True) + 1}, {len(histories[0].klines)} candles of history")
        assert len(histories) == 1 and histories[0].venues == ["binance", "okx"] and histories[0].is_synthetic
        assert len(histories[0].klines) >= WINDOWS_MAX
        assert ready.index(True) <= BARS_UNTIL_READY
        assert all(ready[ready.index(True) :])
    await kill_and_look(settings, supervisor)


async def kill_and_look(settings: Settings, supervisor: Supervisor) -> None:
    """A `backfill` that is started again sees that the log has history, and writes none a second time."""
    kept = next(one for one in supervisor.kept if one.name == "backfill")
    was = kept.child.pid
    kept.child.signal(9)

    async def is_back() -> bool:
        supervisor.check()
        return kept.child.pid != was

    await eventually(is_back, READY_S)
    rows = of(SYMBOLS[0], await records(settings))
    newest = [one for one in rows if isinstance(one, Bar) and one.venue == CONSOLIDATED][-1]
    assert await known_before(settings, dict.fromkeys(SYMBOLS, newest.start_ns), NS_PER_SECOND) == {*SYMBOLS}
    assert await known_before(settings, {"SOL/USDT": newest.start_ns}, NS_PER_SECOND) == set()
    later_ns = time.time_ns() + 10 * NS_PER_SECOND

    async def has_gone_on() -> bool:
        supervisor.check()
        last = of(SYMBOLS[0], await records(settings))[-1]
        return isinstance(last, Bar) and last.start_ns > later_ns

    await eventually(has_gone_on, READY_S)
    found = await records(settings)
    for symbol in SYMBOLS:
        assert sum(isinstance(one, History) for one in of(symbol, found)) == 1
        assert readiness(of(symbol, found))[-1]
