"""What `sofia verify` makes of log records: rows as each store must have them, bars, stretches of time."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.errors import ConfigError
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND, Bar, Gap, Ticker, Trade, TradeBatch
from sofia_streams.ops.replay.in_process import replay_in_process
from sofia_streams.ops.verify.candles import HourOfBars, Judged
from sofia_streams.ops.verify.ledger import compare
from sofia_streams.ops.verify.log import Span, StreamCounts
from sofia_streams.ops.verify.logged import (
    Logged,
    any_version,
    decoder_of,
    each_once,
    last_of_each,
    logged_rows,
    rows_and_items,
    stored_record,
)
from sofia_streams.ops.verify.rows import (
    FIELDS,
    NS_PER_HOUR,
    TRADE_EXTRAS,
    Bucket,
    bar_item,
    fields_that_differ,
    gap_item,
    item_from_texts,
    ticker_item,
    trade_item,
)
from sofia_streams.ops.verify.spool import Spool
from sofia_streams.ops.verify.times import span_of
from sofia_streams.stores.base import TABLES as STORED
from sofia_streams.stores.paper_rows import PAPER_TABLES
from sofia_streams.stores.scored_rows import SCORED_TABLES

pytestmark = pytest.mark.slow
CAPTURES = sorted((Path(__file__).resolve().parents[1] / "captures").glob("okx*.jsonl.gz"))
AT_NS = 1_760_000_000_000_000_000
NUMBERS = st.decimals("0.00000001", "99999999", allow_nan=False, places=8)
TRADES = st.builds(
    Trade,
    trade_id=st.integers(1, 30).map(str),
    price=NUMBERS,
    quantity=NUMBERS,
    taker_side=st.sampled_from(["buy", "sell"]),
    exchange_ns=st.integers(AT_NS, AT_NS + 300 * NS_PER_SECOND),
    order=st.integers(0, 10**6),
    snapshot=st.booleans(),
    stale=st.booleans(),
    count=st.integers(1, 5),
    backfilled=st.booleans(),
)


def batches(trades: Sequence[Trade], size: int = 3) -> list[TradeBatch]:
    parts = [list(trades[at : at + size]) for at in range(0, len(trades), size)]
    return [TradeBatch("okx", "spot", "BTC/USDT", AT_NS, "okx", part) for part in parts]


def rows_of(records: Sequence[object]) -> dict[Bucket, list[Logged]]:
    found: dict[Bucket, list[Logged]] = {}
    for offset, record in enumerate(records):
        for bucket, _, row in logged_rows(record, offset):
            found.setdefault(bucket, []).append(row)
    return found


def padded(value: object) -> str:
    """As a store gives it: decimals with all the places of their column, nothing as an empty text."""
    if isinstance(value, Decimal):
        return f"{value:.20f}"
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@given(TRADES)
def test_a_trade_is_the_same_row_from_the_log_and_from_a_store(trade: Trade):
    texts = {name: padded(getattr(trade, name, None)) for name in (*FIELDS["trades"], "id_kind", "trade_id")}
    texts["id_count"] = str(trade.count)
    assert item_from_texts("trades", texts) == trade_item(trade, extras=True)
    for name in TRADE_EXTRAS:
        del texts[name]
    assert item_from_texts("trades", texts) == trade_item(trade)
    other = msgspec.structs.replace(trade, quantity=trade.quantity + Decimal("0.00000001"))
    assert fields_that_differ("trades", trade_item(trade), trade_item(other)) == ["quantity"]


def test_bars_and_tickers_without_some_values_are_the_same_row_from_the_log_and_from_a_store():
    quiet = Bar("okx", "spot", "BTC/USDT", NS_PER_SECOND, AT_NS, None, None, None, None, Decimal(0), Decimal(0),
                Decimal(0), 0, None, "", "")  # fmt: skip
    ticker = Ticker("okx", "spot", "BTC/USDT", AT_NS, last=Decimal("1E+2"), bid=Decimal("0.10"))
    for table, record, item, at in (
        ("bars_1s", quiet, bar_item(quiet), "start_ns"),
        ("tickers", ticker, ticker_item(ticker), "received_ns"),
    ):
        texts = {name: padded(getattr(record, name)) for name in (*FIELDS[table], at)}
        assert item_from_texts(table, texts) == item


def test_every_column_of_market_data_is_compared_but_how_a_trade_came_in():
    for name, table in STORED.items():
        if name in {**SCORED_TABLES, **PAPER_TABLES}:
            continue  # what is said and done behind bars is not compared
        left_out = {"received_ns", "line"} if name == "trades" else set()
        assert set(table.columns) == {*table.key, *FIELDS[name], *left_out}, name


def test_a_gap_is_the_same_row_from_the_log_and_from_a_store():
    gap = Gap("okx", "spot", "BTC/USDT", AT_NS, "okx", "5-7", "ids", "open", AT_NS - 9, missing=3,
              missing_volume=Decimal("1.50"), detail="1.50 of 2.00 left")  # fmt: skip
    texts = {name: padded(getattr(gap, name)) for name in (*FIELDS["gaps"], "gap_id", "from_ns")}
    assert item_from_texts("gaps", texts) == gap_item(gap)
    (rows,) = rows_of([gap, msgspec.structs.replace(gap, state="closed")]).values()
    assert [row.record.state for row in last_of_each(rows_and_items(rows), 9, ()).rows.values()] == ["closed"]


def test_a_fallback_may_hold_any_revision_that_stood_in_the_log_and_no_other():
    bar = Bar("okx", "spot", "BTC/USDT", NS_PER_SECOND, AT_NS, *[Decimal(1)] * 7, 1, Decimal(1), "1", "1")
    (rows,) = rows_of([bar, msgspec.structs.replace(bar, revision=1)]).values()
    both = rows_and_items(rows)
    expected = last_of_each(both, 9, ())
    for record, is_known in ((bar, True), (msgspec.structs.replace(bar, volume=Decimal(2)), False)):
        found = compare(expected.items, any_version([bar_item(record)], both, expected), optional=expected.items)
        assert found.is_equal == is_known


@given(st.lists(TRADES, min_size=1, max_size=40))
def test_a_database_keeps_the_last_copy_of_a_trade_and_a_stream_the_first(trades: list[Trade]):
    for rows in rows_of(batches(trades)).values():
        first: dict[str, Trade] = {}
        last: dict[str, Trade] = {}
        for row in rows:
            identity = trade_item(row.record).identity
            first.setdefault(identity, row.record)
            last[identity] = row.record
        assert {name: row.record for name, row in each_once(rows_and_items(rows), 10**9, ()).rows.items()} == first
        assert {name: row.record for name, row in last_of_each(rows_and_items(rows), 10**9, ()).rows.items()} == last


def test_every_revision_of_a_bar_is_an_entry_and_the_last_one_a_row():
    bar = Bar("okx", "spot", "BTC/USDT", NS_PER_SECOND, AT_NS, *[Decimal(1)] * 7, 1, Decimal(1), "1", "1")
    (rows,) = rows_of([bar, msgspec.structs.replace(bar, revision=1)]).values()
    assert len(each_once(rows_and_items(rows), 9, ()).items) == 2
    (row,) = last_of_each(rows_and_items(rows), 9, ()).rows.values()
    assert row.record.revision == 1


def test_rows_that_a_worker_has_not_committed_are_left_out_of_what_is_compared():
    trades = [Trade(str(number), Decimal(1), Decimal(1), "buy", AT_NS, number) for number in range(6)]
    (rows,) = rows_of(batches(trades, 2)).values()
    for expected in (last_of_each(rows_and_items(rows), 2, {"recent"}), each_once(rows_and_items(rows), 2, {"recent"})):
        assert expected.ignored == {"recent", *(trade_item(trade).identity for trade in trades[4:])}


@given(st.lists(TRADES, min_size=1, max_size=20))
def test_a_row_put_aside_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, trades: list[Trade]):
    with Spool[Logged](tmp_path_factory.mktemp("spool"), decoder_of) as spool:
        wanted = rows_of(batches(trades))
        for bucket, rows in wanted.items():
            for row in rows:
                spool.add(bucket, row)
                assert spool.rows(bucket)[-1].record == row.record  # written and read again and again
        assert spool.buckets() == wanted.keys()
        for bucket, rows in wanted.items():
            found = spool.rows(bucket)
            assert [(row.offset, row.nth, row.record) for row in found] == [(r.offset, r.nth, r.record) for r in rows]
            assert stored_record(bucket, found[0]) == TradeBatch("okx", "spot", "BTC/USDT", AT_NS, "okx",
                                                                [rows[0].record])  # fmt: skip


@given(st.integers(1, 3_000), st.integers(1, 3_000), st.integers(1, 7))
def test_the_newest_rows_of_a_stream_are_never_more_than_asked_for(total: int, wanted: int, a_record: int):
    counts = StreamCounts()
    for row in range(total):
        counts.add(("trades", "BTC/USDT"), row // a_record)
    offset = counts.newest(("trades", "BTC/USDT"), wanted)
    newest = sum(row // a_record >= offset for row in range(total))
    assert newest <= wanted if total > wanted else newest == total
    assert newest >= min(total, wanted) - 256 - 2 * a_record


def fold(bars: Sequence[Bar], trades: dict[Bucket, list[Logged]], judged: Judged) -> dict[Bucket, object]:
    hours: dict[tuple[int, str, str], HourOfBars] = {}
    for bucket, rows in trades.items():
        hours.setdefault((bucket.hour_ns, bucket.market, bucket.symbol), HourOfBars()).add_trades(bucket, rows)
    for bucket, rows in rows_of(bars).items():
        hours.setdefault((bucket.hour_ns, bucket.market, bucket.symbol), HourOfBars()).add_bars(bucket, rows)
    return {bucket: result for hour in hours.values() for bucket, (_, result) in hour.compare(judged).items()}


def test_the_bars_of_a_recording_are_those_of_its_trades_and_one_wrong_digit_is_found():
    replay = replay_in_process(CAPTURES, keep_trades=True)
    trades = rows_of(list(replay.trades.batches()))
    bars = [bar for size_ns in (NS_PER_SECOND, NS_PER_MINUTE) for bar in replay.book.bars(size_ns)]
    everything = Judged(0, frozenset(), lambda _: 2**63)
    found = fold(bars, trades, everything)
    assert len(bars) > 20
    assert sum(result.log.count for result in found.values()) == len(bars)
    assert all(result.is_equal for result in found.values())
    for number, bar in enumerate(bars):
        wrong = msgspec.structs.replace(bar, volume=bar.volume + Decimal("0.00000001"))
        changed = fold([*bars[:number], wrong, *bars[number + 1 :]], trades, everything)
        assert [len(result.different) for result in changed.values() if not result.is_equal] == [1]
        lost = fold([*bars[:number], *bars[number + 1 :]], trades, everything)
        assert [len(result.missing) for result in lost.values() if not result.is_equal] == [1]


def test_windows_that_may_be_open_or_whose_trades_are_gone_are_not_judged():
    trades = rows_of(batches([Trade("1", Decimal(1), Decimal(1), "buy", AT_NS, 1)]))
    minute_ns = AT_NS // NS_PER_MINUTE * NS_PER_MINUTE
    assert any(not found.is_equal for found in fold([], trades, Judged(0, frozenset(), lambda _: 2**63)).values())
    for judged in (
        Judged(AT_NS + NS_PER_HOUR, frozenset(), lambda _: 2**63),
        Judged(0, frozenset({minute_ns}), lambda _: 2**63),
        Judged(0, frozenset(), lambda _: 0),
    ):
        assert all(found.is_equal for found in fold([], trades, judged).values())


def test_bars_lost_from_the_end_are_missing_as_soon_as_the_log_says_that_their_windows_are_closed():
    replay = replay_in_process(CAPTURES, keep_trades=True)
    trades = rows_of(list(replay.trades.batches()))
    bars = sorted(replay.book.bars(NS_PER_SECOND), key=lambda bar: bar.start_ns)
    chosen = [bar for bar in bars if (bar.venue, bar.symbol) == (bars[-1].venue, bars[-1].symbol)]
    lost = chosen[-3:]
    kept = [bar for bar in bars if bar not in lost] + list(replay.book.bars(NS_PER_MINUTE))
    for place, closed_ns in enumerate([*(bar.start_ns for bar in lost), 2**63]):
        found = fold(kept, trades, Judged(0, frozenset(), lambda _, at_ns=closed_ns: at_ns)).values()
        named = {item.at_ns for result in found for item in result.missing}
        assert named == {bar.start_ns for bar in lost[:place]}


def test_a_stretch_of_time_is_whole_minutes_by_moments_or_how_long_ago():
    now_ns = 1_760_000_000 * NS_PER_SECOND
    assert span_of(None, None) == Span(None, None)
    assert span_of("1970-01-01T00:01:30", "1970-01-01T00:02:01") == Span(NS_PER_MINUTE, 3 * NS_PER_MINUTE)
    assert span_of("1970-01-01T01:00:00+01:00", None) == Span(0, None)
    assert span_of("1970-01-01T00:01:59.999999", "1970-01-01T00:02:00.000001") == Span(NS_PER_MINUTE, 3 * NS_PER_MINUTE)
    last = span_of("2262-04-11T23:46", "2262-04-11T23:47")
    assert last.until_ns == (2**63 - 1) // NS_PER_MINUTE * NS_PER_MINUTE
    found = span_of("2h", "90s", now_ns)
    assert found.from_ns is not None
    assert found.until_ns is not None
    assert 0 <= now_ns - 7_200 * NS_PER_SECOND - found.from_ns < NS_PER_MINUTE
    assert 0 <= found.until_ns - (now_ns - 90 * NS_PER_SECOND) < NS_PER_MINUTE


@pytest.mark.parametrize(("start", "end"), [("yesterday", None), (None, "5 h"), ("2h", "3h"), ("1d", "2020-01-01"),
    ("999999d", None), ("1969-12-31T23:59:59", None), (None, "2262-04-11T23:47:01"), (None, "9999-12-31")])  # fmt: skip
def test_a_stretch_that_is_none_is_refused(start: str | None, end: str | None):
    with pytest.raises(ConfigError, match="expected"):
        span_of(start, end)
