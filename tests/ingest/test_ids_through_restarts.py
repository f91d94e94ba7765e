"""Ids through restarts of the worker: the end of the log names every instrument's newest, whatever the others do."""

import json

import pytest
from gap_records import S, batch, trade
from messages import BEGIN_NS, message
from structlog.testing import capture_logs

from sofia_streams import codec
from sofia_streams.ingest.intake import Intake
from sofia_streams.ingest.line import Line
from sofia_streams.model import Gap, Punctuation
from sofia_streams.worker.logtail import RECORDS_MAX

OTHERS = [batch(trade(1, BEGIN_NS))] * (RECORDS_MAX // 3)
"""What a busy instrument of another venue writes into the same partition each second."""
OKX, LINEAR = Line("okx", "spot", "okx-0.1", "okx-0"), Line("binance", "linear", "binance-0.1", "binance-0")
CASES = [(OKX, "okx|spot|BTC/USDT", "trade"), (LINEAR, "binance|linear|BTC/USDT:USDT", "agg")]


def frame(line, number, at_ns):
    if line is OKX:
        return json.dumps(message("okx", str(number), at_ns)[0]).encode()
    row = {"e": "aggTrade", "E": at_ns // 10**6, "s": "BTCUSDT", "a": number, "p": "5", "q": "7", "f": 1, "l": 1,
           "T": at_ns // 10**6, "m": True}  # fmt: skip
    return json.dumps({"stream": "btcusdt@aggTrade", "data": row}).encode()


class Worker:
    """An intake with one instrument that hardly trades, in a partition where another writes all the time."""

    def __init__(self, line, name):
        self.line, self.name, self.now_ns = line, name, BEGIN_NS
        self.gaps, self.log, self.written = [], [], 0
        self.start()

    def start(self):
        """As the worker does: the gaps, the end of the log, then what may have been missed."""
        self.intake = Intake()
        for record in [*self.gaps, *self.log[-RECORDS_MAX:]]:
            self.intake.remember(record)
        self.intake.requested(self.line, 1)
        self.put(self.intake.begin({self.name: self.line}, self.now_ns))
        return self

    def put(self, records):
        """Into the log, over the wire form; older records than any tail are forgotten."""
        records = [codec.decode_trades(codec.encode(record)) for record in records]
        self.written += len(records)
        self.gaps += [record for record in records if isinstance(record, Gap)]
        self.log = [*self.log, *records][-2 * RECORDS_MAX :]

    def prints(self, *numbers):
        self.intake.outages.resumed([self.name], self.now_ns)
        for number in numbers:
            self.put(self.intake.take(self.line, frame(self.line, number, self.now_ns), self.now_ns)[0])
        return self

    def waits(self, seconds=20, is_heard=False):
        for _ in range(seconds):
            self.now_ns += S
            if is_heard:
                self.intake.connections.heard(self.line, self.now_ns)
            self.put(self.intake.tick(self.now_ns))
            self.log += OTHERS
            self.written += len(OTHERS)
        return self

    def ends(self):
        self.intake.outages.dropped(self.intake.gaps.heads.values(), self.now_ns, self.now_ns)
        self.put(self.intake.ended(self.now_ns, self.line))
        return self

    def missing(self):
        last = {gap.gap_id: gap for gap in self.gaps}
        return [(gap.cause, gap.state, gap.id_kind, gap.first_id, gap.last_id, gap.from_ns) for gap in last.values()]


STATES = {
    "quiet on a connection that speaks": lambda worker: worker.waits(is_heard=True),
    "on a connection that is silent": lambda worker: worker.waits(90),
    "on a connection that is gone": lambda worker: worker.waits().ends().waits(),
    "not heard since a restart": lambda worker: worker.start().waits(),
    "gone, and not heard since two restarts": lambda worker: worker.ends().waits().start().waits().start().waits(),
    "gone again after a restart": lambda worker: worker.start().waits().ends().waits(),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(("line", "name", "kind"), CASES, ids=["okx spot", "binance linear"])
def test_the_first_id_after_a_restart_is_compared_with_the_last_one_however_busy_the_others_are(
    line, name, kind, state
):
    worker = STATES[state](Worker(line, name).prints(100, 101))
    assert worker.written > RECORDS_MAX
    worker.start().waits(3).prints(105).waits(4)
    silences = [one[:2] for one in worker.missing() if one[0] == "stale"]
    assert set(silences) == {("stale", "closed")}, "what is interrupted is a hole, until a trade has come"
    assert [one for one in worker.missing() if one[0] != "stale"] == [("ids", "open", kind, "102", "104", BEGIN_NS)]
    said = [(gap.cause, gap.state) for gap in worker.gaps]
    last = len(said) - said[::-1].index(("stale", "closed")) - 1
    assert said.index(("ids", "open")) < last, "what is missing is said before the hole is taken back"


@pytest.mark.parametrize("state", STATES)
def test_what_only_repeats_the_newest_id_says_nothing_new_of_the_time(state):
    """A silent connection never moves punctuation on, and a dead instrument stays dead until it is heard again."""
    worker = Worker(*CASES[0][:2]).prints(100)
    STATES[state](worker)
    said = [record for record in worker.log if isinstance(record, Punctuation)]
    if state.startswith("quiet"):
        assert [one.exchange_ns for one in said] == sorted({one.exchange_ns for one in said})
        return
    repeated = said[-3:]
    assert len({(one.exchange_ns, one.alive, one.last_id) for one in repeated}) == 1
    assert repeated[-1].alive is not state.startswith(("gone", "on a connection that is gone"))


def test_an_instrument_that_is_read_no_more_is_spoken_of_no_more():
    worker = Worker(*CASES[0][:2]).prints(100).waits(2)
    worker.name = "okx|spot|ETH/USDT"
    before = len(worker.start().waits(1).log)
    worker.waits(2)
    assert worker.log[before:] == [*OTHERS, *OTHERS]


def test_an_instrument_of_which_the_end_of_the_log_has_nothing_is_named():
    worker = Worker(*CASES[0][:2]).prints(100)
    worker.log += OTHERS * 4
    with capture_logs() as said:
        worker.start()
    assert [one["instruments"] for one in said] == [["okx|spot|BTC/USDT"]]
    worker.log.clear()
    with capture_logs() as said:
        worker.start()
    assert said == []
