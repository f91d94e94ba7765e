"""Trades that feeds lose, through the workers: found, fetched, and the bars are those of the simulator's own ledger."""

import asyncio
import json
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sofia_streams import codec, topics
from sofia_streams.core.bars.ohlcv import bar_of, sums_of, window_start_ns
from sofia_streams.embedded import process
from sofia_streams.embedded.ports import HOST, pick_ports
from sofia_streams.embedded.stack import Ports
from sofia_streams.logread import whole_topic
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND, Bar, Gap, Trade, TradeBatch
from sofia_streams.ops.stack import running_stack
from sofia_streams.ops.supervision.alerts import Alerts
from sofia_streams.ops.supervision.supervise import Supervisor
from sofia_streams.ops.supervision.up import start_simulator
from sofia_streams.ops.topics import apply_topics
from sofia_streams.settings import Settings, load_settings

pytestmark = pytest.mark.broker
COUNTING = {"binance": "BTCUSDT", "okx": "BTC-USDT", "coinbase": "BTC-USDT"}
DROPS = (1, 7, 100, 500)
BYBIT_DROP = 7
RATE = 60.0
PATIENCE_S = 150.0
WORKERS = ["crypto_ws", "backfill", "ohlcv"]


class Pipeline:
    """Workers on a simulator, looked at through the log."""

    def __init__(self, settings: Settings, port: int, ledger: Path, supervisor: Supervisor) -> None:
        self.settings, self._port, self._ledger, self._supervisor = settings, port, ledger, supervisor

    async def control(self, query: str) -> None:
        def ask() -> None:
            with urllib.request.urlopen(f"http://{HOST}:{self._port}/control?{query}", timeout=20) as answer:
                assert answer.status == 200

        await asyncio.to_thread(ask)

    async def until(self, holds: Callable[[], Any]) -> Any:
        """What `holds` gives once it gives something; workers that end are started again meanwhile."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not (found := await holds()):
            assert time.monotonic() < deadline_s, "it did not come to hold in time"
            self._supervisor.check()
            await asyncio.sleep(1.0)
        return found

    def kill(self, name: str) -> None:
        kept = next(one for one in self._supervisor.kept if one.name == name)
        kept.child.signal(9)

    async def trades(self) -> dict[str, dict[str, Trade]]:
        """What the log has by venue and id; of a trade that came twice the first."""
        found: dict[str, dict[str, Trade]] = defaultdict(dict)
        async for data in whole_topic(self.settings, topics.TRADES):
            record = codec.decode_trades(data)
            if isinstance(record, TradeBatch):
                for trade in record.trades:
                    if not trade.snapshot:
                        found[record.venue].setdefault(trade.trade_id, trade)
        return found

    async def gaps(self, venue: str) -> list[Gap]:
        """The last record of each."""
        records = [codec.decode_gap(data) async for data in whole_topic(self.settings, topics.GAPS)]
        return [*{one.gap_id: one for one in records if one.venue == venue}.values()]

    async def bars(self) -> dict[tuple[str, int, int], Bar]:
        """The last revision of each bar."""
        found = [codec.decode_bar(data) async for data in whole_topic(self.settings, topics.BARS)]
        records = [bar for bar in found if bar is not None]
        return {(bar.venue, bar.size_ns, bar.start_ns): bar for bar in records}

    def printed(self, venue: str) -> dict[str, Trade]:
        """What the simulator printed, by id."""
        lines = [json.loads(line) for line in self._ledger.read_bytes().splitlines() if line.endswith(b"}")]
        return {
            line["trade_id"]: Trade(
                line["trade_id"], Decimal(line["price"]), Decimal(line["quantity"]), line["side"], line["exchange_ns"],
                int(line["trade_id"]),
            )
            for line in lines
            if line["venue"] == venue
        }  # fmt: skip


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    data_dir = tmp_path / "data"
    with running_stack(load_settings(None, {}), data_dir, say=lambda text: None, ports=Ports(0, 0, 0, 0)) as found:
        port = pick_ports([0])[0]
        chosen = {"namespace": "lossy", "simulator_url": f"ws://{HOST}:{port}", "crypto_symbols": ("BTC/USDT",)}
        settings, ledger = found.model_copy(update=chosen), tmp_path / "ledger.jsonl"
        asyncio.run(apply_topics(settings))
        simulator = start_simulator(settings, data_dir, port, rate=RATE, even=True, control=True, ledger=ledger)
        supervisor = None
        try:
            supervisor = Supervisor(WORKERS, settings, data_dir, Alerts(settings, lambda text: None))
            yield Pipeline(settings, port, ledger, supervisor)
        finally:
            if supervisor is not None:
                supervisor.stop()
            process.stop([simulator], grace_s=2.0)


async def test_every_loss_is_found_and_fetched_and_bars_are_those_of_the_ledger(pipeline: Pipeline):
    venues = [*COUNTING, "bybit"]
    await pipeline.until(lambda: have_trades(pipeline, venues))
    first_minute_ns = window_start_ns(time.time_ns(), NS_PER_MINUTE)
    for trades in DROPS:
        for venue, listing in COUNTING.items():
            await pipeline.control(f"do=drop&venue={venue}&listing={listing}&trades={trades}")
        await pipeline.until(lambda trades=trades: all_closed(pipeline, trades))

    await pipeline.until(lambda: is_past(first_minute_ns + NS_PER_MINUTE))  # a whole minute of ours is compared
    await pipeline.until(
        lambda: is_past(NS_PER_SECOND + window_start_ns(time.time_ns() + 5 * NS_PER_SECOND, NS_PER_MINUTE))
    )
    minute_ns = window_start_ns(time.time_ns(), NS_PER_MINUTE)
    await pipeline.control(f"do=drop&venue=bybit&listing=BTCUSDT&trades={BYBIT_DROP}")
    (found,) = await pipeline.until(lambda: of_cause(pipeline, "bybit", "klines"))

    pipeline.kill("crypto_ws")
    await pipeline.until(lambda: all_closed(pipeline, None, more_than=len(DROPS)))
    await pipeline.until(lambda: outage_judged(pipeline))

    trades = await pipeline.trades()
    lost = lost_of(pipeline.printed("bybit"), trades["bybit"], minute_ns)
    assert len(lost) == BYBIT_DROP
    assert (found.state, found.from_ns, found.missing_volume) == ("open", minute_ns, sum(one.quantity for one in lost))
    await judge_outages(pipeline, trades["bybit"])
    await compare_with_ledger(pipeline, trades)
    await say_times(pipeline)


async def have_trades(pipeline: Pipeline, venues: list[str]) -> bool:
    trades = await pipeline.trades()
    return all(len(trades[venue]) > 200 for venue in venues)


async def all_closed(pipeline: Pipeline, trades: int | None, *, more_than: int = 0) -> bool:
    """Whether each counting venue has a gap of so many trades (or of any, and more gaps than so many), all closed."""
    for venue in COUNTING:
        gaps = await pipeline.gaps(venue)
        has_it = any(trades in (None, one.missing) for one in gaps) and len(gaps) > more_than
        if not has_it or any(one.state == "open" for one in gaps):
            return False
    return True


async def outage_judged(pipeline: Pipeline) -> bool:
    """Whether the hole of the kill has an end and was looked at."""
    return all(one.until_ns is not None and (one.state == "closed" or one.detail) for one in
               await of_cause(pipeline, "bybit", "outage"))  # fmt: skip


async def of_cause(pipeline: Pipeline, venue: str, cause: str) -> list[Gap]:
    return [one for one in await pipeline.gaps(venue) if one.cause == cause]


async def is_past(at_ns: int) -> bool:
    return time.time_ns() > at_ns


def lost_of(printed: dict[str, Trade], came: dict[str, Trade], minute_ns: int) -> list[Trade]:
    """Trades of a minute that the log lacks."""
    return [
        one
        for trade_id, one in printed.items()
        if trade_id not in came and minute_ns <= one.exchange_ns < minute_ns + NS_PER_MINUTE
    ]


async def judge_outages(pipeline: Pipeline, came: dict[str, Trade]) -> None:
    """The hole of the kill holds everything that is missing; it is closed, or it says why not."""
    gaps = await of_cause(pipeline, "bybit", "outage")
    assert len(gaps) == 1
    (gap,) = gaps
    printed = pipeline.printed("bybit")
    moments = [one.exchange_ns for one in came.values()]
    first_ns, last_ns = min(moments), max(moments)
    missing = [one for key, one in printed.items() if key not in came and first_ns < one.exchange_ns < last_ns]
    within = [one for one in missing if gap.from_ns <= one.exchange_ns <= (gap.until_ns or 0)]
    assert len(missing) - len(within) == BYBIT_DROP
    if gap.state == "closed":
        assert within == []
    else:
        assert "the venue gives only its last 60 trades" in gap.detail


async def compare_with_ledger(pipeline: Pipeline, trades: dict[str, dict[str, Trade]]) -> None:
    """Every closed bar of the venues whose ids count, to the digit; those with fetched trades say so."""
    bars, compared = await pipeline.bars(), 0
    for venue in COUNTING:
        came, windows = trades[venue], defaultdict(list)
        began_ns = window_start_ns(min(one.exchange_ns for one in came.values()), NS_PER_SECOND) + NS_PER_SECOND
        newest_ns = max(one.exchange_ns for one in came.values())
        for one in pipeline.printed(venue).values():
            for size_ns in (NS_PER_SECOND, NS_PER_MINUTE):
                windows[size_ns, window_start_ns(one.exchange_ns, size_ns)].append(one)
        for (size_ns, start_ns), found in windows.items():
            bar = bars.get((venue, size_ns, start_ns))
            if start_ns >= began_ns and bar is not None and start_ns + size_ns <= newest_ns:
                wanted = bar_of(
                    sums_of(found, venue),
                    venue=venue,
                    market="spot",
                    symbol="BTC/USDT",
                    size_ns=size_ns,
                    start_ns=start_ns,
                )
                assert bar.without_revision() == wanted
                is_fetched = any(came[one.trade_id].backfilled for one in found)
                assert (bar.quality == "backfilled") == is_fetched, bar
                compared += 1
    print(f"{compared} bars of {', '.join(COUNTING)} equal to the ledger's")
    assert compared > 100


async def say_times(pipeline: Pipeline) -> None:
    """From the first trade after a hole to its trades in the log."""
    gaps = [one for venue in COUNTING for one in await pipeline.gaps(venue) if one.cause == "ids"]
    took_ms = sorted((one.received_ns - (one.until_ns or 0)) // 1_000_000 for one in gaps)
    middle, high = took_ms[len(took_ms) // 2], took_ms[max(0, -(-99 * len(took_ms) // 100) - 1)]
    print(
        f"{len(took_ms)} gaps, from the trade after the hole to its trades in the log: p50 {middle} ms, p99 {high} ms"
    )
