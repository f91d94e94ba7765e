"""Prints that join several fills (OKX), late, beside what was fetched one by one: each fill is in the log once."""

from collections import Counter
from types import SimpleNamespace

import msgspec
from gap_records import S
from hypothesis import example, given, settings
from hypothesis import strategies as st
from messages import BEGIN_NS

from sofia_streams.codec import encode
from sofia_streams.core.feeds.gaps import GRACE_NS
from sofia_streams.ingest.intake import Intake
from sofia_streams.ingest.line import Line
from sofia_streams.ingest.sockets.measures import IngestMetrics
from sofia_streams.model import Gap, Trade, TradeBatch
from sofia_streams.obs import metrics

LINE, BTC = Line("okx", "spot", "okx-0.1", "okx-0"), "okx|spot|BTC/USDT"
FEED = SimpleNamespace(shard=SimpleNamespace(venue="okx"), down_since_s=None, heard_ns=0, waiting=0)


def shown():
    return metrics.LEFT_OUT.labels("okx")._value.get()


class Okx:
    """A venue that joins fills over its socket and has each over REST; ingest, a backfill, and their log."""

    def __init__(self):
        self.now_ns, self.last_id, self.log, self.held = BEGIN_NS, 100, [], []
        self.intake = Intake()
        self.intake.requested(LINE, 1)
        self.prints(1)

    def put(self, records):
        self.log += records

    def _take(self, number, count, at_ns):
        row = {"instId": "BTC-USDT", "tradeId": str(number), "px": "5", "sz": str(count), "side": "buy",
               "ts": str(at_ns // 10**6), "count": str(count)}  # fmt: skip
        frame = encode({"arg": {"channel": "trades", "instId": "BTC-USDT"}, "data": [row]})
        self.put(self.intake.take(LINE, frame, self.now_ns)[0])

    def prints(self, count):
        """A print of so many fills, in time."""
        self.now_ns += S // 100
        self.last_id += count
        self._take(self.last_id, count, self.now_ns)

    def holds_back(self, count):
        """A print of so many fills that does not come yet."""
        self.now_ns += S // 100
        self.last_id += count
        self.held.append((self.last_id, count, self.now_ns))

    def sends_late(self, place):
        """One of the prints that were held back, at last; it may come again."""
        if self.held:
            self._take(*self.held[place % len(self.held)])

    def waits(self):
        """Long enough for what is missing to be said."""
        self.now_ns += GRACE_NS + S
        self.put(self.intake.tick(self.now_ns))

    def gaps(self, *states):
        """Those of ids; that a restart is a hole until the next trade is another test's concern."""
        last = {record.gap_id: record for record in self.log if isinstance(record, Gap) and record.first_id}
        return [gap for gap in last.values() if gap.state in states]

    def fetches(self, place):
        """The backfill fills a gap, all of it, and says so."""
        if found := self.gaps("open"):
            gap = found[place % len(found)]
            for number in range(int(gap.first_id), int(gap.last_id) + 1):
                one = Trade(str(number), 5, 1, "buy", gap.until_ns, number, backfilled=True)
                self.put([TradeBatch("okx", "spot", "BTC/USDT", self.now_ns, "backfill", [one])])
            self.put([msgspec.structs.replace(gap, state="closed", line="backfill")])

    def restarts(self, _):
        self.intake = Intake()
        for record in [one for one in self.log if isinstance(one, Gap)] + self.log:
            self.intake.remember(record)
        self.intake.requested(LINE, 1)
        self.put(self.intake.begin({BTC: LINE}, self.now_ns))

    def fills(self):
        """How often each fill counts: a trade that is there twice counts once, if it is the same."""
        batches = [record for record in self.log if isinstance(record, TradeBatch)]
        rows = {(one.trade_id, one.count, one.quantity) for batch in batches for one in batch.trades}
        return Counter(int(last) - n for last, count, _ in rows for n in range(count))


steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["prints", "holds_back"]), st.integers(1, 5)),
        st.tuples(st.sampled_from(["sends_late", "fetches", "restarts"]), st.integers(0, 9)),
        st.tuples(st.just("waits")),
    ),
    max_size=30,
)


@given(steps)
@example([("holds_back", 3), ("prints", 1), ("waits",), ("fetches", 0), ("sends_late", 0)])
@example([("holds_back", 3), ("prints", 1), ("waits",), ("fetches", 0), ("restarts", 0), ("sends_late", 0)])
@settings(deadline=None, max_examples=400)
def test_whatever_comes_when_each_fill_is_in_the_log_exactly_once_and_no_gap_is_closed_by_what_was_left_out(done):
    okx = Okx()
    for what, *count in done:
        getattr(okx, what)(*count)
    okx.prints(1)
    okx.waits()
    for gap in okx.gaps("closed"):  # also before the rest is fetched
        assert {*range(int(gap.first_id), int(gap.last_id) + 1)} <= {*okx.fills()}
    for place in range(len(okx.held)):
        okx.sends_late(place)
    while okx.gaps("open"):
        okx.fetches(0)
    assert okx.fills() == Counter(range(101, okx.last_id + 1))


def test_a_joined_print_that_comes_after_its_gap_was_said_is_counted_as_left_out_and_a_single_one_is_taken():
    okx, before = Okx(), shown()
    okx.holds_back(3)
    okx.holds_back(1)
    okx.prints(1)
    okx.waits()
    okx.sends_late(0)
    assert [(gap.first_id, gap.last_id, gap.state) for gap in okx.gaps("open", "closed")] == [("102", "105", "open")]
    okx.sends_late(1)
    assert sorted(okx.fills()) == [101, 105, 106]
    gauges = IngestMetrics()
    for now_s in (1.0, 2.0):
        gauges.show(now_s, okx.intake.summary(), [FEED], {})
    assert (okx.intake.summary()[BTC]["left_out"], shown() - before) == (1, 1)
    assert okx.intake.summary()[BTC]["trades"] == 3
