"""`sofia verify` where the bars topic has lost its end: the log's trades say which bars must be there."""

from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from sofia_streams import topics
from sofia_streams.core.bars.rebuild import place_of
from sofia_streams.embedded.stack import Ports
from sofia_streams.logread import places
from sofia_streams.logwrite import Written, write_records
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND, Gap, Punctuation, TradeBatch
from sofia_streams.ops.replay.in_process import records_of, replay_in_process
from sofia_streams.ops.stack import running_stack
from sofia_streams.ops.topics import apply_topics
from sofia_streams.ops.verify.log import Span
from sofia_streams.ops.verify.run import verify
from sofia_streams.settings import Settings, load_settings

pytestmark = pytest.mark.broker
CAPTURE = Path(__file__).resolve().parents[1] / "captures" / "bybit-linear-mixed4-20260809.jsonl.gz"


def silent(message: str) -> None:
    """Progress is not looked at here."""


async def commit_all(settings: Settings, worker: str) -> None:
    """Say that a worker has done all that the log has for it."""
    group, chosen = topics.app_id(worker, settings.namespace), places(settings, topics.TRADES)
    async with AIOKafkaConsumer(
        bootstrap_servers=settings.broker_address(), group_id=group, enable_auto_commit=False
    ) as consumer:
        consumer.assign(chosen)
        await consumer.commit(await consumer.end_offsets(chosen))


async def test_bars_that_are_lost_from_the_end_of_their_topic_are_missing(tmp_path: Path):
    records = [one for one in records_of([CAPTURE], Settings()) if isinstance(one, TradeBatch | Punctuation | Gap)]
    book = replay_in_process([CAPTURE]).book
    bars = [bar for size_ns in (NS_PER_SECOND, NS_PER_MINUTE) for bar in book.bars(size_ns)]
    newest = max((bar for bar in bars if bar.size_ns == NS_PER_SECOND), key=lambda bar: bar.start_ns)
    mine = sorted(bar.start_ns for bar in bars if place_of(bar)[:4] == place_of(newest)[:4])[-2:]
    left = [bar for bar in bars if place_of(bar)[:4] != place_of(newest)[:4] or bar.start_ns not in mine]
    with running_stack(load_settings(None, {}), tmp_path / "data", say=silent, ports=Ports(0, 0, 0, 0, 0)) as settings:
        await apply_topics(settings)
        logged = [Written(topics.TRADES, one.symbol, one, one.received_ns) for one in records]
        await write_records(settings, [*logged, *(Written(topics.BARS, bar.symbol, bar, 0) for bar in left)])
        await commit_all(settings, "ohlcv")
        found = await verify(settings, Span(), silent, wait_s_max=1)
    (hour,) = [row for row in found["hours"] if row["store"] == "bars topic" and not row["equal"]]
    assert (hour["table"], hour["venue"], hour["symbol"]) == ("bars_1s", newest.venue, newest.symbol)
    assert hour["missing"] == 2
    assert (hour["ranges"][0]["from_ns"], hour["ranges"][-1]["until_ns"]) == tuple(mine)
