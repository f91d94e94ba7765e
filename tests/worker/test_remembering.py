"""Copies of a worker that take a partition from one another know what each other has handled."""

from collections import Counter
from decimal import Decimal
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.core.feeds.tape import Tape
from sofia_streams.errors import DependencyDown
from sofia_streams.model import Trade, TradeBatch
from sofia_streams.worker.remembering import RECORDS_MAX, Remembering


def batch(number):
    trade = Trade(str(number), Decimal(1), Decimal(1), "buy", number * 1_000_000, number)
    return TradeBatch("okx", "spot", "BTC/USDT", number, "1", [trade])


class Copy:
    """A process of a worker with one entry a trade; `streams` takes an entry at most once a record, as Redis does."""

    def __init__(self, log, streams):
        self.log, self.streams, self.reads, self.troubles = log, streams, [], 0
        self.tape = Tape()
        self.remembering = Remembering(self.read, lambda found: self.tape.distinct(found.trades))

    async def read(self, place, first, until):
        self.reads.append((first, until))
        for offset in range(first, until):
            yield self.log[offset]
            if self.troubles:
                self.troubles -= 1
                raise DependencyDown("the broker is away")

    async def handle(self, first, until):
        for offset in range(first, until):
            await self.remembering.before(SimpleNamespace(topic="trades", partition=0, offset=offset))
            new = self.tape.distinct(self.log[offset].trades)
            if new:
                self.streams.setdefault(offset, [trade.trade_id for trade in new])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.data())
async def test_a_trade_that_stands_in_the_log_twice_is_published_once_whoever_had_the_partition(numbers, data):
    log, streams = [batch(number) for number in numbers], {}
    copies = [Copy(log, streams), Copy(log, streams)]
    committed = 0
    while committed < len(log):
        place = data.draw(st.integers(0, 1), "who has it")
        if data.draw(st.booleans(), "was killed"):
            copies[place] = Copy(log, streams)
        until = data.draw(st.integers(committed + 1, len(log)), "handles up to")
        await copies[place].handle(committed, until)
        committed = data.draw(st.integers(committed + 1, until), "has committed")
    held = Counter(trade_id for entries in streams.values() for trade_id in entries)
    assert held == {str(number): 1 for number in numbers}


async def test_what_follows_is_not_read_and_what_was_read_before_a_trouble_counts_once():
    copy = Copy([batch(number) for number in range(100)], {})
    copy.troubles = 1
    await copy.handle(40, 60)
    await copy.handle(55, 70)
    assert copy.reads == [(0, 40), (0, 40)]
    await copy.handle(80, 90)
    assert copy.reads[2:] == [(70, 80)]
    assert sorted(copy.streams) == [*range(40, 70), *range(80, 90)]


async def test_no_more_is_read_than_a_few_minutes():
    reads = []

    async def read(place, first, until):
        reads.append((first, until))
        return
        yield

    await Remembering(read, print).before(SimpleNamespace(topic="trades", partition=3, offset=10**9))
    assert reads == [(10**9 - RECORDS_MAX, 10**9)]
