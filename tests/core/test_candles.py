"""The candle step over sequences of records: exact, free of order, safe to apply again after a crash anywhere."""

from decimal import Decimal

import msgspec
import pytest
from candle_tables import (
    KEEP_ALL,
    RULES,
    RebuildingTable,
    S,
    Table,
    batch,
    expected,
    punctuation,
    trade,
    values,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_streams.core.bars.candles import apply
from sofia_streams.core.bars.rebuild import place_of
from sofia_streams.core.bars.windows import Feed, Rules
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, NS_PER_SECOND, Punctuation, TradeBatch


@st.composite
def histories(draw: st.DrawFn) -> list[TradeBatch | Punctuation]:
    """Records of three venues over four minutes: late and repeated trades, quiet spells, ends, all of them ended."""
    records: list[TradeBatch | Punctuation] = []
    for _ in range(draw(st.integers(1, 25))):
        venue = draw(st.sampled_from(["binance", "bybit", "okx"]))
        if draw(st.integers(0, 4)) == 0:
            records.append(punctuation(draw(st.integers(0, 240)) * S, venue, alive=draw(st.booleans())))
            continue
        numbers = draw(st.lists(st.integers(0, 40), min_size=1, max_size=4))
        places = [(n, (n * 7919 % 240) * S + n * 1000) for n in numbers]
        found = [trade(n, at_ns, price=str(1 + n % 7), quantity=f"0.{n + 1}") for n, at_ns in places]
        records.append(batch(*found, venue=venue))
    return records + [punctuation(0, venue, alive=False) for venue in ("binance", "bybit", "okx")]


@given(histories())
@settings(deadline=None, max_examples=200)
def test_every_window_equals_the_plain_grouping_of_its_trades(records):
    assert values(Table(KEEP_ALL).feed(*records).last()) == expected(records)


@given(histories(), st.integers(0, 6))
@settings(deadline=None, max_examples=200)
def test_a_crash_between_any_two_rows_changes_no_last_revision(records, rows):
    assert Table(KEEP_ALL).feed(*records, crash_after_rows=rows).last() == Table(KEEP_ALL).feed(*records).last()


@given(histories(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=100)
def test_any_order_of_the_records_gives_the_same_last_revisions(records, random):
    body, ends = records[:-3], records[-3:]
    shuffled = list(body)
    random.shuffle(shuffled)
    assert Table(KEEP_ALL).feed(*shuffled, *ends).last() == Table(KEEP_ALL).feed(*records).last()


@given(histories())
@settings(deadline=None, max_examples=100)
def test_a_step_deletes_only_rows_that_are_there(records):
    Table(Rules(kept_ns=0, lateness_ns=0)).feed(*records)


@given(histories())
@settings(deadline=None, max_examples=200)
def test_trades_later_than_the_kept_rows_reach_their_bars_by_rebuilding(records):
    table = RebuildingTable(Rules(kept_ns=0, lateness_ns=0)).feed(*records)
    assert values(table.last()) == expected(records)
    for place in {place_of(bar) for bar in table.published}:
        revisions = [bar.revision for bar in table.published if place_of(bar) == place]
        assert revisions == list(range(len(revisions)))


def test_a_second_closes_when_a_trade_passes_its_end_and_the_lateness():
    table = Table().feed(batch(trade(1, 100 * S)), batch(trade(2, 102 * S - 1)))
    assert table.published == []
    table.feed(batch(trade(3, 102 * S)))
    assert [(bar.venue, bar.start_ns, bar.trade_count) for bar in table.published] == [
        ("binance", 100 * S, 1),
        ("all", 100 * S, 1),
    ]


def test_punctuation_closes_a_quiet_second():
    table = Table().feed(batch(trade(1, 100 * S)), punctuation(101 * S))
    assert [(bar.venue, bar.start_ns) for bar in table.published] == [("binance", 100 * S), ("all", 100 * S)]


def test_a_late_trade_makes_a_revision_of_its_second_its_minute_and_the_consolidated_ones():
    table = Table().feed(punctuation(59 * S), batch(trade(1, 60 * S)), batch(trade(2, 125 * S)))
    assert {bar.revision for bar in table.published} == {0}
    before = len(table.published)
    table.feed(batch(trade(3, 60 * S, price="11")))
    assert [(bar.venue, bar.size_ns, bar.revision, bar.quality, bar.high) for bar in table.published[before:]] == [
        ("binance", NS_PER_SECOND, 1, "revised", Decimal(11)),
        ("binance", NS_PER_MINUTE, 1, "revised", Decimal(11)),
        ("all", NS_PER_SECOND, 1, "revised", Decimal(11)),
        ("all", NS_PER_MINUTE, 1, "revised", Decimal(11)),
    ]


def test_a_repeated_trade_and_a_repeated_record_change_nothing():
    table = Table().feed(batch(trade(1, 60 * S)), batch(trade(1, 60 * S)), batch(trade(2, 125 * S), trade(1, 60 * S)))
    assert {(bar.trade_count, bar.revision) for bar in table.published} == {(1, 0)}
    again = apply(table.rows, batch(trade(9, 126 * S)), offset=table.offset, rules=RULES)
    assert again == ([], {}, 0, 0, frozenset(), {}, None, None)


def test_a_consolidated_bar_waits_for_the_slower_venue_but_not_for_an_ended_one():
    table = Table().feed(batch(trade(1, 100 * S), venue="okx"), batch(trade(1, 100 * S)), batch(trade(2, 110 * S)))
    assert {bar.venue for bar in table.published} == {"binance"}
    table.feed(punctuation(0, "okx", alive=False))
    joint = [bar for bar in table.published if bar.venue == CONSOLIDATED]
    assert [(bar.start_ns, bar.trade_count) for bar in joint] == [(100 * S, 2)]


def test_a_consolidated_bar_stops_waiting_for_a_venue_too_far_behind():
    table = Table().feed(batch(trade(1, 100 * S), venue="okx"), batch(trade(1, 100 * S)), batch(trade(2, 161 * S)))
    assert {bar.venue for bar in table.published} == {"binance"}
    table.feed(batch(trade(3, 162 * S)))
    assert (CONSOLIDATED, NS_PER_SECOND, 100 * S) in table.last()


def test_history_is_left_out():
    table = Table().feed(batch(trade(1, 100 * S, snapshot=True)), punctuation(0, alive=False))
    assert table.published == []


def without_offsets(table):
    return {
        key: msgspec.structs.replace(row, offset=0) if isinstance(row, Feed) else row for key, row in table.rows.items()
    }


def test_a_feed_that_is_dead_or_silent_and_said_so_each_second_changes_nothing_and_costs_no_state():
    """Ingest repeats its last punctuation, so that the end of the log names the newest id."""
    dead = Table().feed(batch(trade(1, 100 * S)), batch(trade(1, 100 * S), venue="okx"), punctuation(0, alive=False))
    silent = Table().feed(batch(trade(1, 100 * S)), batch(trade(1, 100 * S), venue="okx"), punctuation(110 * S))
    for table, said in ((dead, punctuation(100 * S, alive=False)), (silent, punctuation(110 * S))):
        rows, bars = without_offsets(table), len(table.published)
        table.feed(*[said] * 50)
        assert (without_offsets(table), len(table.published)) == (rows, bars)
    assert dead.feed(batch(trade(2, 200 * S), venue="okx")).published[-1].venue == "all"  # nobody waits for it


@pytest.mark.parametrize("minutes", [10, 60 * 24 * 365])
def test_rows_stay_few_however_long_a_feed_runs_or_sleeps(minutes):
    table = Table()
    for second in range(0, 600, 1):
        table.feed(batch(trade(second, second * S)))
    table.feed(batch(trade(1000, minutes * NS_PER_MINUTE + 600 * S)), punctuation(0, alive=False))
    assert len(table.rows) <= 2 * (180 + 3) + 2
