"""`sofia verify` on real servers: a replay that is kept is equal everywhere; every damage is named, and mended."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from sofia_streams import codec, topics
from sofia_streams.embedded import process
from sofia_streams.embedded.stack import Ports
from sofia_streams.logread import whole_topic
from sofia_streams.logwrite import Written, write_records
from sofia_streams.model import Trade, TradeBatch
from sofia_streams.ops.replay.streaming import Hooks, replay_streaming
from sofia_streams.ops.stack import running_stack
from sofia_streams.ops.verify.log import Span
from sofia_streams.ops.verify.run import verify
from sofia_streams.ops.verify.times import span_of
from sofia_streams.settings import Settings, load_settings
from sofia_streams.stores.postgres import Postgres
from sofia_streams.stores.questdb import QuestDb

pytestmark = pytest.mark.broker
CAPTURES = Path(__file__).resolve().parents[1] / "captures"
OKX, BYBIT = CAPTURES / "okx-spot-mixed6-20210722.jsonl.gz", CAPTURES / "bybit-linear-mixed4-20260809.jsonl.gz"
OKX_DAY = "2021-07-22"


def silent(message: str) -> None:
    """Progress is not looked at here."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    data_dir = tmp_path_factory.mktemp("verify") / "data"
    chosen = load_settings(None, {"FALLBACK_ENABLED": "true"})
    with running_stack(chosen, data_dir, say=silent, ports=Ports(0, 0, 0, 0, 0)) as addressed:
        yield addressed


class Namespace:
    """A replay's namespace while it is kept: its stores, and ways to hurt them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = QuestDb(settings.questdb_address(), settings.table_prefix())

    async def verify(self, span: Span = Span(), *, repair: bool = False) -> dict[str, Any]:  # noqa: B008
        return await verify(self.settings, span, silent, repair=repair)

    async def sql(self, statement: str) -> list[list[Any]]:
        return await asyncio.to_thread(self.store.query, statement)

    def table(self, name: str) -> str:
        return f"'{self.store.table(name)}'"

    async def remove_entries(self, stream: str, first: int, count: int) -> list[str]:
        """Delete some entries of a stream; their trade ids."""
        name = f"{self.settings.stream_prefix()}{stream}"
        async with Redis.from_url(self.settings.redis_address(), decode_responses=True) as client:
            chosen = (await client.xrange(name))[first : first + count]
            await client.xdel(name, *(entry_id for entry_id, _ in chosen))
        return [fields["trade_id"] for _, fields in chosen]


def wrong(found: dict[str, Any], store: str, table: str) -> list[dict[str, Any]]:
    return [row for row in found["hours"] if (row["store"], row["table"]) == (store, table) and not row["equal"]]


def stores_that_differ(found: dict[str, Any]) -> set[str]:
    return {row["store"] for row in found["hours"] if not row["equal"]}


async def kept(settings: Settings, paths: list[Path], look: Any) -> dict[str, object]:
    """Replay, and look at the namespace before it is removed."""
    return await replay_streaming(
        paths,
        settings,
        settings.data_dir,
        silent,
        hooks=Hooks(inspect=lambda found: look(Namespace(found))),
        readers=("ohlcv", "timeseries_writer", "redis_bridge"),
    )


async def test_a_replay_is_equal_in_every_store_each_trade_counted_and_an_emptied_redis_lacks_each(settings):
    seen: dict[str, Any] = {}
    emptied: dict[str, Any] = {}

    async def look(namespace: Namespace) -> None:
        seen.update(await namespace.verify())
        async with Redis.from_url(namespace.settings.redis_address()) as client:
            await client.flushall()
        emptied.update(await namespace.verify())

    summary = await kept(settings, [OKX, BYBIT, OKX], look)  # every frame of one venue twice
    assert seen["equal"], seen["totals"]
    totals = {(line["store"], line["table"]): line for line in seen["totals"]}
    for store in ("questdb", "redis"):
        assert totals[store, "trades"]["found"] == summary["trades"]
        assert totals[store, "trades"]["checksums"] == "equal"
    with_trades = sum(one["bars_1s"] for one in consolidated(summary))
    assert totals["bars topic", "bars_1s"]["log"] >= with_trades, "and those without that must be there"
    assert seen["compared"]["not_settled"] == {}
    assert stores_that_differ(emptied) == {"redis"}
    (line,) = [one for one in emptied["totals"] if (one["store"], one["table"]) == ("redis", "trades")]
    assert (line["missing"], line["found"]) == (summary["trades"], 0)
    assert sum(one["rows"] for row in wrong(emptied, "redis", "trades") for one in row["ranges"]) == summary["trades"]


def consolidated(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Each instrument's bars, those of one venue alone and the consolidated ones, which are as many."""
    return [*summary["instruments"].values()] * 2


async def test_each_damage_is_named_and_the_database_is_mended_from_the_log(settings):
    async def look(namespace: Namespace) -> None:
        trades, bars = namespace.table("trades"), namespace.table("bars_1s")
        lost = (await namespace.sql(f"SELECT count() FROM {trades} WHERE exchange_ns IN '{OKX_DAY}'"))[0][0]
        bybit = "venue = 'bybit' AND symbol = 'BTC/USDT:USDT'"
        changed = (await namespace.sql(f"SELECT trade_id, exchange_ns FROM {trades} WHERE {bybit} LIMIT 1"))[0][0]
        bar = "venue = 'all' AND symbol = 'BTC/USDT:USDT' AND trade_count > 0 LIMIT 1"
        second = (await namespace.sql(f"SELECT start_ns FROM {bars} WHERE {bar}"))[0][0]
        await namespace.sql(f"ALTER TABLE {trades} DROP PARTITION LIST '{OKX_DAY}'")
        await namespace.sql(f"UPDATE {trades} SET price = price + 1.0m WHERE trade_id = '{changed}' AND {bybit}")
        await namespace.sql(f"UPDATE {bars} SET volume = volume + 0.5m WHERE start_ns = '{second}' AND venue = 'all'"
                            " AND symbol = 'BTC/USDT:USDT'")  # fmt: skip
        gone = await namespace.remove_entries("trades:BTC/USDT:USDT", 10, 3)

        found = await namespace.verify()
        assert not found["equal"]
        hours = wrong(found, "questdb", "trades")
        assert sum(row["missing"] for row in hours if row["venue"] == "okx") == lost
        (hour,) = [row for row in hours if row["venue"] != "okx"]
        assert (hour["symbol"], hour["different"], hour["fields"]) == ("BTC/USDT:USDT", 1, {"price": 1})
        assert hour["ranges"][0]["first"] == changed
        (hour,) = wrong(found, "questdb", "bars_1s")
        assert (hour["venue"], hour["different"], hour["fields"]) == ("all", 1, {"volume": 1})
        (stream,) = wrong(found, "redis", "trades")
        assert stream["ranges"] == [stream["ranges"][0] | {"kind": "missing", "rows": 3}]
        assert {stream["ranges"][0]["first"], stream["ranges"][0]["last"]} <= set(gone)
        assert stores_that_differ(found) == {"questdb", "redis"}

        elsewhere = await namespace.verify(span_of("2026-08-09T23:59", None))
        assert elsewhere["equal"], "nothing of the damage lies in that stretch"

        mended = await namespace.verify(repair=True)
        assert mended["repaired"] == {"questdb": lost + 2}
        assert stores_that_differ(mended["after"]) == {"redis"}, "an entry cannot be put behind newer ones"
        assert any("redis" in line for line in mended["advice"])

    await kept(settings, [OKX, BYBIT], look)


async def test_a_row_that_the_log_does_not_have_is_surplus_until_its_day_is_made_anew(settings):
    async def look(namespace: Namespace) -> None:
        trades = namespace.table("trades")
        symbol, at_ns = (await namespace.sql(f"SELECT symbol, cast(max(exchange_ns) AS long) FROM {trades}"))[0]
        invented = Trade("no-such-id", Decimal(1), Decimal(2), "buy", at_ns, 1)
        namespace.store.write([TradeBatch("okx", "spot", symbol, at_ns, "okx", [invented])])

        found = await namespace.verify(repair=True)
        (hour,) = wrong(found, "questdb", "trades")
        assert (hour["surplus"], hour["ranges"][0]["first"]) == (1, "no-such-id")
        assert found["repaired"] == {}
        assert "deletes no rows" in found["advice"][0]

        await namespace.sql(f"ALTER TABLE {trades} DROP PARTITION LIST '{OKX_DAY}'")
        again = await namespace.verify(repair=True)
        assert again["equal"]
        assert again["after"]["equal"]

    await kept(settings, [OKX], look)


async def test_while_everything_runs_what_is_on_its_way_is_no_difference(settings):
    seen: list[dict[str, Any]] = []

    async def look_again_and_again(found: Settings) -> None:
        while len(seen) < 3 or seen[-1]["compared"]["log"]["rows"] < 1_000:
            seen.append(await verify(found, Span(), silent, wait_s_max=20))

    def meddle(found: Settings, _: list[process.Child]) -> asyncio.Task[None]:
        return asyncio.create_task(asyncio.wait_for(look_again_and_again(found), timeout=180))

    await replay_streaming([BYBIT], settings, settings.data_dir, silent, 1.5, hooks=Hooks(meddle=meddle))
    rows = [found["compared"]["log"]["rows"] for found in seen]
    assert rows[0] < rows[-1], "it should have grown meanwhile"
    for found in seen:
        assert found["equal"], [row for row in found["hours"] if not row["equal"]][:3]


class Seen(Exception):
    """Ends a replay whose writer was stopped."""


async def test_what_a_stopped_writer_has_not_done_is_left_out_and_said(settings):
    running: list[process.Child] = []

    async def note(children: list[process.Child]) -> None:
        running.extend(children)

    async def look(found: Settings) -> None:
        process.stop([child for child in running if child.name == "timeseries_writer"], grace_s=10)
        batch = next(record for record in await trades_of(found) if record.trades)
        later = msgspec.structs.replace(batch.trades[0], trade_id="7", exchange_ns=batch.trades[0].exchange_ns + 10**12)
        added = msgspec.structs.replace(batch, trades=[later])
        await write_records(found, [Written(topics.TRADES, batch.symbol, added, batch.received_ns)])
        first = await verify(found, Span(), silent, wait_s_max=1)
        assert first["equal"], [row for row in first["hours"] if not row["equal"]][:3]
        assert first["compared"]["not_settled"]["timeseries_writer"] == 1
        raise Seen

    hooks = Hooks(meddle=lambda _, children: asyncio.create_task(note(children)), inspect=look)
    with pytest.raises(Seen):
        await replay_streaming([OKX], settings, settings.data_dir, silent, hooks=hooks)


async def trades_of(settings: Settings) -> list[TradeBatch]:
    """The batches of the log."""
    records = [codec.decode_trades(value) async for value in whole_topic(settings, topics.TRADES)]
    return [record for record in records if isinstance(record, TradeBatch)]


async def test_what_the_fallback_has_must_be_as_the_log_says(settings):
    async def look(namespace: Namespace) -> None:
        own = namespace.settings
        url = own.fallback_url()
        assert url is not None
        store = Postgres(url, own.table_prefix())
        try:
            await asyncio.to_thread(store.create_tables, {})
            batches = (await trades_of(own))[:50]
            bars = [codec.decode_bar(value) async for value in whole_topic(own, topics.BARS)]
            await asyncio.to_thread(store.write, [*batches, *bars[:50]])
            clean = await namespace.verify()
            assert clean["equal"], [row for row in clean["hours"] if not row["equal"]][:3]
            totals = {(line["store"], line["table"]): line["found"] for line in clean["totals"]}
            assert totals["postgres", "trades"] == sum(len(batch.trades) for batch in batches)
            assert totals["postgres", "bars_1s"] + totals["postgres", "bars_1m"] == 50

            first = batches[0].trades[0]
            invented = msgspec.structs.replace(first, trade_id="no-such-id")
            changed = msgspec.structs.replace(first, price=first.price + 1)
            await asyncio.to_thread(store.write, [msgspec.structs.replace(batches[0], trades=[invented, changed])])
            found = await namespace.verify(repair=True)
            assert stores_that_differ(found) == {"postgres"}
            (hour,) = wrong(found, "postgres", "trades")
            assert (hour["missing"], hour["surplus"], hour["different"]) == (0, 1, 1)
            assert hour["fields"] == {"price": 1}
            assert found["repaired"] == {"postgres": 1}
            (hour,) = wrong(found["after"], "postgres", "trades")
            assert (hour["surplus"], hour["different"]) == (1, 0)
            await asyncio.to_thread(store.query, f"DELETE FROM {namespace.table('trades').replace(chr(39), chr(34))}"
                                                 " WHERE trade_id = 'no-such-id'")  # fmt: skip
            assert (await namespace.verify())["equal"]
        finally:
            store.close()

    await kept(settings, [OKX], look)
