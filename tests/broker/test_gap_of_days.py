"""News of a gap that is days long reaches the bars of all that time, from a real log, and what retention left of it."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from sofia_streams import topics
from sofia_streams.core.bars.candles import Step, apply, store
from sofia_streams.core.bars.windows import Rules
from sofia_streams.embedded.stack import Ports, Stack
from sofia_streams.logwrite import Written, write_records
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, NS_PER_SECOND, Bar, Gap, Trade, TradeBatch
from sofia_streams.ops.stack import addressed
from sofia_streams.ops.topics import apply_topics
from sofia_streams.settings import Settings, load_settings
from sofia_streams.worker.rebuilding import Rebuilder

pytestmark = pytest.mark.broker
SYMBOL, BEGIN_NS, HOURS = "BTC/USDT", 1_780_000_020 * NS_PER_SECOND, 60
HOUR_NS = 60 * NS_PER_MINUTE


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    data_dir = tmp_path_factory.mktemp("days") / "data"
    chosen = load_settings(None, {"TOPIC_RETENTION_HOURS": "0", "TOPIC_PARTITIONS": "1"})
    with Stack(data_dir, questdb=False, redis=False, preferred_ports=Ports(0, 0, 0, 0)) as stack:
        yield addressed(chosen, stack.addresses, data_dir)


def batch(venue: str, number: int, at_ns: int) -> TradeBatch:
    found = Trade(str(number), Decimal(10), Decimal(1), "buy", at_ns, number)
    return TradeBatch(venue, "spot", SYMBOL, at_ns, "1", [found])


def trades() -> list[TradeBatch]:
    """One venue trades at the beginning and at the end, the other some seconds of each hour as well."""
    other = [batch("okx", hour * 9 + second, BEGIN_NS + hour * HOUR_NS + second * NS_PER_SECOND)
             for hour in range(HOURS) for second in range(3)]  # fmt: skip
    ends = [batch("binance", number, BEGIN_NS + hour * HOUR_NS) for number, hour in ((1, 0), (9, HOURS))]
    return sorted([*other, *ends], key=lambda one: one.received_ns)


async def logged(settings: Settings) -> tuple[list[Bar], Step]:
    """The trades and their bars are put into the log; the bars, and the step of the gap's news."""
    rows: dict = {}
    bars: list[Bar] = []
    records = trades()
    for offset, record in enumerate(records):
        step = apply(rows, record, offset=offset, rules=Rules())
        store(rows, step.rows)
        bars += step.bars
    hole = Gap("binance", "spot", SYMBOL, 0, "1", "2-8", "ids", "open", BEGIN_NS, BEGIN_NS + HOURS * HOUR_NS)
    step = apply(rows, hole, offset=len(records), rules=Rules())
    await apply_topics(settings)
    written = [Written(topics.TRADES, SYMBOL, one, one.received_ns) for one in records]
    written.append(Written(topics.TRADES, SYMBOL, hole, BEGIN_NS + HOURS * HOUR_NS))
    await write_records(settings, [*written, *(Written(topics.BARS, SYMBOL, bar, bar.start_ns) for bar in bars)])
    return bars, step


async def revised(settings: Settings, step: Step) -> list[Bar]:
    """What a worker publishes of it."""
    found: list[Bar] = []

    async def publish(bar: Bar) -> asyncio.Future[None]:
        found.append(bar)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def flush() -> None: ...

    await Rebuilder(settings, publish, flush).rebuild(step, 0, 10**9)
    return found


async def test_every_bar_of_the_time_says_gap_and_what_the_log_has_no_more_is_left(settings):
    own = settings.model_copy(update={"namespace": "days"})
    bars, step = await logged(own)
    assert step.remark is not None
    old = {(bar.venue, bar.size_ns, bar.start_ns) for bar in bars
           if bar.venue in ("binance", CONSOLIDATED) and bar.start_ns < step.remark.until_ns
           and bar.quality != "gap"}  # fmt: skip
    found = await revised(own, step)
    assert len(old) > 2 * HOURS
    assert {(bar.venue, bar.size_ns, bar.start_ns) for bar in found} == old
    assert {(bar.quality, bar.revision > 0) for bar in found} == {("gap", True)}

    await drop_records(own, 40)
    left = await revised(own, step)
    assert 0 < len(left) < len(old)
    assert {(bar.venue, bar.size_ns, bar.start_ns) for bar in left} < old


async def drop_records(settings: Settings, before: int) -> None:
    """As retention does: the oldest records of the trades go."""
    client = AIOKafkaAdminClient(bootstrap_servers=settings.broker_address())
    await client.start()
    try:
        place = TopicPartition(topics.wire_name(topics.TRADES, settings.namespace), 0)
        await client.delete_records({place: RecordsToDelete(before_offset=before)})
    finally:
        await client.close()
