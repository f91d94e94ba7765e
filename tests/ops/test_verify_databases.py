"""`sofia verify`'s questions to QuestDB: rows without an instrument, and hours at the end of what int64 ns hold."""

import re
from typing import Any

import pytest

from sofia_streams.model import NS_PER_HOUR
from sofia_streams.ops.verify.databases import QuestDbSide
from sofia_streams.ops.verify.ledger import compare
from sofia_streams.ops.verify.log import Span
from sofia_streams.ops.verify.report import Report, checked, differences
from sofia_streams.ops.verify.rows import Bucket, Item

HOUR_NS = 500_000 * NS_PER_HOUR
LAST_HOUR_NS = (2**63 - 1) // NS_PER_HOUR * NS_PER_HOUR


class Store:
    """Answers as QuestDB does to what a comparison asks: `hours` are rows of counts of trades. Keeps the questions."""

    def __init__(self, *hours: list[Any]) -> None:
        self.asked: list[str] = []
        self._hours = hours
        self.write = self.close = None

    def table(self, name: str) -> str:
        return name

    def query(self, sql: str) -> list[list[Any]]:
        self.asked.append(sql)
        if "FROM tables()" in sql:
            return [["trades"]]
        return list(map(list, self._hours)) if "timestamp_floor" in sql else []


def side(store: Store) -> QuestDbSide:
    return QuestDbSide(store, {})  # type: ignore[arg-type]


def test_rows_without_a_symbol_are_an_instrument_that_can_be_put_in_order_and_asked_for():
    rows = (["okx", "spot", "BTC/USDT", HOUR_NS, 5], ["okx", "spot", None, HOUR_NS, 2], ["okx", "spot", "", HOUR_NS, 1])
    store = Store(*rows)
    found = side(store).hours(Span())
    nameless = Bucket("trades", "okx", "spot", "", HOUR_NS)
    assert sorted(found) == [nameless, nameless._replace(symbol="BTC/USDT")]
    assert found[nameless] == 3
    assert list(side(store).items(nameless, 3)) == []
    assert "AND (symbol = '' OR symbol IS NULL)" in store.asked[-1]
    assert "venue = 'okx' AND" in store.asked[-1]


def test_a_row_without_a_symbol_is_named_as_surplus():
    bucket, row = Bucket("trades", "okx", "spot", "", HOUR_NS), Item("trade 7 1", HOUR_NS, "7", "")
    report = Report()
    report.add(checked("questdb", bucket, {}, compare({}, [row])))
    (line,) = differences(report.said()["hours"])
    assert (line["instrument"], line["what"], line["rows"], line["first"]) == ("okx|spot|NULL", "surplus", 1, "7")


@pytest.mark.parametrize("until_ns", [2**63 - 1, 2**63, LAST_HOUR_NS + NS_PER_HOUR, 2**70])
def test_no_question_has_a_moment_that_int64_ns_do_not_hold(until_ns: int):
    store = Store()
    side(store).hours(Span(0, until_ns))
    list(side(store).items(Bucket("trades", "okx", "spot", "BTC/USDT", LAST_HOUR_NS), 1))
    moments = re.findall(r"'(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9})Z'", " ".join(store.asked))
    assert len(moments) >= 2
    assert max(moments) <= "2262-04-11T23:47:16.854775807"
