"""Holes through restarts: nothing lost, nothing said twice; interruptions of feeds whose ids do not count."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_streams.core.gaps import GRACE_NS
from sofia_streams.core.skew import ClockSkew
from sofia_streams.ingest.gap_watch import GapWatch
from sofia_streams.ingest.outages import Outages
from sofia_streams.model import Gap, Punctuation, Trade, TradeBatch

S = 1_000_000_000
BTC = "binance|spot|BTC/USDT"
BYBIT = "bybit|spot|BTC/USDT"


def trade(number, at_ns, *, count=1, backfilled=False):
    return Trade(str(number), Decimal(1), Decimal(1), "buy", at_ns, number, count=count, backfilled=backfilled)


def batch(*trades, venue="binance"):
    return TradeBatch(venue, "spot", "BTC/USDT", trades[-1].exchange_ns if trades else 0, "1", list(trades))


class Ingest:
    """A watch, and the log that it and a backfill write; it may be started again on that log at any time."""

    def __init__(self):
        self.log, self.now_ns = [], 0
        self.watch = GapWatch()

    def sees(self, *trades):
        self.now_ns = max(self.now_ns, *(one.exchange_ns for one in trades))
        found = batch(*trades)
        self.watch.saw(found, trades, self.now_ns)
        self.log += [found, *self.watch.due(self.now_ns)]

    def waits(self, ns):
        self.now_ns += ns
        self.log += self.watch.due(self.now_ns)

    def restarts(self):
        self.watch = remembering(GapWatch(), self.log)
        self.watch.begin(self.now_ns)
        self.log += self.watch.due(self.now_ns)

    def gaps(self):
        """The last record of each gap."""
        return {record.gap_id: record for record in self.log if isinstance(record, Gap)}

    def said_ids(self):
        """Every id that was said to be missing, once for each gap that named it."""
        return [
            n for gap in self.gaps().values() if gap.first_id for n in range(int(gap.first_id), int(gap.last_id) + 1)
        ]


def remembering(watch, log):
    """As a worker does: every record of `gaps` first, then the end of `trades`."""
    for record in log:
        if isinstance(record, Gap):
            watch.remember(record)
    for record in log:
        if isinstance(record, TradeBatch):
            watch.saw(record, record.trades, record.received_ns)
        else:
            watch.remember(record)
    return watch


steps = st.one_of(
    st.tuples(st.just("trade"), st.integers(1, 3)),
    st.tuples(st.just("lose"), st.integers(1, 500)),
    st.tuples(st.just("late"), st.integers(1, 4)),
    st.tuples(st.just("wait"), st.sampled_from((0, GRACE_NS // 2, GRACE_NS, 90 * S))),
    st.tuples(st.just("restart"), st.integers(0, 20)),
    st.tuples(st.just("fetch"), st.integers(1, 100)),
)


@given(st.lists(steps, max_size=40))
@settings(deadline=None, max_examples=400)
def test_restarts_at_any_moment_lose_no_gap_and_name_no_missing_id_twice(done):
    ingest, number, lost = Ingest(), 1, set()
    ingest.sees(trade(1, 0))
    for what, count in done:
        if what == "trade":
            number += count
            ingest.sees(trade(number, ingest.now_ns + 1, count=count))
        elif what == "lose":
            lost |= set(range(number + 1, number + count + 1))
            number += count + 1
            ingest.sees(trade(number, ingest.now_ns + 1))
        elif what == "late":  # the newest before those that it overtook, within the grace
            ingest.sees(trade(number + count, ingest.now_ns + count))
            for one in range(1, count):
                ingest.sees(trade(number + one, ingest.now_ns - count + one))
            number += count
        elif what == "wait":
            ingest.waits(count)
        elif what == "restart":  # what came meanwhile is lost
            lost |= set(range(number + 1, number + count + 1))
            number += count
            ingest.restarts()
        elif what == "fetch":
            fetch(ingest, count)
    ingest.sees(trade(number + 1, ingest.now_ns + 1))
    ingest.waits(GRACE_NS)
    said = ingest.said_ids()
    assert sorted(said) == sorted(lost)
    fetched = {int(one.trade_id) for record in ingest.log if isinstance(record, TradeBatch) for one in record.trades}
    for gap in ingest.gaps().values():
        if gap.state == "closed":
            assert fetched >= set(range(int(gap.first_id), int(gap.last_id) + 1))


def fetch(ingest, count):
    """A backfill of another process: some of the oldest open gap; it says so only when all of it is there."""
    gap = next((one for one in ingest.gaps().values() if one.state == "open"), None)
    if gap is not None:
        ids = range(int(gap.first_id), int(gap.last_id) + 1)[:count]
        ingest.log.append(batch(*(trade(one, gap.from_ns, backfilled=True) for one in ids)))
        if len(ids) == gap.missing and count % 2:
            ingest.log.append(
                gap.__class__(
                    **{name: getattr(gap, name) for name in gap.__struct_fields__}
                    | {"state": "closed", "filled": len(ids)}
                )
            )


def test_a_hole_that_was_filled_in_part_before_a_restart_is_no_second_gap():
    ingest = Ingest()
    ingest.sees(trade(100, 0), trade(201, 1))
    ingest.waits(S)
    ingest.log.append(batch(*(trade(one, 1, backfilled=True) for one in range(101, 151))))
    ingest.restarts()
    assert set(ingest.gaps()) == {"trade:101-200"}
    ingest.log.append(batch(*(trade(one, 1, backfilled=True) for one in range(151, 201))))
    ingest.restarts()
    assert ingest.gaps()["trade:101-200"].state == "closed"


def test_what_a_venue_does_not_have_is_not_said_again_after_a_restart():
    ingest = Ingest()
    ingest.sees(trade(100, 0), trade(111, 1))
    ingest.waits(S)
    (gap,) = ingest.gaps().values()
    ingest.log.append(batch(*(trade(one, 1, backfilled=True) for one in range(101, 106))))
    ingest.log.append(Gap(**{name: getattr(gap, name) for name in gap.__struct_fields__} | {"state": "closed"}))
    before = len(ingest.log)
    ingest.restarts()
    assert ingest.log[before:] == []


def test_a_quiet_instrument_is_known_by_its_punctuation_after_a_restart():
    ingest = Ingest()
    ingest.sees(trade(100, 0))
    ingest.log.append(Punctuation("binance", "spot", "BTC/USDT", 5, "1", 5, last_id=ingest.watch.newest_id(BTC)))
    ingest.log = ingest.log[1:]  # the trade itself is older than the end that is read
    ingest.restarts()
    ingest.sees(trade(104, 9))
    ingest.waits(S)
    (gap,) = ingest.gaps().values()
    assert (gap.first_id, gap.last_id, gap.from_ns, gap.until_ns, gap.missing) == ("101", "103", 5, 9, 3)


def test_a_late_print_closes_its_gap_and_gaps_of_long_ago_are_left_to_the_backfill():
    ingest = Ingest()
    ingest.sees(trade(1, 0), trade(5, 1))
    ingest.waits(S)
    ingest.sees(trade(2, 2), trade(4, 2), trade(3, 2))
    (gap,) = ingest.gaps().values()
    assert (gap.state, gap.filled, gap.missing) == ("closed", 0, 3)
    ingest.sees(trade(7, 3))
    ingest.waits(S)
    ingest.waits(61 * S)
    ingest.watch.forget(ingest.now_ns)
    assert not ingest.watch.open[BTC]


def test_thousands_of_open_gaps_cost_a_trade_in_order_nothing():
    watch = GapWatch()
    for number in range(1, 4_001, 2):
        watch.saw(batch(trade(number, number)), [trade(number, number)], number)
    opened = list(watch.due(10 * S))
    assert len(opened) == 1_999
    known = next(iter(watch.open[BTC].values()))
    known.came = None  # whoever looks at a gap fails
    watch.saw(batch(trade(4_001, S)), [trade(4_001, S)], S)
    with pytest.raises(TypeError):
        watch.saw(batch(trade(2, S)), [trade(2, S)], S)


class Bybit:
    """Outages of an instrument whose ids do not count; the venue's clock is ours."""

    def __init__(self, log=()):
        self.log = list(log)
        self.gaps = GapWatch()
        self.outages = Outages(self.gaps, _Skews(), 15 * S)

    def restarts(self, now_ns):
        again = Bybit(self.log)
        for record in self.log:
            if isinstance(record, Gap):
                again.gaps.remember(record)
        for record in self.log:
            if not isinstance(record, Gap):
                again.outages.remember(record)
            if isinstance(record, TradeBatch):
                again.gaps.saw(record, record.trades, record.received_ns)
        again.outages.begin({BYBIT}, now_ns)
        return again.say(now_ns)

    def hears(self, *moments_ns):
        for at_ns in moments_ns:
            found = batch(trade(at_ns, at_ns), venue="bybit")
            self.log.append(found)
            self.gaps.saw(found, found.trades, at_ns)
            self.outages.saw(BYBIT, at_ns)
            self.say(at_ns)
        return self

    def say(self, now_ns):
        self.log += self.gaps.due(now_ns)
        return self

    def drops(self, heard_ns, now_ns):
        self.outages.dropped([*self.gaps.heads.values()], heard_ns, now_ns)
        return self.say(now_ns)

    def resumes(self, now_ns):
        self.outages.resumed([BYBIT], now_ns)
        return self.say(now_ns)

    def looks(self, now_ns):
        self.outages.look(now_ns)
        return self.say(now_ns)

    def found(self):
        """(cause, from s, until s) of every gap, as it is known last."""
        last = {record.gap_id: record for record in self.log if isinstance(record, Gap)}
        ends = [None if gap.until_ns is None else gap.until_ns / S for gap in last.values()]
        return [(gap.cause, gap.from_ns / S, end) for gap, end in zip(last.values(), ends, strict=True)]


class _Skews(dict):
    def __missing__(self, venue):
        return ClockSkew()


def steady(until_s, from_s=0):
    return [at * S for at in range(from_s, until_s)]


def test_a_dropped_connection_is_one_hole_with_an_end():
    feed = Bybit().hears(*steady(30)).drops(29 * S, 31 * S).drops(29 * S, 32 * S)
    assert feed.found() == [("outage", 28, None)]
    assert feed.looks(60 * S).resumes(61 * S).hears(*steady(90, 61)).looks(90 * S).found() == [("outage", 28, 62)]
    assert feed.drops(89 * S, 91 * S).found() == [("outage", 28, 62), ("outage", 88, None)]


def test_a_silent_instrument_whose_connection_then_drops_is_one_hole():
    feed = Bybit().hears(*steady(30)).looks(40 * S).looks(45 * S).looks(46 * S)
    assert feed.found() == [("stale", 29, None)]
    assert feed.drops(44 * S, 50 * S).resumes(55 * S).found() == [("stale", 29, None)]
    assert feed.hears(56 * S).found() == [("stale", 29, 57)]
    assert feed.outages.levels == {}


def test_a_restart_is_a_hole_from_the_last_record_until_the_connection_is_live():
    feed = Bybit().hears(*steady(30))
    feed.log.append(Punctuation("bybit", "spot", "BTC/USDT", 33 * S, "1", 31 * S))
    feed = feed.restarts(40 * S)
    assert feed.found() == [("outage", 30, None)]
    assert feed.restarts(44 * S).found() == [("outage", 30, None)]
    assert feed.restarts(50 * S).resumes(52 * S).found() == [("outage", 30, 53)]


def test_a_restart_while_a_hole_lasts_opens_no_second_one():
    dropped = Bybit().hears(*steady(30)).drops(29 * S, 31 * S).restarts(40 * S)
    assert dropped.found() == [("outage", 28, None)]
    assert dropped.resumes(45 * S).found() == [("outage", 28, 46)]
    silent = Bybit().hears(*steady(30)).looks(46 * S).restarts(60 * S)
    assert silent.found() == [("stale", 29, None)]
    assert silent.resumes(62 * S).hears(63 * S).found() == [("stale", 29, 64)]


@pytest.mark.parametrize("state", ["open", "closed"])
def test_a_second_restart_before_anything_was_logged_is_a_hole_too(state):
    feed = Bybit().hears(*steady(30)).restarts(40 * S).resumes(45 * S)
    if state == "closed":
        (gap,) = feed.gaps.open[BYBIT].values()
        feed.log.append(Gap(**{n: getattr(gap.gap, n) for n in gap.gap.__struct_fields__} | {"state": "closed"}))
    feed = feed.restarts(60 * S)
    assert feed.found() == [("outage", 28, None)]
    assert feed.log[-1].state == "open"
    assert feed.resumes(61 * S).found() == [("outage", 28, 62)]


def test_silence_of_a_feed_whose_ids_count_closes_by_itself_also_after_a_restart():
    gaps, log = GapWatch(), []
    outages = Outages(gaps, _Skews(), 15 * S)
    for at_ns in steady(30):
        gaps.saw(batch(trade(at_ns // S, at_ns)), [trade(at_ns // S, at_ns)], at_ns)
        outages.saw(BTC, at_ns)
    outages.look(60 * S)
    log += gaps.due(60 * S)
    again = remembering(GapWatch(), log)
    after = Outages(again, _Skews(), 15 * S)
    after.begin({BTC}, 70 * S)
    after.saw(BTC, 71 * S)
    log += again.due(71 * S)
    assert [(gap.cause, gap.state, gap.until_ns) for gap in log if isinstance(gap, Gap)] == [
        ("stale", "open", None), ("stale", "open", 72 * S), ("stale", "closed", 72 * S),
    ]  # fmt: skip


@given(st.lists(st.sampled_from(("hear", "drop", "resume", "look", "restart")), max_size=30))
@settings(deadline=None, max_examples=300)
def test_whatever_interrupts_a_feed_at_most_one_hole_lasts_and_none_lasts_once_it_is_heard_again(events):
    feed, now_ns = Bybit().hears(*steady(30)), 30 * S
    for event in events:
        now_ns += 7 * S
        if event == "hear":
            feed.resumes(now_ns).hears(now_ns)
        elif event == "drop":
            feed.drops(now_ns - 2 * S, now_ns)
        elif event == "resume":
            feed.resumes(now_ns)
        elif event == "look":
            feed.looks(now_ns)
        else:
            feed = feed.restarts(now_ns)
            assert [until for _, _, until in feed.found()].count(None) == 1
        assert [until for _, _, until in feed.found()].count(None) <= 1
    feed.resumes(now_ns + S).hears(now_ns + S)
    assert [until for _, _, until in feed.found()].count(None) == 0
