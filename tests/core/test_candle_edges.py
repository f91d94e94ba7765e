"""What bars are worth where a feed begins, and consolidated ones while a venue is away."""

import msgspec
import pytest
from candle_tables import KEEP_ALL, RebuildingTable, S, Table, batch, punctuation, trade

from sofia_streams import codec
from sofia_streams.core.bars.candles import apply
from sofia_streams.core.bars.quality import AWAY_NS_MAX
from sofia_streams.core.bars.rebuild import Marks, Place, place_of
from sofia_streams.core.bars.windows import Feed, Heard, Hole, Rules, Stretch
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, Gap

KEEP_NOTHING = Rules(kept_ns=0)
TABLES = pytest.mark.parametrize("table", [lambda: Table(KEEP_ALL), lambda: RebuildingTable(KEEP_NOTHING)])


def qualities(table: Table, venue: str = "binance", size_ns: int = S) -> dict[int, str]:
    """By second of their start: what the last revision of each bar is worth; a revision of a whole one is whole."""
    last = {place_of(bar): bar for bar in table.published}
    mine = {place.start_ns // S: bar for place, bar in last.items() if (place.venue, place.size_ns) == (venue, size_ns)}
    return {at: "complete" if bar.quality == "revised" else bar.quality for at, bar in sorted(mine.items())}


def seconds(first: int, last: int, venue: str = "binance") -> list:
    """A trade in the middle of each second."""
    return [batch(trade(at, at * S + S // 2), venue=venue) for at in range(first, last + 1)]


def test_the_second_and_the_minute_in_which_a_feed_begins_are_a_gap_and_the_next_ones_complete():
    table = Table().feed(*seconds(90, 190))
    for venue in ("binance", CONSOLIDATED):
        assert qualities(table, venue) == {90: "gap"} | dict.fromkeys(range(91, 189), "complete")
        assert qualities(table, venue, NS_PER_MINUTE) == {60: "gap", 120: "complete"}


def test_a_feed_that_was_heard_before_a_minute_without_a_trade_makes_it_complete():
    table = Table().feed(punctuation(119 * S - 1), *seconds(120, 190))
    assert set(qualities(table).values()) == {"complete"}
    assert qualities(table, size_ns=NS_PER_MINUTE) == {120: "complete"}


def test_punctuation_speaks_of_a_moment_before_the_first_that_was_read():
    spoken = msgspec.structs.replace(punctuation(119 * S - 1), received_ns=121 * S)
    table = Table().feed(spoken, *seconds(122, 190))
    assert qualities(table, size_ns=NS_PER_MINUTE) == {120: "gap"}
    assert qualities(table)[122] == "complete"


def test_history_fetched_or_replayed_does_not_make_the_first_second_whole():
    fetched = msgspec.structs.replace(trade(1, 60 * S), backfilled=True)
    old = msgspec.structs.replace(trade(3, 75 * S), stale=True)
    table = Table().feed(batch(fetched), batch(trade(2, 61 * S, snapshot=True)), batch(old), *seconds(90, 92))
    assert qualities(table) == {60: "backfilled", 75: "gap", 90: "gap"}


@TABLES
def test_a_late_trade_revises_the_first_second_and_it_stays_a_gap(table):
    made = table().feed(*seconds(90, 400), batch(trade(9, 90 * S + S - 1)))
    for venue in ("binance", CONSOLIDATED):
        assert [at for at, quality in qualities(made, venue).items() if quality == "gap"] == [90]
        assert qualities(made, venue, NS_PER_MINUTE)[60] == "gap"
    assert next(bar for bar in reversed(made.published) if bar.start_ns == 90 * S).revision == 1


def test_a_worker_that_starts_again_and_a_row_of_an_older_version_know_since_when_a_feed_is_read():
    table = Table().feed(*seconds(90, 92))
    (row,) = [row for row in table.rows.values() if isinstance(row, Feed)]
    assert codec.decode_row(codec.encode(row)) == row
    assert row.since_ns == 90 * S + S // 2
    older = Table()
    older.rows["binance|spot|BTC/USDT"] = Feed(newest_ns=59 * S, closed_ns=58 * S, reached_ns=59 * S)
    assert set(qualities(older.feed(*seconds(60, 125))).values()) == {"complete"}


@TABLES
def test_consolidated_bars_are_stale_from_the_end_of_a_venue_until_it_is_back(table):
    both = [one for at in range(59, 100) for venue in ("okx", "binance") for one in seconds(at, at, venue)]
    made = table().feed(
        punctuation(58 * S - 1), punctuation(58 * S - 1, "okx"), *both, punctuation(0, "okx", alive=False)
    )
    made.feed(*seconds(100, 130))
    assert qualities(made, CONSOLIDATED) == dict.fromkeys(range(58, 99), "complete") | dict.fromkeys(
        range(99, 129), "stale"
    )
    assert qualities(made, CONSOLIDATED, NS_PER_MINUTE)[60] == "stale"
    made.feed(*seconds(131, 131, "okx"), *seconds(131, 160), *seconds(132, 160, "okx"))
    lacking = {at: quality for at, quality in qualities(made, CONSOLIDATED).items() if quality != "complete"}
    assert lacking == dict.fromkeys(range(99, 132), "stale"), "also where it closed when the venue was back"
    assert set(qualities(made).values()) == {"complete"}, "binance was there all along"


@TABLES
def test_what_a_venue_missed_is_filled_and_the_consolidated_bars_are_whole(table):
    both = [one for at in range(59, 100) for venue in ("okx", "binance") for one in seconds(at, at, venue)]
    made = table().feed(
        punctuation(58 * S - 1), punctuation(58 * S - 1, "okx"), *both, punctuation(0, "okx", alive=False)
    )
    hole = Gap("okx", "spot", "BTC/USDT", 0, "1", "o", "outage", "open", 99 * S)
    made.feed(hole, *seconds(100, 130), msgspec.structs.replace(hole, until_ns=131 * S))
    made.feed(*seconds(131, 150, "okx"), *seconds(131, 150))
    assert qualities(made, CONSOLIDATED)[110] == "gap"
    made.feed(msgspec.structs.replace(hole, until_ns=131 * S, state="closed"))
    assert set(qualities(made, CONSOLIDATED).values()) == {"complete"}


AWAY_S = pytest.mark.parametrize("away_s", [50, 3000, 7200])
"""Kept rows reach over the first; a step walks each second of the second, and those with rows of the third."""


def filled_outage(away_s: int) -> tuple[list, Gap]:
    """Bybit is away from second 120 on; one trade of it is fetched before it is heard again. And the closing record."""
    both = [one for at in range(60, 120) for venue in ("bybit", "binance") for one in seconds(at, at, venue)]
    hole = Gap("bybit", "spot", "BTC/USDT", 0, "1", "o", "outage", "open", 119 * S)
    ended = msgspec.structs.replace(hole, until_ns=(121 + away_s) * S)
    alone = [one for at in range(120, 120 + away_s, 10) for one in seconds(at, at)]
    fetched = msgspec.structs.replace(trade(9999, (120 + away_s // 2) * S), backfilled=True)
    begin = [punctuation(59 * S - 1), punctuation(59 * S - 1, "bybit")]
    records = [*begin, *both, hole, punctuation(0, "bybit", alive=False), *alone, ended, batch(fetched, venue="bybit")]
    return records, msgspec.structs.replace(ended, state="closed")


@AWAY_S
def test_a_gap_closed_before_its_venue_is_heard_again_leaves_no_consolidated_bar_a_gap_or_stale(away_s):
    records, closed = filled_outage(away_s)
    made = RebuildingTable().feed(*records)
    last_s, middle_s = 120 + away_s, 120 + away_s // 2
    assert {quality for at, quality in qualities(made, CONSOLIDATED).items() if 120 < at < last_s} == {"gap"}
    made.feed(closed)
    for at in range(last_s, last_s + 200):
        made.feed(*seconds(at, at), *seconds(at, at, "bybit"))
    assert set(qualities(made, CONSOLIDATED, NS_PER_MINUTE).values()) == {"complete", "backfilled"}
    marks = qualities(made, CONSOLIDATED)
    assert {at: quality for at, quality in marks.items() if quality != "complete"} == {middle_s: "backfilled"}
    inside = [at for at in qualities(made, "bybit") if 120 < at < last_s]
    assert inside == [middle_s], "a dead feed has no bars of its own making"


def test_a_venue_is_away_again_behind_what_its_closed_gap_explains():
    records, closed = filled_outage(50)
    made = RebuildingTable().feed(*records, closed, *seconds(170, 400))
    marks = qualities(made, CONSOLIDATED)
    explained = {at: quality for at, quality in marks.items() if 120 < at < 171}
    assert explained == dict.fromkeys(range(130, 171, 10), "complete")
    assert {quality for at, quality in marks.items() if at <= 120} == {"complete"}
    assert {quality for at, quality in marks.items() if at > 171} == {"stale"}


def test_consolidated_bars_do_not_hide_that_a_venue_is_too_slow_and_are_whole_once_it_has_caught_up():
    both = [one for at in range(59, 70) for venue in ("okx", "binance") for one in seconds(at, at, venue)]
    made = Table(KEEP_ALL).feed(punctuation(58 * S - 1), punctuation(58 * S - 1, "okx"), *both, *seconds(70, 150))
    assert {at for at, quality in qualities(made, CONSOLIDATED).items() if quality == "stale"} == set(range(68, 89))
    made.feed(*seconds(70, 150, "okx"))
    assert set(qualities(made, CONSOLIDATED).values()) == {"complete"}


def test_a_consolidated_minute_that_closes_without_a_second_of_its_own_knows_its_gaps():
    both = [batch(trade(at, at * S), venue=venue) for at in (65, 70) for venue in ("binance", "okx")]
    made = Table().feed(punctuation(59 * S), punctuation(59 * S, "okx"), *both)
    made.feed(Gap("binance", "spot", "BTC/USDT", 0, "1", "o", "outage", "open", 72 * S, 100 * S))
    made.feed(*(batch(trade(at, at * S), venue="okx") for at in (150, 181)))
    assert qualities(made, CONSOLIDATED, NS_PER_MINUTE) == {60: "gap"}


def test_a_venue_that_never_comes_back_is_missed_for_a_day():
    end_ns = 100 * S + AWAY_NS_MAX
    made = Table().feed(*seconds(60, 99, "okx"), *seconds(60, 100), punctuation(0, "okx", alive=False))
    last = end_ns // S
    made.feed(*seconds(last - 5, last + 5))
    found = qualities(made, CONSOLIDATED)
    assert (found[last - 2], found[last + 2]) == ("stale", "complete")


def test_a_venue_of_which_only_history_is_known_is_not_missed():
    fetched = msgspec.structs.replace(trade(1, 60 * S), backfilled=True)
    made = Table().feed(batch(fetched, venue="okx"), punctuation(59 * S - 1), *seconds(61, 90))
    found = qualities(made, CONSOLIDATED)
    assert set(range(62, 89)) <= set(found) and set(found.values()) <= {"complete", "backfilled"}


def test_a_gap_of_any_length_is_carried_into_every_bar_in_it_and_is_one_stretch_of_work():
    hours = [at for hour in range(100) for at in range(3600 * hour + 7200, 3600 * hour + 7203)]
    made = RebuildingTable().feed(punctuation(7200 * S - 1), batch(trade(1, 7200 * S)))
    made.feed(*(one for at in hours for one in seconds(at, at, "okx")), *seconds(hours[-1] + 1, hours[-1] + 9))
    whole = qualities(made, CONSOLIDATED)
    hole = Gap("binance", "spot", "BTC/USDT", 0, "1", "o", "ids", "open", 7200 * S, (hours[-1] + 1) * S)
    step = apply(made.rows, hole, offset=made.offset + 1, rules=made.rules)
    assert step.remark == Stretch(
        *("binance", "spot", "BTC/USDT", 7200 * S),
        made.rows["binance|spot|BTC/USDT"].kept_from_ns,
        made.rows["all|spot|BTC/USDT"].kept_from_ns,
    )
    assert not step.rebuild
    made.feed(hole)
    inside = [at for at in whole if at <= hours[-1]]
    assert len(inside) > 290 and {qualities(made, CONSOLIDATED)[at] for at in inside} == {"gap"}
    assert qualities(made)[7200] == "gap"
    assert (
        made.rows["binance|spot|BTC/USDT|gaps"].open
        and apply(made.rows, hole, offset=10**6, rules=made.rules).remark is None
    )
    made.feed(msgspec.structs.replace(hole, state="closed"))
    assert qualities(made)[7200] == "complete"
    after = qualities(made, CONSOLIDATED)
    assert {at for at in inside if after[at] == "gap"} <= {at for at in inside if whole[at] == "gap"}


def test_what_was_open_when_a_stretch_was_named_counts_though_its_record_was_not_read():
    name = ("binance", "spot", "BTC/USDT")
    marks = Marks({name: Heard(0, 900 * S, {"old": Hole(10 * S, None)})})
    assert marks.of(Place(*name, S, 300 * S)) == "gap"
    marks.add(Gap(*name, 0, "1", "old", "outage", "closed", 10 * S, 200 * S))
    assert marks.of(Place(*name, S, 300 * S)) == "complete"
