"""Holes in ids through restarts: nothing lost, nothing said twice."""

import pytest
from gap_records import BTC, S, batch, remembering, trade
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_streams.core.feeds.gaps import GRACE_NS
from sofia_streams.ingest.gap_watch import GapWatch
from sofia_streams.model import Gap, Punctuation, TradeBatch


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
    assert ingest.watch.newest_id(BTC) == ("trade", "100", 0)
    ingest.log.append(Punctuation("binance", "spot", "BTC/USDT", 5, "1", 5, last_id="100"))
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
