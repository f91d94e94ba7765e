"""The embedded PostgreSQL and its tables: started, killed, written twice, cut off after COMMIT; exact as QuestDB."""

import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import psutil
import psycopg
import pytest

from sofia_streams.embedded.stack import Ports, Stack
from sofia_streams.errors import BadRecord, ConfigError, DependencyDown
from sofia_streams.model import NS_PER_SECOND, Bar, Gap, Ticker, Trade, TradeBatch
from sofia_streams.stores.base import TABLES
from sofia_streams.stores.postgres import Postgres
from sofia_streams.stores.questdb import QuestDb

pytestmark = pytest.mark.broker
ROOT = Path(__file__).resolve().parents[2]
ANY_PORTS = Ports(0, 0, 0, 0, 0)
BEGAN_NS = 1_754_000_000_000_000_001
PARENT = """
import sys
from pathlib import Path
from sofia_streams.embedded.stack import Ports, Stack
only = dict(kafka=False, questdb=False, redis=False, postgres=True)
stack = Stack(Path(sys.argv[1]), **only, preferred_ports=Ports(0, 0, 0, 0, 0))
stack.start()
print(*stack.pids.values(), flush=True)
sys.stdin.read()
"""


def only_postgres(data_dir: Path) -> Stack:
    return Stack(data_dir, kafka=False, questdb=False, redis=False, postgres=True, preferred_ports=ANY_PORTS)


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


def trade(number: int, price: str = "1.50", **more: Any) -> Trade:
    return Trade(str(number), Decimal(price), Decimal("0.00000001"), "buy", BEGAN_NS + number, number, **more)


def batch(*trades: Trade) -> TradeBatch:
    return TradeBatch("binance", "spot", "BTC/USDT", BEGAN_NS, "a", list(trades))


def bar(revision: int, close: str | None) -> Bar:
    price = None if close is None else Decimal(close)
    total = Decimal("0.12345678901234567890123456789")
    return Bar("binance", "spot", "BTC/USDT", NS_PER_SECOND, BEGAN_NS, price, price, price, price, Decimal("3"), total,
               Decimal("1.1"), 7, price, "1", "7", revision, "revised" if revision else "complete")  # fmt: skip


RECORDS = [
    batch(trade(1), trade(2, "99999999999999999999.99999999999999999999"), trade(3, count=4, backfilled=True)),
    batch(trade(4, "0.00000000000000000001", id_kind="agg", snapshot=True, stale=True)),
    bar(2, "12345678901234567890.12345678901234567890"),
    msgspec.structs.replace(bar(0, None), symbol="ETH/USDT"),
    msgspec.structs.replace(bar(1, "1"), size_ns=60 * NS_PER_SECOND),
    Ticker("okx", "spot", "BTC/USDT", BEGAN_NS, BEGAN_NS - 5, Decimal("1.1"), quote_volume_24h=Decimal("1e-20")),
    Ticker("okx", "spot", "ETH/USDT", BEGAN_NS),
    Gap("okx", "spot", "BTC/USDT", BEGAN_NS + 9, "a", "5-8", "ids", "open", BEGAN_NS, BEGAN_NS + 4, "trade", "5", "8",
        4, opened_ns=BEGAN_NS + 8, missing_volume=Decimal("2.5")),
    Gap("okx", "spot", "BTC/USDT", BEGAN_NS + 9, "a", "o-1", "outage", "open", BEGAN_NS),
]  # fmt: skip


# == the server


def test_it_is_on_loopback_with_a_secret_password_and_folders_for_their_owner(stack):
    process = psutil.Process(stack.pids["postgres"])
    listening = {c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}
    folder = stack._data_dir / "postgres"
    assert stat.S_IMODE((folder / "password").stat().st_mode) == 0o600
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "data")} == {0o700}
    url = stack.addresses.postgres_url
    password = (folder / "password").read_text()
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(url.replace(password, "guess"))
    assert password not in " ".join(process.cmdline())


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says which rights a process has")
def test_it_runs_without_any_right_of_root(stack):
    status = Path(f"/proc/{stack.pids['postgres']}/status").read_text()
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff"))
    assert int(effective, 16) == 0


def test_it_stops_at_once_though_a_client_stays_and_has_its_rows_again(tmp_path):
    stack = only_postgres(tmp_path / "data")
    first = Postgres(stack.start().postgres_url)
    first.create_tables({})
    first.write(RECORDS)
    began_s = time.monotonic()
    stack.stop()
    assert time.monotonic() - began_s < 7, "it waited for its client"
    with pytest.raises(DependencyDown, match="Is it up"):
        first.write(RECORDS)
    with only_postgres(tmp_path / "data") as again:
        assert Postgres(again.addresses.postgres_url).count("trades") == 4


def test_kill_9_of_the_parent_ends_it_and_the_next_start_works(tmp_path):
    data_dir = tmp_path / "data"
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(data_dir)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        server = psutil.Process(int(parent.stdout.readline()))
        family = [server, *server.children()]
        parent.kill()
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []
    pid_file = data_dir / "postgres/data/postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getppid()), *lines[1:]]))  # the number went to another program
    with only_postgres(data_dir) as again:
        assert Postgres(again.addresses.postgres_url).query("SELECT 1") == [(1,)]


def test_data_of_a_version_that_is_not_here_is_left_alone(tmp_path):
    folder = tmp_path / "data/postgres/data"
    folder.mkdir(parents=True)
    (folder / "PG_VERSION").write_text("9\n")
    with pytest.raises(ConfigError, match="PostgreSQL 9, which made the data folder"):
        only_postgres(tmp_path / "data").start()
    assert (folder / "PG_VERSION").read_text() == "9\n"


# == the tables


def test_written_twice_is_written_once_and_later_values_count(store):
    for _ in range(2):
        assert store.write(RECORDS) == 11
    store.write([batch(trade(1, "2.5"))])
    assert {name: store.count(name) for name in TABLES} == {
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


def eventually(holds: Callable[[], bool], within_s: float = 60.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come to hold in time"
        time.sleep(0.05)


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
        assert f"column price of {one.table('trades')}" in wrong and "ename the table" in wrong
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
