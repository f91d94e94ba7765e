"""What bars are worth while trades are missing, and afterwards: like a plain model, like a run without loss."""

from decimal import Decimal

import pytest
from candle_tables import KEEP_ALL, RebuildingTable, S, Table, batch, punctuation, trade
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_streams.core.bars.ohlcv import window_start_ns
from sofia_streams.core.bars.quality import mark_of, worst
from sofia_streams.core.bars.rebuild import place_of
from sofia_streams.core.bars.windows import Hole, Rules, Window
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, Bar, Gap, TradeBatch

VENUES = ("binance", "okx")
KEEP_NOTHING = Rules(kept_ns=0)


def gap(name, from_ns, until_ns=None, *, venue="binance", cause="ids", state="open"):
    return Gap(venue, "spot", "BTC/USDT", 0, "1", name, cause, state, from_ns, until_ns)


def fetched(*trades, venue="binance"):
    marked = [trade(one.order, one.exchange_ns, price=str(one.price), quantity=str(one.quantity)) for one in trades]
    return batch(*[one.__class__(*_fields(one), backfilled=True) for one in marked], venue=venue)


def _fields(one):
    return one.trade_id, one.price, one.quantity, one.taker_side, one.exchange_ns, one.order


@st.composite
def lossy_feeds(draw):
    """(without loss, with loss): two venues over some minutes; holes open where ids are missing, most are filled."""
    clean, lossy, later = [], [], []
    at_ns = {venue: draw(st.integers(60, 63)) * S for venue in VENUES}
    numbers = dict.fromkeys(VENUES, 0)
    for _ in range(draw(st.integers(2, 25))):
        venue = draw(st.sampled_from(VENUES))
        from_ns, number = at_ns[venue], numbers[venue]
        at_ns[venue] += draw(st.sampled_from((1, S // 3, S, 4 * S, 20 * S, 70 * S)))
        if number == 0 or draw(st.integers(0, 4)):
            numbers[venue] += 1
            found = _print(venue, numbers[venue], at_ns[venue])
        else:
            lost = draw(st.integers(1, 4))
            numbers[venue] += lost + 1
            step_ns = (at_ns[venue] - from_ns) // (lost + 1)
            missing = [_print(venue, number + n, from_ns + n * step_ns) for n in range(1, lost + 1)]
            found = _print(venue, numbers[venue], at_ns[venue])
            clean.append(batch(*missing, venue=venue))
            hole = gap(f"trade:{number + 1}", from_ns, at_ns[venue], venue=venue)
            later.append((len(lossy) + draw(st.integers(1, 12)), [hole]))
            if draw(st.integers(0, 4)):
                closed = gap(f"trade:{number + 1}", from_ns, at_ns[venue], venue=venue, state="closed")
                ending = [fetched(*missing, venue=venue), closed]
                later.append((later[-1][0] + draw(st.integers(1, 30)), ending))
        clean.append(batch(found, venue=venue))
        lossy.append(batch(found, venue=venue))
        if draw(st.booleans()):
            at_ns[venue] += draw(st.integers(0, 6 * S))
            spoken = punctuation(at_ns[venue], venue)
            clean.append(spoken)
            lossy.append(spoken)
    for place, records in sorted(later, key=lambda one: -one[0]):
        lossy[place:place] = records
    return clean, lossy


def _print(venue, number, at_ns):
    return trade(number, at_ns, price=str(10 + number * 7 % 5), quantity=f"0.{number}{len(venue)}")


def last_bars(table) -> dict[tuple, Bar]:
    return {place_of(bar): bar for bar in table.published}


def model_marks(records, bars, *, closed=None):
    """The mark of each published window by the gaps that are open after these records and the trades in it.

    `closed` are the venues' seconds that are published; without them the trades of the others count as well, and where
    their feed began: a consolidated window that is made again from the log has them already.
    """
    holes, backfilled, live = {}, [], []
    for record in records:
        if isinstance(record, Gap):
            holes.pop((record.venue, record.gap_id), None)
            if record.state == "open":
                hole = Hole(record.from_ns, record.until_ns, record.cause == "stale")
                holes[record.venue, record.gap_id] = hole
        elif isinstance(record, TradeBatch):
            backfilled += [(record.venue, one.exchange_ns) for one in record.trades if one.backfilled]
            live += [(record.venue, one.exchange_ns) for one in record.trades if not one.backfilled]
        else:
            live.append((record.venue, record.exchange_ns))
    begins = [(venue, min(at_ns for one, at_ns in live if one == venue)) for venue in {venue for venue, _ in live}]
    if closed is not None:
        begins = [one for one in begins if one[1] < closed[one[0]]]
        backfilled = [one for one in backfilled if one[1] < closed[one[0]]]
    marks = {}
    for place in bars:
        mine = [hole for (venue, _), hole in holes.items() if place.venue in (venue, CONSOLIDATED)]
        mine += [Hole(at_ns, at_ns) for venue, at_ns in begins if place.venue in (venue, CONSOLIDATED)]
        end_ns = place.start_ns + place.size_ns
        is_fetched = any(
            place.venue in (venue, CONSOLIDATED) and place.start_ns <= at_ns < end_ns for venue, at_ns in backfilled
        )
        marks[place] = mark_of(mine, place.start_ns, end_ns, ["backfilled"] if is_fetched else [])
    return marks


def were_behind(table, bars):
    """Consolidated windows that are published, though a venue that is alive has not come so far; also their minutes."""
    joint = table.rows.get("all|spot|BTC/USDT")
    slowest_ns = min(joint.waits_for.values(), default=10**18) if joint else 10**18
    found = {at for at in bars if at.venue == CONSOLIDATED and at.start_ns + at.size_ns > slowest_ns}
    minutes = {window_start_ns(at.start_ns, NS_PER_MINUTE): at for at in found}
    return found | {at._replace(size_ns=NS_PER_MINUTE, start_ns=start_ns) for start_ns, at in minutes.items()}


def marks(bars):
    return {place: "complete" if bar.quality == "revised" else bar.quality for place, bar in bars.items()}


@pytest.mark.parametrize("table", [lambda: Table(KEEP_ALL), lambda: RebuildingTable(KEEP_NOTHING)])
@given(feeds=lossy_feeds())
@settings(deadline=None, max_examples=60)
def test_at_any_moment_every_bar_says_what_is_open_and_what_was_fetched(table, feeds):
    _, lossy = feeds
    made, lacking = table(), set()
    for place, record in enumerate(lossy):
        made.feed(record)
        bars = last_bars(made)
        lacking |= were_behind(made, bars)
        closed = {venue: getattr(made.rows.get(f"{venue}|spot|BTC/USDT"), "closed_ns", 0) for venue in VENUES}
        said, wanted = marks(bars), model_marks(lossy[: place + 1], bars, closed=closed)
        early = model_marks(lossy[: place + 1], bars)
        may_be = {at: {wanted[at], early[at]} if at.venue == CONSOLIDATED else {wanted[at]} for at in bars}
        for at in lacking & may_be.keys():
            may_be[at] |= {worst(["stale", mark]) for mark in may_be[at]}
        assert {at: (said[at], may_be[at]) for at in bars if said[at] not in may_be[at]} == {}


@pytest.mark.parametrize("table", [lambda: Table(KEEP_ALL), lambda: RebuildingTable(KEEP_NOTHING)])
@given(feeds=lossy_feeds())
@settings(deadline=None, max_examples=60)
def test_once_what_was_lost_is_fetched_the_bars_are_those_of_a_run_without_loss(table, feeds):
    clean, lossy = feeds
    missing = {(one.venue, one.gap_id): one for one in lossy if isinstance(one, Gap)}
    is_filled = all(one.state == "closed" for one in missing.values())
    ends = [punctuation(0, venue, alive=False) for venue in VENUES]
    undisturbed, mended = Table(KEEP_ALL).feed(*clean, *ends).last(), table().feed(*lossy, *ends).last()
    if is_filled:
        assert mended == undisturbed
    else:  # nothing but what is still missing differs
        assert all(mended[key] == undisturbed[key] or bar_is_lacking(mended[key], undisturbed[key]) for key in mended)


def bar_is_lacking(bar, whole):
    return bar.trade_count < whole.trade_count


@given(lossy_feeds(), st.integers(0, 8))
@settings(deadline=None, max_examples=60)
def test_a_crash_between_any_two_rows_leaves_the_same_rows_and_the_same_last_bars(feeds, rows):
    _, lossy = feeds
    crashed, whole = Table(KEEP_ALL).feed(*lossy, crash_after_rows=rows), Table(KEEP_ALL).feed(*lossy)
    assert last_bars(crashed) == last_bars(whole)
    assert windows(crashed) == windows(whole)


def windows(table):
    """The rows of closed windows; that of a feed also counts what came twice."""
    return {key: row for key, row in table.rows.items() if isinstance(row, Window)}


@st.composite
def quiet_feeds(draw):
    """Records of one venue: trades and punctuation, close together or not, some late, and ends."""
    at_ns, records = draw(st.integers(1, 100)) * S, []
    for number in range(draw(st.integers(1, 30))):
        is_dead = bool(records) and not getattr(records[-1], "alive", True)
        at_ns += draw(st.sampled_from((S // 2, S, 2 * S, 5 * S, 5 * S + 1, 30 * S))) + is_dead * 70 * S
        kind = draw(st.integers(0, 9))
        if kind < 5:
            records.append(batch(trade(number, at_ns - draw(st.sampled_from((0, 0, 0, 3 * S))))))
        else:
            records.append(punctuation(at_ns, alive=kind < 9))
    return records


def quiet_by_model(records, closed_ns):
    """Seconds without a trade, closed, that no stretch of silence touches."""
    reached_ns, unsure, traded = 0, [], set()
    for record in records:
        if isinstance(record, TradeBatch):
            moments = [one.exchange_ns for one in record.trades]
            traded |= {window_start_ns(at_ns, S) for at_ns in moments}
        else:
            moments = [record.exchange_ns] if record.alive else []
            if not record.alive and not (unsure and unsure[-1][1] == 10**18):
                unsure.append((reached_ns, 10**18))
        for at_ns in moments:
            if at_ns > reached_ns:
                if unsure and unsure[-1][1] == 10**18:
                    unsure[-1] = (unsure[-1][0], at_ns)
                elif at_ns - reached_ns > Rules().quiet_max_ns:
                    unsure.append((reached_ns, at_ns))
                reached_ns = at_ns
    return {
        start_ns
        for start_ns in range(0, closed_ns, S)
        if start_ns not in traded and not any(window_start_ns(a, S) <= start_ns < b for a, b in unsure)
    }


@given(quiet_feeds())
@settings(deadline=None, max_examples=150)
def test_a_second_without_a_trade_has_a_bar_only_where_the_feed_was_heard_all_along(records):
    table = Table(KEEP_ALL).feed(*records)
    bars = [bar for bar in last_bars(table).values() if bar.venue == "binance" and bar.size_ns == S]
    quiet = {bar.start_ns for bar in bars if not bar.trade_count}
    assert quiet <= quiet_by_model(records, table.rows["binance|spot|BTC/USDT"].closed_ns)
    if all(one.alive for one in records if not isinstance(one, TradeBatch)):
        assert quiet == quiet_by_model(records, table.rows["binance|spot|BTC/USDT"].closed_ns)
    for bar in bars:
        if not bar.trade_count:
            assert (bar.open, bar.high, bar.low, bar.close, bar.vwap, bar.volume) == (None,) * 5 + (Decimal(0),)


def test_a_dead_feed_has_no_bars_and_a_quiet_one_has_a_whole_minute_of_them():
    dead = Table().feed(batch(trade(1, 60 * S)), punctuation(0, alive=False), batch(trade(2, 600 * S)))
    assert {bar.start_ns for bar in dead.published if bar.venue == "binance"} == {60 * S}
    quiet = Table().feed(batch(trade(1, 60 * S)), *(punctuation(at * S) for at in range(61, 182)))
    minute = [bar for bar in quiet.published if bar.venue == "binance" and bar.start_ns == 120 * S]
    assert {(bar.size_ns, bar.trade_count, bar.quality) for bar in minute} == {
        (S, 0, "complete"), (NS_PER_MINUTE, 0, "complete"),
    }  # fmt: skip


def test_a_minute_is_worth_something_again_when_its_gap_closes_though_nothing_was_traded_in_the_gap():
    lasting = [
        punctuation(59 * S),
        batch(trade(1, 65 * S)),
        gap("outage", 70 * S, cause="outage"),
        batch(trade(2, 80 * S)),
    ]
    ended = gap("outage", 70 * S, 75 * S, cause="outage")
    table = Table().feed(*lasting, ended, batch(trade(3, 125 * S)))
    minute = next(place for place in last_bars(table) if place[:3] == ("binance", "spot", "BTC/USDT") and place[3] > S)
    assert last_bars(table)[minute].quality == "gap"
    table.feed(gap("outage", 70 * S, 75 * S, cause="outage", state="closed"))
    assert last_bars(table)[minute].quality == "revised"


def test_a_gap_of_one_venue_shows_in_consolidated_seconds_that_it_has_no_trade_in():
    others = [batch(trade(at, at * S), venue="okx") for at in range(60, 100)]
    table = Table().feed(batch(trade(1, 61 * S)), *others, batch(trade(9, 90 * S)))
    second = next(place for place in last_bars(table) if place.venue == CONSOLIDATED and place.start_ns == 70 * S)
    assert last_bars(table)[second].quality == "complete"
    table.feed(gap("trade:2", 61 * S, 90 * S))
    assert last_bars(table)[second].quality == "gap"
    table.feed(gap("trade:2", 61 * S, 90 * S, state="closed"))
    assert last_bars(table)[second].quality == "revised"


def test_nobody_waits_for_a_dead_venue_because_something_of_its_past_is_said():
    table = Table().feed(batch(trade(1, 60 * S), venue="okx"), batch(trade(1, 60 * S)))
    table.feed(punctuation(0, "okx", alive=False))
    table.feed(gap("stale", 60 * S, venue="okx", cause="stale"), fetched(trade(2, 61 * S), venue="okx"))
    table.feed(*(batch(trade(at, at * S)) for at in range(62, 130)))
    joint = {bar.start_ns for bar in table.published if bar.venue == CONSOLIDATED and bar.size_ns == S}
    assert max(joint) == 127 * S
    table.feed(batch(trade(3, 120 * S), venue="okx"))
    assert table.rows["all|spot|BTC/USDT"].waits_for.keys() == {"binance", "okx"}


def test_the_marks_have_an_order():
    assert worst(["complete", "revised", "backfilled", "stale", "gap"]) == "gap"
    assert worst(["complete", "revised", "backfilled", "stale"]) == "stale"
    assert worst(["complete", "backfilled", "revised"]) == "backfilled"
    assert worst([]) == "complete"
