"""Which copy of a trade a filled hole leaves in the store: a log and stores in memory, no server."""

from contextlib import asynccontextmanager
from decimal import Decimal
from types import SimpleNamespace

import msgspec
import pytest
from aiokafka import TopicPartition

from sofia_streams import codec, topics
from sofia_streams.model import Outage, Trade, TradeBatch
from sofia_streams.settings import Settings
from sofia_streams.stores.base import TABLES, rows_of
from sofia_streams.worker import filling
from sofia_streams.worker.copies import Copies

SETTINGS = Settings(broker_url="kafka://127.0.0.1:1", topic_partitions=1)
PLACE = TopicPartition(topics.wire_name(topics.TRADES, ""), 0)
NAME = topics.partition_name(PLACE)
PRINT = Trade("7", Decimal(1), Decimal(1), "buy", 10**18, 7)
HISTORY, FETCHED = (msgspec.structs.replace(PRINT, **{flag: True}) for flag in ("snapshot", "backfilled"))
OTHER = Trade("8", Decimal(2), Decimal(1), "sell", 10**18 + 1, 8)


def batch(*trades: Trade) -> TradeBatch:
    return TradeBatch("okx", "spot", "BTC/USDT", 10**18, "1", list(trades))


class Held:
    """A store with a row a key, the last one written; what the log gets after so many writes stands in `later`."""

    name = "questdb"

    def __init__(self, log, later=()):
        self.rows, self.written, self._log, self._later = {}, 0, log, [*later]
        self.columns = list(TABLES["trades"].columns)

    def write(self, records):
        if self._later:  # a print comes live, and its writer is quicker than the filling
            self._log.append(self._later.pop(0))
            self.write([self._log[-1]])
        for record in records:
            for row in rows_of(record):
                named = dict(zip(self.columns, row, strict=True))
                self.rows[named["trade_id"]] = named["snapshot"], named["backfilled"]
                self.written += 1
        return len(records)


class Fallback:
    def __init__(self, record):
        self._record = record

    def stored_between(self, table, from_ns, until_ns):
        return iter([self._record] if table == "trades" else [])


@pytest.fixture
def fill(monkeypatch):
    """Fill the hole of these offsets of a log of batches; what the store is left with."""

    async def run(log, first, last, *, begin=0, later=(), fallback=None):
        store = Held(log, later)
        for record in log[last + 1 :]:
            store.write([record])  # after the outage the writer goes on

        class Consumer:
            async def beginning_offsets(self, places):
                return dict.fromkeys(places, begin)

            async def end_offsets(self, places):
                return dict.fromkeys(places, len(log))

        @asynccontextmanager
        async def reader(settings, **_):
            yield Consumer()

        async def records_between(consumer, starts, ends):
            for place, start in starts.items():
                for offset in range(start, ends[place]):
                    value = codec.encode(log[offset])
                    yield SimpleNamespace(topic=place.topic, partition=0, offset=offset, value=value, timestamp=0)

        async def say(settings, *records):
            said.extend(records)

        said = []
        for name, stand_in in (("reader", reader), ("records_between", records_between), ("say", say)):
            monkeypatch.setattr(filling, name, stand_in)
        own = filling.Filling(SETTINGS, store, fallback, None, "me", group="g", assigned=list, is_held=lambda: False,
                              disputed=lambda: None)  # fmt: skip
        await own._fill(Outage("me:1", "questdb", "filling", 1, 2, {NAME: first}, {NAME: last}))
        assert [one.state for one in said] == ["closed"]
        return store

    return run


@pytest.mark.parametrize(
    ("in_hole", "behind"), [(HISTORY, PRINT), (HISTORY, FETCHED), (FETCHED, PRINT), (PRINT, FETCHED)]
)
async def test_a_filled_trade_does_not_stay_over_a_copy_that_the_log_has_behind_the_hole(fill, in_hole, behind):
    store = await fill([batch(in_hole), batch(OTHER), batch(behind, OTHER)], 0, 1)
    assert store.rows == {"7": (behind.snapshot, behind.backfilled), "8": (False, False)}


async def test_a_copy_that_comes_while_the_hole_is_filled_stays(fill):
    store = await fill([batch(HISTORY)], 0, 0, later=[batch(PRINT)])
    assert store.rows == {"7": (False, False)}


async def test_a_copy_behind_what_came_from_the_fallback_stays(fill):
    log = [batch(HISTORY), batch(PRINT)]
    store = await fill(log, 0, 0, begin=1, fallback=Fallback(batch(HISTORY)))
    assert store.rows == {"7": (False, False)}


async def test_of_what_stands_behind_the_hole_only_other_copies_are_written_again(fill):
    behind = [batch(msgspec.structs.replace(OTHER, trade_id=str(number))) for number in range(10, 60)]
    store = await fill([batch(HISTORY, OTHER), *behind, batch(PRINT)], 0, 0)
    assert store.written == 51 + 2 + 1


def test_more_copies_than_can_be_remembered_make_every_later_trade_one():
    copies = Copies(noted_max=1)
    assert copies.again(batch(OTHER)) is None
    assert copies.noted(batch(HISTORY, msgspec.structs.replace(OTHER, snapshot=True), PRINT)) is not None
    assert copies.again(batch(msgspec.structs.replace(OTHER, trade_id="9"))) is not None
