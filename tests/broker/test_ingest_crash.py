"""Ingest that ends between admitting trades and the log having them: what it held is missed, found and fetched."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sofia_streams import codec, topics
from sofia_streams.crash_points import EXIT_CODE
from sofia_streams.embedded import process
from sofia_streams.embedded.ports import HOST, pick_ports
from sofia_streams.embedded.stack import Ports, Stack
from sofia_streams.logread import whole_topic
from sofia_streams.model import TradeBatch
from sofia_streams.ops.stack import addressed
from sofia_streams.ops.supervision.up import start_simulator
from sofia_streams.ops.topics import apply_topics
from sofia_streams.ops.workers import start_worker
from sofia_streams.settings import Settings, load_settings

pytestmark = pytest.mark.broker
VENUES = ("binance", "okx", "coinbase")
"""Whose ids count, so that each missing trade is known."""
COMES_WITHIN_S = 150.0


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with Stack(tmp_path / "data", questdb=False, redis=False, preferred_ports=Ports(0, 0, 0, 0)) as stack:
        found = addressed(load_settings(None, {}), stack.addresses, tmp_path / "data")
        url = f"ws://{HOST}:{pick_ports([0])[0]}"
        own = {"crypto_exchanges": VENUES, "crypto_symbols": ("BTC/USDT",), "topic_partitions": 1, "simulator_url": url}
        yield found.model_copy(update=own)


async def in_log(settings: Settings) -> dict[tuple[str, str], int]:
    """Exchange time of each trade in the log that is no history, by venue and id."""
    found = {}
    async for value in whole_topic(settings, topics.TRADES):
        record = codec.decode_trades(value)
        if isinstance(record, TradeBatch):
            found |= {
                (record.venue, trade.trade_id): trade.exchange_ns for trade in record.trades if not trade.snapshot
            }
    return found


def printed(ledger: Path, since_ns: dict[str, int], until_ns: int) -> set[tuple[str, str]]:
    """What the venues printed after the first trade that the log has of each."""
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    return {
        (one["venue"], one["trade_id"]) for one in lines if since_ns[one["venue"]] <= one["exchange_ns"] <= until_ns
    }


async def ends(child: process.Child) -> int | None:
    deadline_s = time.monotonic() + 90
    while child.exit_code() is None:
        assert time.monotonic() < deadline_s, f"it did not come to its point: {child.log_tail()}"
        await asyncio.sleep(0.05)
    return child.exit_code()


async def test_what_ingest_held_when_it_ended_is_found_and_fetched(settings: Settings):
    await apply_topics(settings)
    ledger, port = settings.data_dir / "ledger.jsonl", int((settings.simulator_url or "").rpartition(":")[2])
    children = [start_simulator(settings, settings.data_dir, port, rate=10.0, ledger=ledger)]
    try:
        children.append(start_worker("backfill", settings, settings.data_dir))
        for passage in ("admitted:200", "sent:200"):
            child = start_worker("crypto_ws", settings, settings.data_dir, crash_at=passage)
            children.append(child)
            assert await ends(child) == EXIT_CODE
        children.append(start_worker("crypto_ws", settings, settings.data_dir))
        until_ns, began_s = time.time_ns() + 5 * 10**9, time.monotonic()
        missing: set[tuple[str, str]] = {("", "")}
        while missing or time.time_ns() < until_ns + 3 * 10**9:
            assert time.monotonic() - began_s < COMES_WITHIN_S, f"still missing: {sorted(missing)[:5]}"
            await asyncio.sleep(0.5)
            found = await in_log(settings)
            since_ns = {venue: min(at for (one, _), at in found.items() if one == venue) for venue in VENUES}
            wanted = printed(ledger, since_ns, until_ns)
            missing = wanted - found.keys()
        print(f"{len(wanted)} trades, all there {time.monotonic() - began_s:.0f} s after the last start")
    finally:
        process.stop(children, grace_s=5)
