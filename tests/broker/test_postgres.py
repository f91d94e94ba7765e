"""The tables in the embedded PostgreSQL: written twice, cut off after COMMIT; exact as QuestDB."""

import socket
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from stored_records import ANY_PORTS, BEGAN_NS, RECORDS, bar, batch, trade
from waiting import blocking_eventually as eventually

from sofia_streams.embedded.stack import Stack
from sofia_streams.errors import BadRecord, DependencyDown
from sofia_streams.model import TradeBatch
from sofia_streams.stores.base import TABLES
from sofia_streams.stores.postgres import Postgres
from sofia_streams.stores.questdb import QuestDb

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    data_dir = tmp_path_factory.mktemp("postgres") / "data"
    with Stack(data_dir, kafka=False, redis=False, postgres=True, preferred_ports=ANY_PORTS) as running:
        yield running


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    return f"t{abs(hash(request.node.name)) % 10**8}_"


@pytest.fixture
def store(stack: Stack, prefix: str) -> Iterator[Postgres]:
    own = Postgres(stack.addresses.postgres_url, prefix)
    assert own.create_tables({}) == []
    yield own
    own.drop_tables()
    own.close()


@pytest.fixture
def questdb(stack: Stack, prefix: str) -> Iterator[QuestDb]:
    own = QuestDb(stack.addresses.questdb_http, prefix)
    assert own.create_tables({}) == []
    yield own
    own.close()
    own.drop_tables()


def test_written_twice_is_written_once_and_later_values_count(store):
    for _ in range(2):
        assert store.write(RECORDS) == 11
    store.write([batch(trade(1, "2.5"))])
    assert {name: count for name in TABLES if (count := store.count(name))} == {
        "trades": 4, "bars_1s": 2, "bars_1m": 1, "tickers": 2, "gaps": 2,
    }  # fmt: skip
    found = store.query(f"SELECT price FROM {store.table('trades')} WHERE trade_id = '1'")
    assert found == [(Decimal("2.5"),)]


def test_a_lower_revision_never_replaces_a_higher_one(store):
    for revision in (1, 3, 2, 0):
        store.write([bar(revision, str(revision))])
    store.write([bar(4, "4"), bar(5, "5"), bar(3, "3")])
    assert store.query(f"SELECT revision, close FROM {store.table('bars_1s')}") == [(5, Decimal(5))]


def test_records_come_back_as_they_were_written(store):
    store.write(RECORDS)
    found = [one for name in TABLES for one in store.stored_between(name, 0, time.time_ns())]
    assert flat(found) == flat([unordered(record) for record in RECORDS])
    assert not list(store.stored_between("trades", 0, BEGAN_NS))


def unordered(record: Any) -> Any:
    if not isinstance(record, TradeBatch):
        return record
    return msgspec.structs.replace(record, trades=[msgspec.structs.replace(one, order=0) for one in record.trades])


def flat(records: list[Any]) -> set[str]:
    """Each trade alone, so that batches may be cut anywhere."""
    found = set()
    for record in records:
        for one in record.trades if isinstance(record, TradeBatch) else [None]:
            found.add(repr(record if one is None else msgspec.structs.replace(record, trades=[one])))
    return found


def test_every_number_is_the_same_in_questdb_and_here(store, questdb):
    for one in (store, questdb):
        assert one.write(RECORDS) == 11
    for name, table in TABLES.items():
        eventually(lambda name=name: questdb.count(name) == store.count(name))
        assert in_questdb(questdb, name) == {
            tuple(row) for row in store.query(f"SELECT {', '.join(table.columns)} FROM {store.table(name)}")
        }


def in_questdb(questdb: QuestDb, name: str) -> set[tuple[Any, ...]]:
    columns = TABLES[name].columns
    cast = {"value": "varchar", "sum": "varchar", "time": "long"}
    chosen = ", ".join(f"{c}::{cast[kind]}" if kind in cast else c for c, kind in columns.items())
    rows = questdb.query(f"SELECT {chosen} FROM '{questdb.table(name)}'")
    return {
        tuple(
            Decimal(value) if kind in ("value", "sum") and value is not None else value
            for kind, value in zip(columns.values(), row, strict=True)
        )
        for row in rows
    }


def test_tables_of_an_older_version_get_the_missing_columns(store, questdb):
    for one in (store, questdb):
        for column in ("id_count", "backfilled"):
            one.query(f"ALTER TABLE {one.table('trades')} DROP COLUMN {column}")
        assert one.create_tables({}) == []
        one.write(RECORDS)
    eventually(lambda: questdb.count("trades") == 4)
    assert in_questdb(questdb, "trades") == {
        tuple(row) for row in store.query(f"SELECT {', '.join(TABLES['trades'].columns)} FROM {store.table('trades')}")
    }


def test_a_column_of_another_type_is_named_with_its_cure_and_the_other_tables_go_on(store, questdb):
    store.query(f"ALTER TABLE {store.table('trades')} ALTER COLUMN price TYPE boolean USING true")
    questdb.query(f"ALTER TABLE {questdb.table('trades')} DROP COLUMN price")
    questdb.query(f"ALTER TABLE {questdb.table('trades')} ADD COLUMN price BOOLEAN")
    columns = f"SHOW COLUMNS FROM '{questdb.table('trades')}'"
    eventually(lambda: ["price", "BOOLEAN"] in [row[:2] for row in questdb.query(columns)])
    for one in (store, questdb):
        (wrong,) = one.create_tables({})
        assert f"column price of {one.table('trades')}" in wrong.text and "ename the table" in wrong.text
        with pytest.raises(BadRecord):
            one.write(RECORDS[:1])
        assert one.write(RECORDS[2:]) == 7


def test_a_row_the_server_refuses_is_a_bad_record_and_the_connection_lives(store):
    with pytest.raises(BadRecord, match="postgres refused a row"):
        store.write([msgspec.structs.replace(bar(0, "1"), first_trade_id="nul \x00")])
    assert store.write(RECORDS) == 11


def test_old_rows_are_deleted_by_their_retention(store):
    store.write(RECORDS)
    store.create_tables({"trades": 1})
    assert (store.count("trades"), store.count("bars_1s")) == (0, 2)


def test_live_tables_are_never_dropped(stack):
    with pytest.raises(ValueError, match="never dropped"):
        Postgres(stack.addresses.postgres_url).drop_tables()


# == battery row 49: the connection ends after COMMIT was sent


class CuttingProxy:
    """Passes everything on; once, when told to, a COMMIT whose answer the client does not hear any more."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.cut_next_commit = False
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=(source, sink, source is client), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, from_client: bool) -> None:
        try:
            while data := source.recv(65_536):
                if from_client and self.cut_next_commit and b"COMMIT" in data:
                    self.cut_next_commit = False
                    self.cuts += 1
                    source.shutdown(socket.SHUT_RDWR)  # the client hears nothing more
                    sink.sendall(data)
                    sink.recv(65_536)  # the server has answered: it is committed
                    return
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for sock in (source, sink):
                sock.close()


def test_a_write_whose_commit_was_cut_is_written_again_and_there_once(stack, prefix):
    url = stack.addresses.postgres_url
    port = int(url.rsplit(":", 1)[1].partition("/")[0])
    direct = Postgres(url, prefix)
    direct.create_tables({})
    proxy = CuttingProxy(port)
    store = Postgres(url.replace(f":{port}/", f":{proxy.port}/"), prefix)
    try:
        store.write(RECORDS[:1])
        proxy.cut_next_commit = True
        with pytest.raises(DependencyDown):
            store.write([batch(trade(7), trade(8))])
        assert proxy.cuts == 1
        eventually(lambda: direct.count("trades") == 5)
        assert store.write([batch(trade(7), trade(8))]) == 2
        assert direct.count("trades") == 5
    finally:
        proxy.close()
        store.close()
        direct.drop_tables()
        direct.close()
