"""A query that a database refuses is an error of ours: what was expected and found, and what to do; no traceback."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg
import pytest

from sofia_streams.cli.__main__ import main
from sofia_streams.errors import QueryRefused
from sofia_streams.stores.postgres import Postgres
from sofia_streams.stores.questdb import QuestDb


@contextmanager
def questdb_that_refuses(found: str) -> Iterator[str]:
    """The address of a server that answers as QuestDB does to what it refuses."""

    class Exec(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(400)
            self.end_headers()
            self.wfile.write(json.dumps({"query": "", "error": found, "position": 0}).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Exec) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("found", "cure"),
    [
        ("table does not exist [table=trades]", "The writer makes the tables: start it"),
        ("Invalid column: id_kind", "database of this version"),
    ],
)
def test_what_questdb_refuses_is_said_with_the_cure(found, cure):
    with questdb_that_refuses(found) as address, pytest.raises(QueryRefused) as caught:
        QuestDb(address).count("trades")
    said = str(caught.value)
    assert said.startswith(f"questdb: expected {address} to run \"SELECT count() FROM 'trades'\", found: {found}. ")
    assert cure in said


def test_export_before_the_table_exists_is_one_line_and_exit_code_1(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with questdb_that_refuses("table does not exist [table=bars_1m]") as address:
        host, _, port = address.partition(":")
        monkeypatch.setenv("QUESTDB_HOST", host)
        monkeypatch.setenv("QUESTDB_HTTP_PORT", port)
        code = main(["export", "bars_1m", "--out", "bars.parquet"])
    said = capsys.readouterr().err
    assert code == 1
    assert said.startswith("sofia: questdb: expected ")
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (psycopg.errors.UndefinedTable('relation "trades" does not exist\nLINE 1: x'), "The writer makes the tables"),
        (psycopg.errors.InsufficientPrivilege("permission denied"), "database of this version"),
    ],
)
def test_what_postgres_refuses_is_said_with_the_cure_and_without_the_password(monkeypatch, error, cure):
    class Refusing:
        closed = False

        def transaction(self):
            raise error

    store = Postgres("postgresql://sofia:hidden@db:5432/sofia")
    monkeypatch.setattr(store, "_connected", Refusing)
    with pytest.raises(QueryRefused, match=cure) as caught:
        store.count("trades")
    assert str(caught.value).startswith("postgres: expected db:5432 to run 'SELECT count(*) FROM \"trades\"', found: ")
    assert "hidden" not in str(caught.value)
