"""What is said and done behind bars, in real stores: QuestDB and PostgreSQL to the last bit, and shapes in Redis."""

import struct
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq
import pytest
from paper_records import PAPER
from redis.asyncio import Redis
from scored_records import BEGAN_NS, HARD, SCORED, features
from stored_records import ANY_PORTS
from waiting import blocking_eventually as eventually

from sofia_streams.embedded.stack import Stack
from sofia_streams.model import NS_PER_SECOND
from sofia_streams.ops.paper.parity_compare import Said
from sofia_streams.ops.paper.parity_stores import are_equal, compare_stores, logged_ids
from sofia_streams.ops.replay.export import export_table
from sofia_streams.scored import Features
from sofia_streams.stores.base import TABLES, rows_of, table_of
from sofia_streams.stores.paper_rows import PAPER_TABLES
from sofia_streams.stores.postgres import Postgres
from sofia_streams.stores.questdb import QuestDb
from sofia_streams.stores.redis_entries import entry_of
from sofia_streams.stores.redis_streams import RedisStreams
from sofia_streams.stores.scored_rows import SCORED_TABLES

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    data_dir = tmp_path_factory.mktemp("scored") / "data"
    with Stack(data_dir, kafka=False, postgres=True, preferred_ports=ANY_PORTS) as running:
        yield running


@pytest.fixture
def postgres(stack: Stack) -> Iterator[Postgres]:
    own = Postgres(stack.addresses.postgres_url, "scored_")
    assert own.create_tables({}) == own.create_tables({}) == []
    yield own
    own.drop_tables()
    own.close()


@pytest.fixture
def questdb(stack: Stack) -> Iterator[QuestDb]:
    own = QuestDb(stack.addresses.questdb_http, "scored_")
    assert own.create_tables({}) == own.create_tables({}) == []
    assert own.doubling() == []
    yield own
    own.close()
    own.drop_tables()


def bits(value: Any) -> Any:
    return struct.pack(">d", value).hex() if isinstance(value, float) else value


def expected(name: str) -> list[tuple[Any, ...]]:
    return sorted(tuple(map(bits, row)) for one in SCORED if table_of(one) == name for row in rows_of(one))


def test_every_hard_float_is_among_what_is_written():
    assert {bits(value) for value in HARD} <= {cell for row in expected("features_1s") for cell in row}


def in_questdb(store: QuestDb, name: str) -> list[tuple[Any, ...]]:
    chosen = ", ".join(f"{column}::long" if kind == "time" else column for column, kind in TABLES[name].columns.items())
    rows = store.query(f"SELECT {chosen} FROM '{store.table(name)}'")
    return sorted(tuple(_from_json(kind, value) for kind, value in zip(TABLES[name].columns.values(), row, strict=True))
                  for row in rows)  # fmt: skip


def _from_json(kind: str, value: Any) -> Any:
    """JSON has one kind of number; a float without a point is an int there. Exact decimals are compared elsewhere."""
    return bits(float(value)) if kind == "number" and value is not None else value


def test_questdb_gives_every_float_back_bit_for_bit_and_keeps_one_row(questdb):
    for _ in range(2):
        assert questdb.write(SCORED) == len(SCORED)
    for name in SCORED_TABLES:
        wanted = expected(name)
        eventually(lambda name=name, wanted=wanted: questdb.count(name) == len(wanted))
        if name == "signals":
            rows = questdb.query(f"SELECT start_ns::long, action, close::varchar FROM '{questdb.table(name)}'")
            assert sorted(map(str, rows)) == sorted([
                f"[{BEGAN_NS}, 'abstain', None]", f"[{BEGAN_NS}, 'buy', '61234.50000001000000000000']",
            ])  # fmt: skip
        else:
            assert in_questdb(questdb, name) == wanted


def test_postgres_gives_records_back_as_they_were_bit_for_bit(postgres):
    for _ in range(2):
        assert postgres.write(SCORED) == len(SCORED)
    for name in SCORED_TABLES:
        found = [*postgres.stored_between(name, 0, time.time_ns())]
        assert sorted(map(repr, found)) == sorted(repr(one) for one in SCORED if table_of(one) == name)
        assert sorted(tuple(map(bits, row)) for one in found for row in rows_of(one)) == expected(name)


def test_a_hole_filled_from_the_fallback_is_the_same_in_questdb(postgres, questdb):
    postgres.write(SCORED)
    for name in SCORED_TABLES:
        questdb.write([*postgres.stored_between(name, 0, time.time_ns())])
    wanted = expected("features_1s")
    eventually(lambda: questdb.count("features_1s") == len(wanted))
    assert in_questdb(questdb, "features_1s") == wanted


def test_an_export_has_floats_as_doubles(questdb, tmp_path):
    many = [features(NS_PER_SECOND, start_ns=BEGAN_NS + at * NS_PER_SECOND) for at in range(20)]
    questdb.write(many)
    eventually(lambda: questdb.count("features_1s") == 20)
    assert export_table(questdb, "features_1s", tmp_path / "features.parquet") == 20
    found = pq.read_table(tmp_path / "features.parquet").to_pylist()
    columns = TABLES["features_1s"].columns
    assert [tuple(bits(row[column]) for column in columns) for row in found] == [
        tuple(map(bits, row)) for one in many for row in rows_of(one)
    ]


@pytest.mark.parametrize("name", PAPER_TABLES)
def test_orders_fills_and_the_account_are_exact_in_both_and_in_an_export(postgres, questdb, tmp_path, name):
    wanted = [one for one in PAPER if table_of(one) == name]
    for _ in range(2):
        assert postgres.write(wanted) == len(wanted)
    found = [*postgres.stored_between(name, 0, time.time_ns())]
    assert sorted(map(repr, found)) == sorted(map(repr, wanted))
    for _ in range(2):
        assert questdb.write(found) == len(wanted)
    eventually(lambda: questdb.count(name) == len(wanted))
    assert export_table(questdb, name, tmp_path / "out.parquet") == len(wanted)
    exported = pq.read_table(tmp_path / "out.parquet").to_pylist()
    columns = TABLES[name].columns
    rows = [{column: _exact(columns[column], row[column]) for column in columns} for row in exported]
    expected_rows = [dict(zip(columns, row, strict=True)) for one in wanted for row in rows_of(one)]
    assert sorted(map(repr, rows)) == sorted(
        repr({column: _exact(columns[column], row[column]) for column in columns}) for row in expected_rows
    )


def _exact(kind: str, value: Any) -> Any:
    """A value of an export or a row, to be compared: numbers as they are, whatever zeros stand behind them."""
    if kind in ("value", "sum") and value is not None:
        return f"{Decimal(value):.40f}"
    return value


def test_rows_of_paper_trading_are_compared_with_the_log_by_id(questdb):
    said, begin_ns = Said(), BEGAN_NS - NS_PER_SECOND
    for one in PAPER:
        said.add(one)
    wanted = logged_ids(said, begin_ns, BEGAN_NS + NS_PER_SECOND)
    counts = {name: len(ids) for name, ids in wanted.items()}
    assert counts == {"orders": 3, "fills": 2, "account": 2}
    questdb.write(PAPER)
    eventually(lambda: all(questdb.count(name) == count for name, count in counts.items()))
    found = compare_stores(questdb, wanted, begin_ns, BEGAN_NS + NS_PER_SECOND)
    assert are_equal(found)
    wanted["orders"]["o1"] += 1
    wanted["fills"].pop("o1-1")
    wanted["account"]["9"] = 0
    found = compare_stores(questdb, wanted, begin_ns, BEGAN_NS + NS_PER_SECOND)
    assert not are_equal(found)
    wrong = {name: (one["missing"], one["surplus"], one["older"], one["examples"]) for name, one in found.items()}
    assert wrong == {"orders": (0, 0, 1, ["o1"]), "fills": (0, 1, 0, ["o1-1"]), "account": (1, 0, 0, ["9"])}
    nothing = compare_stores(questdb, wanted, BEGAN_NS + NS_PER_SECOND, BEGAN_NS + 2 * NS_PER_SECOND)
    assert {one["rows"] for one in nothing.values()} == {0}


async def test_redis_has_the_published_fields_in_their_order(stack):
    url = stack.addresses.redis_url
    streams = RedisStreams(url, 1_000)
    made = [entry_of(one, at, "scored:") for at, one in enumerate(SCORED) if not isinstance(one, Features)]
    entries = [(one, 0) for one in made if one is not None]
    assert len(entries) == 4
    assert await streams.publish(entries) == []
    async with Redis.from_url(url, decode_responses=True) as client:
        (_, scored), (_, abstained) = await client.xrange("scored:predictions:BTC/USDT")
        (_, bought), _ = await client.xrange("scored:signals:BTC/USDT")
    await streams.delete("scored:")
    await streams.close()
    published = ["symbol", "model_type", "raw_score", "calibrated_score", "prediction_class", "confidence", "timestamp"]
    assert [*scored][:7] == [*abstained][:7] == published
    assert [scored[name] for name in published] == [
        "BTCUSDT", "ensemble", "0.30000000000000004", "0.7000000000000001", "up", "0.7000000000000001", "1754000041.0",
    ]  # fmt: skip
    assert [abstained[name] for name in published] == ["BTCUSDT", "", "", "", "", "", "1754000100.0"]
    assert (scored.get("abstention"), abstained["abstention"], bought["close"]) == (None, "no model", "61234.50000001")
