"""A feed whose ids count dies and comes back: no bar claims trades that it lacks, at any moment."""

import json
from collections import Counter

import pytest

from sofia_streams.core.bars import candles
from sofia_streams.core.bars.windows import Rules
from sofia_streams.ingest.intake import Intake
from sofia_streams.ingest.line import Line
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND, Bar, Gap, Punctuation, TradeBatch

S = NS_PER_SECOND
BEGIN_NS = 1_786_310_820 * S // NS_PER_MINUTE * NS_PER_MINUTE
LINE = Line("binance", "spot", "binance-0.1", "binance-0")
NEXT = LINE._replace(connection="binance-0.2")
BTC, ETH = "BTCUSDT", "ETHUSDT"
NAMES = {BTC: "binance|spot|BTC/USDT", ETH: "binance|spot|ETH/USDT"}


class Feed:
    """Binance, our intake, and the bars that the log's records make; `at_s` is the time behind `BEGIN_NS`."""

    def __init__(self):
        self.intake, self.rows, self.offset = Intake(), {}, 0
        self.line, self.ids, self.at_s = LINE, Counter(), -600
        self.set_by_s = 0
        self.printed: Counter[tuple[str, int]] = Counter()
        self.bars: dict[tuple[str, int], Bar] = {}
        self.said: list[Gap] = []
        self.log: list[TradeBatch | Punctuation | Gap] = []
        self.intake.requested(LINE, self.now_ns)
        self.put(self.intake.begin(dict.fromkeys(NAMES.values(), LINE), self.now_ns))

    @property
    def now_ns(self):
        return BEGIN_NS + (self.at_s + self.set_by_s) * S + 20_000_000

    def put(self, records):
        for record in records:
            if isinstance(record, TradeBatch | Punctuation | Gap):
                step = candles.apply(self.rows, record, offset=self.offset, rules=Rules())
                self.offset += 1
                self.log.append(record)
                candles.store(self.rows, step.rows)
                self.bars |= {(bar.symbol, bar.start_ns): bar for bar in step.bars if self._counts(bar)}
                self.said += [record] if isinstance(record, Gap) else []
                self.check()

    @staticmethod
    def _counts(bar):
        return bar.venue == "binance" and bar.size_ns == NS_PER_MINUTE

    def check(self):
        """What the class is for."""
        for key, bar in self.bars.items():
            lacks = self.printed[key] - bar.trade_count
            assert not lacks or bar.quality in ("gap", "stale"), f"{bar} lacks {lacks} at {self.at_s} s"

    def prints(self, pair, *, is_lost=False):
        at_ns = BEGIN_NS + self.at_s * S + 5_000_000
        self.ids[pair] += 1
        symbol = f"{pair[:3]}/USDT"
        self.printed[symbol, at_ns // NS_PER_MINUTE * NS_PER_MINUTE] += 1
        row = {"e": "trade", "E": at_ns // 10**6, "s": pair, "t": self.ids[pair], "p": "5", "q": "7",
               "T": at_ns // 10**6, "m": True, "M": True}  # fmt: skip
        if not is_lost:
            self.put(self.intake.take(self.line, json.dumps(row).encode(), self.now_ns)[0])

    def ticks(self, pair):
        row = {"e": "24hrMiniTicker", "E": self.now_ns // 10**6, "s": pair, "c": "5", "o": "5", "h": "5", "l": "5",
               "v": "1", "q": "1"}  # fmt: skip
        self.put(self.intake.take(self.line, json.dumps(row).encode(), self.now_ns)[0])

    def passes(self, until_s, each_second=lambda at_s: None):
        while self.at_s < until_s:
            each_second(self.at_s)
            self.put(self.intake.tick(self.now_ns))
            self.at_s += 1
        return self

    def dies(self):
        self.intake.closed(self.line)
        self.at_s += 1
        heads = [head for name in NAMES.values() if (head := self.intake.gaps.heads.get(name))]
        self.intake.outages.dropped(heads, self.now_ns - S, self.now_ns)
        self.put(self.intake.tick(self.now_ns))

    def is_given_up(self):
        self.put(self.intake.ended(self.now_ns, self.line._replace(connection="")))

    def restarts(self):
        """A new process, that reads the end of the log."""
        self.intake = Intake()
        for record in self.log:
            self.intake.remember(record)
        self.put(self.intake.begin(dict.fromkeys(NAMES.values(), NEXT), self.now_ns))

    def comes_back(self):
        self.line = NEXT
        self.intake.requested(NEXT, self.now_ns)
        self.intake.outages.resumed(NAMES.values(), self.now_ns)

    def minute(self, pair, number):
        return self.bars[f"{pair[:3]}/USDT", BEGIN_NS + number * NS_PER_MINUTE]

    def last_said(self):
        return {(gap.symbol, gap.gap_id): (gap.cause, gap.state) for gap in self.said}


def dead_in_the_middle_of_a_minute(quiet_pair_ticks):
    """BTC prints each second, ETH hardly ever; at second 30 the connection goes, at 40 it is given up."""
    feed = Feed()

    def each_second(at_s):
        feed.prints(BTC)
        if at_s in (-500, 5):
            feed.prints(ETH)
        if quiet_pair_ticks:
            feed.ticks(ETH)

    feed.passes(30, each_second)
    feed.dies()
    feed.passes(40, lambda at_s: (feed.prints(BTC, is_lost=True), at_s % 5 or feed.prints(ETH, is_lost=True)))
    feed.is_given_up()
    return feed


@pytest.mark.parametrize("quiet_pair_ticks", [True, False])
def test_the_minute_in_which_a_feed_dies_is_stale_also_of_a_pair_that_hardly_trades(quiet_pair_ticks):
    feed = dead_in_the_middle_of_a_minute(quiet_pair_ticks)
    feed.passes(400, lambda at_s: feed.prints(BTC, is_lost=True))
    assert [feed.minute(pair, 0).quality for pair in (BTC, ETH)] == ["stale", "stale"]
    assert max(start_ns for _, start_ns in feed.bars) == BEGIN_NS, "a dead feed has no bars of its own making"
    assert sorted(feed.last_said().values()) == [("stale", "open")] * 2


def test_a_ticker_behind_an_outage_takes_nothing_back_and_a_trade_only_what_its_id_does_not_show():
    feed = dead_in_the_middle_of_a_minute(quiet_pair_ticks=True)
    feed.passes(60, lambda at_s: feed.prints(BTC, is_lost=True))
    feed.comes_back()
    feed.passes(100, lambda at_s: (feed.ticks(ETH), feed.prints(BTC)))
    assert feed.minute(ETH, 0).quality == "stale"
    assert feed.minute(BTC, 0).quality == "gap", "its trades have shown what is missing"
    feed.prints(ETH)
    feed.passes(130, lambda at_s: (feed.ticks(ETH), feed.prints(BTC)))
    assert [feed.minute(ETH, number).quality for number in (0, 1)] == ["gap", "gap"]
    assert [said for said in feed.last_said().values() if said[0] == "stale"] == [("stale", "closed")] * 2


def test_where_nothing_was_missed_an_outage_is_taken_back_once_a_trade_has_come():
    feed = Feed()
    feed.passes(30, lambda at_s: feed.prints(BTC))
    feed.dies()
    feed.passes(40)
    feed.is_given_up()
    assert feed.minute(BTC, 0).quality == "stale"
    feed.passes(100)
    feed.comes_back()
    feed.passes(110, lambda at_s: feed.prints(BTC))
    assert feed.minute(BTC, 0).quality == "revised"
    assert [*feed.last_said().values()] == [("stale", "closed")]


def test_a_feed_that_dies_again_before_anything_came_is_one_hole():
    feed = dead_in_the_middle_of_a_minute(quiet_pair_ticks=False)
    feed.passes(100)
    feed.comes_back()
    feed.passes(110)
    feed.dies()
    feed.passes(120)
    feed.is_given_up()
    feed.passes(130)
    feed.comes_back()
    feed.passes(140, lambda at_s: feed.prints(BTC))
    assert ("stale", "open") not in {said for (symbol, _), said in feed.last_said().items() if symbol == "BTC/USDT"}
    assert feed.minute(BTC, 0).quality == "gap"


@pytest.mark.parametrize("is_new_process", [False, True])
@pytest.mark.parametrize("at_s", [2, 30, 57, 58, 59])
@pytest.mark.parametrize("away_s", [1, 2, 4])
def test_no_bar_claims_what_a_short_interruption_lost_however_soon_its_minute_closes(at_s, away_s, is_new_process):
    feed = Feed()
    feed.passes(at_s, lambda at_s: feed.prints(BTC))
    if is_new_process:
        feed.at_s += 1
    else:
        feed.dies()
    feed.passes(feed.at_s + away_s, lambda at_s: feed.prints(BTC, is_lost=True))
    if is_new_process:
        feed.restarts()
    feed.comes_back()
    feed.passes(feed.at_s + 70, lambda at_s: feed.prints(BTC))
    assert [*feed.last_said().values()].count(("ids", "open")) == 1
    assert [said for said in feed.last_said().values() if said[0] == "stale"] == [("stale", "closed")]


@pytest.mark.parametrize(("by_s", "states"), [(-3_600, ["open", "open", "closed"]), (3_600, ["open", "open"])])
def test_when_the_clock_is_set_a_hole_is_taken_back_neither_an_hour_late_nor_before_what_is_missing_is_said(
    by_s, states
):
    """A leap of an hour forward makes it an old one, which is left to who fills it."""
    feed = Feed()
    feed.passes(30, lambda at_s: feed.prints(BTC))
    feed.dies()
    feed.passes(40, lambda at_s: feed.prints(BTC, is_lost=True))
    feed.comes_back()
    feed.prints(BTC)
    feed.intake.moved(by_s * S)
    feed.set_by_s += by_s
    feed.passes(50)
    said = [(gap.cause, gap.state) for gap in feed.said]
    assert [state for cause, state in said if cause == "stale"] == states
    assert ("stale", "closed") not in said[: said.index(("ids", "open"))]
