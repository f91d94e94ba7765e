"""The pure part of `sofia verify`: equal sets of rows have one checksum, and what differs is named exactly."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.ops.verify.ledger import Ledger, compare, hash_of, ranges
from sofia_streams.ops.verify.rows import Item

ROWS = st.dictionaries(
    st.integers(0, 400), st.tuples(st.integers(0, 50), st.sampled_from(["1", "1.5", "2"])), min_size=1, max_size=60
).map(lambda found: [Item(f"trade {key} {at}", at, str(key), value) for key, (at, value) in found.items()])


def by_identity(items: list[Item]) -> dict[str, Item]:
    return {item.identity: item for item in items}


def ledger_of(items: list[Item]) -> Ledger:
    ledger = Ledger()
    for item in items:
        ledger.add(item, hash_of(item))
    return ledger


@given(ROWS, st.randoms(use_true_random=False))
def test_the_same_rows_in_any_order_have_one_checksum_and_no_difference(rows: list[Item], draw: random.Random):
    shuffled = draw.sample(rows, len(rows))
    assert ledger_of(rows).said() == ledger_of(shuffled).said()
    found = compare(by_identity(rows), shuffled)
    assert found.is_equal
    assert found.log.said() == found.found.said() == ledger_of(rows).said()
    assert ranges(by_identity(rows), found) == []


@given(ROWS, st.integers(0, 60))
def test_a_ledger_of_parts_is_that_of_the_whole(rows: list[Item], cut: int):
    one, other = ledger_of(rows[:cut]), ledger_of(rows[cut:])
    one.join(other)
    assert one.said() == ledger_of(rows).said()


@given(ROWS, st.data())
def test_every_loss_change_and_surplus_is_named_and_nothing_else(rows: list[Item], data: st.DataObject):
    fates = [data.draw(st.sampled_from(["same", "lost", "changed", "twice"])) for _ in rows]
    strangers = [Item(f"agg {number} 7", 7, f"s{number}", "9") for number in range(data.draw(st.integers(0, 3)))]
    stored = [row._replace(values="7") if fate == "changed" else row
              for row, fate in zip(rows, fates, strict=True) if fate != "lost"]  # fmt: skip
    twice = [row for row, fate in zip(rows, fates, strict=True) if fate == "twice"]
    found = compare(by_identity(rows), [*stored, *twice, *strangers])
    assert {item.identity for item in found.missing} == {
        row.identity for row, fate in zip(rows, fates, strict=True) if fate == "lost"
    }
    assert {wanted.identity for wanted, _ in found.different} == {
        row.identity for row, fate in zip(rows, fates, strict=True) if fate == "changed"
    }
    assert sorted(found.surplus) == sorted([*twice, *strangers])
    assert found.is_equal == (found.log.checksum == found.found.checksum)
    assert found.log.said() == ledger_of(rows).said()
    named = ranges(by_identity(rows), found)
    for kind, expected in (("missing", found.missing), ("surplus", found.surplus), ("different", found.different)):
        assert sum(one.rows for one in named if one.kind == kind) == len(expected)


def test_rows_lost_one_after_another_are_one_range():
    rows = [Item(f"trade {number} 1", 1_000 + number // 2, str(number), "1") for number in range(1, 21)]
    found = compare(by_identity(rows), [row for row in rows if not 8 <= int(row.name) <= 12 and row.name != "15"])
    named = ranges(by_identity(rows), found)
    assert [(one.kind, one.rows, one.first, one.last) for one in named] == [
        ("missing", 5, "8", "12"), ("missing", 1, "15", "15")
    ]  # fmt: skip
    assert named[0].from_ns == 1_004
    assert named[0].until_ns == 1_006


@pytest.mark.parametrize("kind", ["optional", "ignored"])
def test_rows_on_their_way_or_trimmed_are_no_difference(kind: str):
    rows = [Item(f"trade {number} 1", number, str(number), "1") for number in range(5)]
    found = compare(by_identity(rows), rows[2:], **{kind: {rows[0].identity, rows[1].identity}})
    assert found.is_equal
    assert found.log.said() == found.found.said()


def test_a_value_that_is_wrong_is_a_difference_even_where_the_row_is_optional():
    rows = [Item("trade 1 1", 1, "1", "1")]
    found = compare(by_identity(rows), [rows[0]._replace(values="2")], optional={rows[0].identity})
    assert len(found.different) == 1


def test_a_row_from_before_the_log_is_not_judged_but_a_repeated_one_is():
    rows = [Item("trade 1 9", 9, "1", "1")]
    older = Item("trade 0 3", 3, "0", "1")
    assert compare(by_identity(rows), [older, *rows], judges_surplus=lambda item: item.at_ns >= 5).is_equal
    assert compare(by_identity(rows), [*rows, *rows], judges_surplus=lambda item: item.at_ns >= 99).surplus == rows
