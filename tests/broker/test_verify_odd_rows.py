"""`sofia verify` on real servers that hold what nobody of ours wrote, and QuestDB's deduplication after it was lost."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import pytest
from redis.asyncio import Redis
from waiting import eventually

from sofia_streams.embedded.stack import Ports
from sofia_streams.model import NS_PER_HOUR, Trade, TradeBatch
from sofia_streams.ops.look.doctor import examine
from sofia_streams.ops.stack import running_stack
from sofia_streams.ops.topics import apply_topics
from sofia_streams.ops.verify.databases import QuestDbSide
from sofia_streams.ops.verify.log import Span
from sofia_streams.ops.verify.run import verify
from sofia_streams.ops.verify.times import span_of
from sofia_streams.settings import Settings, load_settings
from sofia_streams.stores.questdb import QuestDb

pytestmark = pytest.mark.broker
AT_NS = time.time_ns() // NS_PER_HOUR * NS_PER_HOUR
BATCH = TradeBatch("okx", "spot", "BTC/USDT", AT_NS, "okx", [Trade("7", Decimal(1), Decimal(2), "buy", AT_NS, 1)])
KEYS = "exchange_ns, venue, market, symbol, id_kind, trade_id"


def silent(message: str) -> None:
    """Progress is not looked at here."""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    data_dir = tmp_path_factory.mktemp("odd") / "data"
    with running_stack(load_settings(None, {}), data_dir, say=silent, ports=Ports(0, 0, 0, 0)) as addressed:
        yield addressed


@pytest.fixture
async def settings(servers: Settings, request: pytest.FixtureRequest) -> AsyncIterator[Settings]:
    """A namespace of its own, with topics and tables."""
    own = servers.model_copy(update={"namespace": f"t{abs(hash(request.node.name)) % 10**8}", "topic_partitions": 1})
    await apply_topics(own)
    assert await asyncio.to_thread(store_of(own).create_tables, {}) == []
    yield own
    await asyncio.to_thread(store_of(own).drop_tables)


def store_of(settings: Settings) -> QuestDb:
    return QuestDb(settings.questdb_address(), settings.table_prefix())


async def sql(settings: Settings, statement: str) -> list[list[Any]]:
    return await asyncio.to_thread(store_of(settings).query, statement)


async def has_rows(settings: Settings, count: int) -> None:
    async def has() -> bool:
        return await asyncio.to_thread(store_of(settings).count, "trades") == count

    await eventually(has)


async def written(settings: Settings) -> None:
    store = store_of(settings)
    await asyncio.to_thread(store.write, [BATCH])
    store.close()


async def test_a_row_without_a_symbol_and_an_entry_that_is_no_utf8_are_named_and_the_rest_is_compared(settings):
    table = store_of(settings).table("trades")
    await written(settings)
    columns = "exchange_ns, venue, market, id_kind, trade_id, price"
    await sql(settings, f"INSERT INTO '{table}' ({columns}) VALUES ({AT_NS}L, 'okx', 'spot', 'trade', '8', 1.5m)")
    await has_rows(settings, 2)
    async with Redis.from_url(settings.redis_address()) as client:
        await client.xadd(f"{settings.stream_prefix()}trades:BTC/USDT", {b"venue": b"okx", b"price": b"\xff"}, "5-1")
    found = await verify(settings, Span(), silent, wait_s_max=1)
    hours = {(one["symbol"], one["surplus"]) for one in found["hours"] if one["store"] == "questdb"}
    assert hours == {("BTC/USDT", 1), ("", 1)}
    assert found["foreign_entries"] == {"trades:BTC/USDT": 1}
    assert found["equal"] is False
    assert "DEDUP UPSERT KEYS" in found["advice"][0]


async def test_the_last_moment_that_may_be_asked_for_finds_every_row(settings):
    await written(settings)
    await has_rows(settings, 1)
    side = QuestDbSide(store_of(settings), {})
    everything = await asyncio.to_thread(side.hours, Span())
    assert sum(everything.values()) == 1
    for span in (span_of("1970-01-01", "2262-04-11T23:47"), Span(0, 2**63 - 1), Span(0, 2**63)):
        assert await asyncio.to_thread(side.hours, span) == everything


@pytest.mark.parametrize("damage", ["DISABLE", "ENABLE UPSERT KEYS(exchange_ns, trade_id)", "copied"])
async def test_a_table_that_doubles_rows_is_found_and_mended_at_the_next_start(settings, damage):
    store = store_of(settings)
    table = store.table("trades")
    if damage == "copied":
        await sql(settings, f"CREATE TABLE '{table}_copy' AS (SELECT * FROM '{table}') TIMESTAMP(exchange_ns) "
                            "PARTITION BY DAY WAL")  # fmt: skip
        await sql(settings, f"DROP TABLE '{table}'")
        await sql(settings, f"RENAME TABLE '{table}_copy' TO '{table}'")
    else:
        await sql(settings, f"ALTER TABLE '{table}' DEDUP {damage}")

    async def doubling() -> bool:
        return await asyncio.to_thread(store.doubling) == [table]

    await eventually(doubling)
    (finding,) = [one for one in await examine(settings) if one.check == "questdb"]
    assert (finding.state, table in finding.found) == ("failed", True)
    (said,) = await asyncio.to_thread(store.create_tables, {})
    assert "switched on" in said.text and said.is_mended

    async def right() -> bool:
        return await asyncio.to_thread(store.doubling) == []

    await eventually(right)
    await written(settings)
    await written(settings)
    late = f"SELECT count() FROM wal_tables() WHERE name = '{table}' AND sequencerTxn != writerTxn"

    async def applied() -> bool:
        return await sql(settings, late) == [[0]]

    await eventually(applied)
    assert await asyncio.to_thread(store.count, "trades") == 1
    ((shown,),) = await sql(settings, f"SHOW CREATE TABLE '{table}'")
    assert f"DEDUP UPSERT KEYS({KEYS.replace(', ', ',')})" in shown.replace(", ", ",")
    assert await asyncio.to_thread(store.create_tables, {}) == []
