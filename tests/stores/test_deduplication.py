"""A table of QuestDB that has no DEDUP, or other keys, gets it at the writer's start, and that is said."""

from typing import Any

import pytest

from sofia_streams.errors import QueryRefused
from sofia_streams.ops.look import doctor
from sofia_streams.settings import load_settings
from sofia_streams.stores.base import TABLES
from sofia_streams.stores.questdb import QuestDb

KEYS = "exchange_ns, venue, market, symbol, id_kind, trade_id"


class Server(QuestDb):
    """Tables with what DEDUP has as keys (none: off); others' tables are as they like."""

    def __init__(self, keys: dict[str, tuple[str, ...]], *, refuses: bool = False) -> None:
        super().__init__("127.0.0.1:1", "demo_")
        self.keys, self.asked, self._refuses = keys, [], refuses

    def query(self, sql: str) -> list[list[Any]]:
        self.asked.append(sql)
        if "FROM tables()" in sql:
            return [["trades", False], *([name, bool(keys)] for name, keys in self.keys.items())]
        if "table_columns" in sql:
            return [[column] for name, keys in self.keys.items() if f"'{name}'" in sql for column in keys]
        if "DEDUP ENABLE" in sql and self._refuses:
            raise QueryRefused("questdb", "127.0.0.1:1", sql, "only supported on WAL tables", is_missing=False)
        return []

    def switched_on(self) -> list[str]:
        return [sql for sql in self.asked if "DEDUP ENABLE" in sql]


def whole() -> dict[str, tuple[str, ...]]:
    return {f"demo_{name}": table.key[::-1] for name, table in TABLES.items()}


@pytest.mark.parametrize("keys", [(), ("exchange_ns",), (*TABLES["trades"].key, "price")])
def test_a_table_that_doubles_rows_is_mended_and_named(keys):
    server = Server(whole() | {"demo_trades": keys})
    assert server.doubling() == ["demo_trades"]
    (said,) = server.create_tables({})
    assert "found DEDUP off or with other keys; it is switched on" in said.text
    assert said.is_mended
    assert server.switched_on() == [f"ALTER TABLE 'demo_trades' DEDUP ENABLE UPSERT KEYS({KEYS})"]


def test_tables_that_are_right_or_new_are_left_alone():
    for there in (whole(), {}):
        server = Server(there)
        assert server.create_tables({}) == []
        assert server.switched_on() == []


def test_where_it_cannot_be_switched_on_the_cure_is_named_and_the_writer_goes_on():
    server = Server(whole() | {"demo_bars_1m": ()}, refuses=True)
    (said,) = server.create_tables({})
    assert "demo_bars_1m" in said.text
    assert "only supported on WAL tables" in said.text
    assert "Rename the table" in said.text
    assert not said.is_mended


@pytest.mark.parametrize(("keys", "state"), [({}, "ok"), ({"demo_trades": ()}, "failed")])
async def test_the_doctor_says_it(keys, state, monkeypatch):
    def store(address: str, prefix: str) -> QuestDb:
        assert (address, prefix) == ("db:9000", "demo_")
        return Server(whole() | keys)

    monkeypatch.setattr(doctor, "QuestDb", store)
    found = await doctor._questdb(load_settings(None, {"QUESTDB_HOST": "db", "NAMESPACE": "demo"}))
    assert found.state == state
    assert ("demo_trades" in found.found) == (state == "failed")
