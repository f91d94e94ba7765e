"""What `sofia verify` finds of bars that say more than the log, and of seconds without trades; and nothing false."""

from collections.abc import Sequence

import msgspec
import pytest
from candle_tables import RULES, RebuildingTable, S, Table, batch, punctuation, trade
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_streams.core.bars.ohlcv import bar_of
from sofia_streams.core.bars.rebuild import place_of
from sofia_streams.core.bars.windows import Rules
from sofia_streams.model import NS_PER_HOUR, Bar, Gap, Quality
from sofia_streams.ops.verify.candles import HourOfBars, Judged
from sofia_streams.ops.verify.ledger import Comparison
from sofia_streams.ops.verify.logged import logged_rows
from sofia_streams.ops.verify.rows import Bucket, fields_that_differ
from sofia_streams.ops.verify.worth import ALIVE, DEAD, UNKNOWN, Worth

VENUES = ("binance", "bybit")
HOUR = Bucket("bars_1s", "bybit", "spot", "BTC/USDT", 0)


def judged(worth: Worth, *, begin_ns: int = 0, saw_all: bool = True) -> Judged:
    hours = {venue: HOUR._replace(venue=venue) for venue in worth.venues("spot", "BTC/USDT")}
    return Judged(
        begin_ns,
        frozenset(),
        lambda bucket: worth.closing.closed_ns("|".join(bucket[1:4]), saw_all=saw_all),
        worth_ns=begin_ns,
        seconds={hour: worth.seconds(hour) for hour in hours.values()},
        holes={venue: worth.holes(hour) for venue, hour in hours.items()},
        has_all_quiet=saw_all,
    )


def compared(log: Sequence[object], bars: Sequence[Bar], judged: Judged) -> dict[Bucket, Comparison]:
    hour, rows = HourOfBars(), {}
    for offset, record in enumerate([*log, *bars]):
        for bucket, _, row in logged_rows(record, offset):
            rows.setdefault(bucket, []).append(row)
    for bucket, found in sorted(rows.items()):
        if bucket.table == "trades":
            hour.add_trades(bucket, found)
        elif bucket.table != "gaps":
            hour.add_bars(bucket, found)
    return {bucket: result for bucket, (_, result) in hour.compare(judged).items()}


def kinds(log: Sequence[object], bars: Sequence[Bar], worth: Worth) -> list[tuple[str, str, int, int, int]]:
    found = compared(log, bars, judged(worth))
    return [
        (bucket.table, bucket.venue, len(one.missing), len(one.surplus), len(one.different))
        for bucket, one in found.items()
        if not one.is_equal
    ]


def gap(venue: str, number: int, from_ns: int, until_ns: int | None, *, state: str = "open", cause: str = "ids") -> Gap:
    return Gap(venue, "spot", "BTC/USDT", 0, "1", f"g{number}", cause, state, from_ns, until_ns)  # type: ignore[arg-type]


@st.composite
def a_log(draw: st.DrawFn) -> list[object]:
    """A market of some minutes: trades and punctuation close together or far apart, gaps, ends, late and old trades."""
    log: list[object] = []
    now_ns, known = 0, {}
    for number in range(1, draw(st.integers(6, 61))):
        venue, kind = draw(st.sampled_from(VENUES)), draw(st.integers(0, 19))
        now_ns += draw(st.sampled_from([S // 10, S, S, S, 2 * S, 4 * S, 9 * S, 61 * S]))
        if kind < 6:
            log.append(batch(trade(number, now_ns, snapshot=kind == 0), venue=venue))
        elif kind < 12:
            log += [punctuation(now_ns + at * S, venue) for at in range(draw(st.sampled_from([1, 3, 70])))]
            now_ns = log[-1].exchange_ns
        elif kind == 12:
            log.append(punctuation(now_ns, venue, alive=False))
        elif kind < 15:
            fetched = msgspec.structs.replace(
                trade(number, max(0, now_ns - draw(st.integers(0, 200)) * S)), backfilled=kind == 13
            )
            log.append(batch(fetched, venue=venue))
        elif kind < 18 or not known:
            from_ns = max(0, now_ns - draw(st.integers(0, 300)) * S)
            until_ns = draw(st.sampled_from([None, from_ns, from_ns + S, from_ns + 90 * S]))
            known[number] = gap(venue, number, from_ns, until_ns, cause=draw(st.sampled_from(["ids", "stale"])))
            log.append(known[number])
        else:
            name = draw(st.sampled_from(sorted(known)))
            was = known[name]
            log.append(
                msgspec.structs.replace(
                    was, state=draw(st.sampled_from(["closed", "open"])), until_ns=was.until_ns or now_ns
                )
            )
    return log


@given(a_log(), st.sampled_from([RULES, Rules(kept_ns=0), Rules(lateness_ns=5 * S)]))
@settings(deadline=None, max_examples=400)
def test_of_the_bars_that_ohlcv_makes_none_is_told_to_be_wrong(log, rules):
    table, worth = RebuildingTable(rules).feed(*log), Worth(rules)
    for record in log:
        worth.add(record)
    assert kinds(log, table.published, worth) == []


@given(a_log(), st.integers(0, 40))
@settings(deadline=None, max_examples=300)
def test_of_a_log_that_is_seen_from_its_middle_on_nothing_false_is_told(log, first):
    table, worth = RebuildingTable().feed(*log), Worth(RULES)
    for record in log[first:]:
        worth.add(record)
    reached_ns = max((bar.start_ns for bar in RebuildingTable().feed(*log[:first]).published), default=0)
    begin_ns = reached_ns + 120 * S if first else 0
    found = compared(log, table.published, judged(worth, begin_ns=begin_ns, saw_all=not first))
    assert all(one.is_equal for one in found.values())


def quiet_and_busy(*more: object) -> tuple[list[object], list[Bar], Worth]:
    """Two venues alive for three minutes with a trade each other second, and what `ohlcv` makes of that and of more."""
    log: list[object] = []
    for at in range(1, 200):
        for venue in VENUES:
            log.append(batch(trade(at, at * S), venue=venue) if at % 2 else punctuation(at * S, venue))
    log += more
    table, worth = Table().feed(*log), Worth(RULES)
    for record in log:
        worth.add(record)
    return log, list({place_of(bar): bar for bar in table.published}.values()), worth


@pytest.mark.parametrize("quality", ["complete", "revised", "backfilled", "stale"])
def test_every_bar_that_says_more_than_a_gap_that_is_open_allows_is_told(quality: Quality):
    log, bars, worth = quiet_and_busy(gap("bybit", 1, 130 * S, 140 * S))
    assert kinds(log, bars, worth) == []
    lies = [
        msgspec.structs.replace(bar, quality=quality) if bar.quality == "gap" and bar.start_ns > 60 * S else bar
        for bar in bars
    ]
    assert kinds(log, lies, worth) == [
        ("bars_1m", "all", 0, 0, 1), ("bars_1m", "bybit", 0, 0, 1),
        ("bars_1s", "all", 0, 0, 11), ("bars_1s", "bybit", 0, 0, 11),
    ]  # fmt: skip
    for one in compared(log, lies, judged(worth)).values():
        assert all(fields_that_differ("bars_1s", *pair) == ["quality"] for pair in one.different)
    worth.doubt(gap("bybit", 1, 130 * S, 140 * S, state="closed"))  # it may have been closed since
    assert kinds(log, lies, worth) == []


def test_a_feed_that_was_dead_may_be_called_stale_or_a_gap_and_nothing_better():
    log, bars, worth = quiet_and_busy(gap("bybit", 1, 130 * S, 140 * S, cause="stale"))
    said = {"gap": 0, "stale": 0, "backfilled": 11, "revised": 11, "complete": 11}
    for quality, count in said.items():
        lies = [
            msgspec.structs.replace(bar, quality=quality)  # type: ignore[arg-type]
            if bar.quality == "stale" and (bar.venue, bar.size_ns) == ("bybit", S) else bar for bar in bars
        ]  # fmt: skip
        assert kinds(log, lies, worth) == ([("bars_1s", "bybit", 0, 0, count)] if count else [])


def test_a_lost_bar_of_a_second_or_a_minute_without_trades_is_missing():
    log: list[object] = [batch(trade(1, 100 * S)), *(punctuation(at * S) for at in range(101, 290))]
    table, worth = Table().feed(*log), Worth(RULES)
    for record in log:
        worth.add(record)
    assert kinds(log, table.published, worth) == []
    quiet = [bar for bar in table.published if not bar.trade_count and bar.venue == "binance"]
    assert {bar.size_ns // S for bar in quiet} == {1, 60}
    for lost in quiet:
        kept = [bar for bar in table.published if bar is not lost]
        consolidated = [one for one in kinds(log, kept, worth) if one[1] != "all"]
        assert consolidated == [("bars_1s" if lost.size_ns == S else "bars_1m", "binance", 1, 0, 0)]


def test_an_invented_bar_without_trades_is_surplus_where_the_feed_was_not_heard():
    log: list[object] = [batch(trade(1, S)), *(punctuation(at * S) for at in [*range(2, 20), *range(80, 200)])]
    table, worth = Table().feed(*log), Worth(RULES)
    for record in log:
        worth.add(record)
    assert kinds(log, table.published, worth) == []
    for venue in ("binance", "all"):
        for size_ns, table_name, starts in ((S, "bars_1s", range(20, 79)), (60 * S, "bars_1m", [60])):
            invented = [
                bar_of(None, venue=venue, market="spot", symbol="BTC/USDT", size_ns=size_ns, start_ns=at * S)
                for at in starts
                if venue == "binance" or size_ns == S
            ]
            expected = [(table_name, venue, 0, len(invented), 0)] if invented else []
            assert kinds(log, [*table.published, *invented], worth) == expected


def test_what_is_certain_of_a_second():
    log: list[object] = [batch(trade(1, 10 * S)), *(punctuation(at * S) for at in range(11, 31)),
                         gap("binance", 1, 20 * S, 21 * S), punctuation(50 * S), punctuation(51 * S)]  # fmt: skip
    worth = Worth(RULES)
    for record in log:
        worth.add(record)
    found = list(worth.seconds(HOUR._replace(venue="binance")))
    assert len(found) == NS_PER_HOUR // S
    assert found[:11] == [UNKNOWN] * 11
    assert found[11:15] == [ALIVE] * 4
    assert found[15:27] == [UNKNOWN] * 12, "five seconds on both sides of the gap"
    assert found[27:30] == [ALIVE] * 3
    assert found[30:50] == [DEAD] * 20
    assert found[50] == ALIVE
    assert found[51:] == [UNKNOWN] * (NS_PER_HOUR // S - 51)
    assert list(worth.buckets()) == [HOUR._replace(venue="binance")] * 2
    assert set(worth.seconds(HOUR._replace(venue="okx"))) == {UNKNOWN}
