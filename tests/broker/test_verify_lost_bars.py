"""`sofia verify` where the bars topic has lost bars, or says more than the log: trades and gaps say what must be."""

from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from msgspec.structs import replace

from sofia_streams import topics
from sofia_streams.core.bars.candles import apply, store
from sofia_streams.core.bars.rebuild import Place, place_of
from sofia_streams.core.bars.windows import Row, Rules
from sofia_streams.embedded.stack import Ports
from sofia_streams.logread import places
from sofia_streams.logwrite import Written, write_records
from sofia_streams.model import CONSOLIDATED, NS_PER_SECOND, Bar, Gap, Punctuation, TradeBatch
from sofia_streams.ops.replay.in_process import records_of
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


def folded(records: list[TradeBatch | Punctuation | Gap]) -> dict[Place, Bar]:
    """The last bar of each window, those without trades too."""
    rows: dict[str, Row] = {}
    bars: dict[Place, Bar] = {}
    for offset, record in enumerate(records):
        step = apply(rows, record, offset=offset, rules=Rules())
        store(rows, step.rows)
        bars |= {place_of(bar): bar for bar in step.bars}
    return bars


async def differing(
    data_dir: Path, records: list[TradeBatch | Punctuation | Gap], *topics_of_bars: list[Bar]
) -> list[list[dict[str, Any]]]:
    """The hours of the bars topic that differ, once with each of these contents of it."""
    found = []
    kept = {"TOPIC_RETENTION_HOURS": "0"}  # the records' own times are months ago: the broker would drop them
    with running_stack(load_settings(None, kept), data_dir, say=silent, ports=Ports(0, 0, 0, 0, 0)) as servers:
        for number, bars in enumerate(topics_of_bars):
            settings = servers.model_copy(update={"namespace": f"lost-{number}"})
            await apply_topics(settings)
            logged = [Written(topics.TRADES, one.symbol, one, one.received_ns) for one in records]
            await write_records(settings, [*logged, *(Written(topics.BARS, bar.symbol, bar, 0) for bar in bars)])
            await commit_all(settings, "ohlcv")
            said = await verify(settings, Span(), silent, wait_s_max=1)
            found.append([row for row in said["hours"] if row["store"] == "bars topic" and not row["equal"]])
    return found


async def test_lost_bars_and_bars_that_say_more_than_an_open_gap_allows_are_told(tmp_path: Path):
    records = [one for one in records_of([CAPTURE], Settings()) if isinstance(one, TradeBatch | Punctuation | Gap)]
    seconds = [bar for bar in folded(records).values() if bar.size_ns == NS_PER_SECOND and bar.venue != CONSOLIDATED]
    newest = max((bar for bar in seconds if bar.trade_count), key=lambda bar: bar.start_ns)
    name = place_of(newest)[:4]
    mine = sorted(bar.start_ns for bar in seconds if place_of(bar)[:4] == name and bar.trade_count)
    hole = Gap(*name[:3], records[-1].received_ns, "1", "trade:1", "ids", "open", mine[-5], mine[-4])
    records.append(hole)
    bars = folded(records)
    in_hole = {place for place, bar in bars.items() if place[:4] == name and mine[-5] <= bar.start_ns <= mine[-4]}
    assert {bars[place].quality for place in in_hole} == {"gap"}
    lost = [bar for place, bar in bars.items() if place[:4] != name or bar.start_ns not in mine[-2:]]
    lies = [replace(bar, quality="complete") if place in in_hole else bar for place, bar in bars.items()]
    quiet = next(bar for bar in reversed(seconds) if not bar.trade_count and bar.symbol != newest.symbol)
    gone = {place_of(quiet), place_of(quiet)._replace(venue=CONSOLIDATED)}
    less = [bar for place, bar in bars.items() if place not in gone]
    whole, ends, more, no_quiet = await differing(tmp_path / "data", records, [*bars.values()], lost, lies, less)
    assert whole == []
    (hour,) = ends
    assert (hour["table"], hour["venue"], hour["symbol"]) == ("bars_1s", newest.venue, newest.symbol)
    assert hour["missing"] == 2
    assert (hour["ranges"][0]["from_ns"], hour["ranges"][-1]["until_ns"]) == tuple(mine[-2:])
    (hour,) = more
    assert (hour["table"], hour["venue"], hour["symbol"]) == ("bars_1s", newest.venue, newest.symbol)
    assert (hour["different"], hour["fields"]) == (len(in_hole), {"quality": len(in_hole)})
    (hour,) = no_quiet
    assert (hour["venue"], hour["symbol"], hour["missing"]) == (quiet.venue, quiet.symbol, 1)
