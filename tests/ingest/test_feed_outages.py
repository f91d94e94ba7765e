"""Interruptions of feeds: one hole each, with an end, through restarts; above all where ids do not count."""

import pytest
from gap_records import BTC, S, batch, remembering, trade
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_streams.core.feeds.skew import ClockSkew
from sofia_streams.ingest.gap_watch import GapWatch
from sofia_streams.ingest.outages import Outages
from sofia_streams.model import Gap, Punctuation, TradeBatch

BYBIT = "bybit|spot|BTC/USDT"
LONG_AGO = Punctuation("bybit", "spot", "BTC/USDT", -100 * S, "1", -100 * S)


class Bybit:
    """Outages of an instrument whose ids do not count; the venue's clock is ours."""

    def __init__(self, log=(LONG_AGO,)):
        self.log = list(log)
        self.gaps = GapWatch()
        self.outages = Outages(self.gaps, _Skews(), 15 * S)
        for record in log:
            if isinstance(record, Punctuation):
                self.outages.remember(record)
        self.outages.begin(set(), 0)

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


@pytest.mark.parametrize("restarts", [False, True])
def test_a_hole_in_the_minute_that_a_feed_began_in_reaches_back_to_its_beginning(restarts):
    feed = Bybit(log=()).hears(*steady(30, 7))
    feed = feed.restarts(31 * S) if restarts else feed.drops(29 * S, 31 * S)
    assert feed.found() == [("outage", 7, None)]
    later = Bybit(log=()).hears(*steady(90, 7))
    later = later.restarts(91 * S) if restarts else later.drops(89 * S, 91 * S)
    assert later.found() == [("outage", 88, None)], "the venue's candle of that minute shows the rest"


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


@pytest.mark.parametrize("reaches_back", [True, False])
def test_silence_of_a_feed_whose_ids_count_closes_by_itself_also_after_a_restart_that_knows_its_ids(reaches_back):
    gaps, log = GapWatch(), []
    outages = Outages(gaps, _Skews(), 15 * S)
    for at_ns in steady(30):
        found = batch(trade(1 + at_ns // S, at_ns))
        gaps.saw(found, found.trades, at_ns)
        outages.saw(BTC, at_ns)
    log += [found] if reaches_back else []
    outages.look(60 * S)
    log += gaps.due(60 * S)
    again = remembering(GapWatch(), log)
    after = Outages(again, _Skews(), 15 * S)
    after.begin({BTC}, 70 * S)
    after.saw(BTC, 71 * S)
    log += again.due(71 * S)
    after.look(200 * S)
    log += again.due(200 * S)
    said = [(gap.cause, gap.state, gap.until_ns) for gap in log if isinstance(gap, Gap)]
    assert said == [("stale", "open", None), ("stale", "open", 72 * S)], "a ticker shows no id"
    after.saw(BTC, 201 * S, has_trades=True)
    after.look(202 * S)
    log += again.due(202 * S)
    assert len(said) == 2, "ids that it shows missing are said first"
    after.look(204 * S)
    log += again.due(204 * S)
    said = [(gap.cause, gap.state, gap.until_ns) for gap in log if isinstance(gap, Gap)]
    assert said[2:] == ([("stale", "closed", 72 * S)] if reaches_back else [])


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
