"""Readers of a stretch of the log: where they begin, what they skip, and what they hold, on a log in memory."""

import asyncio
import gc
from decimal import Decimal
from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaError

from sofia_streams import codec, logread, topics
from sofia_streams.core.bars.candles import Step
from sofia_streams.core.bars.windows import Minute
from sofia_streams.ingest.log_trades import Instrument, ids_between, not_in_log, partition_of, volumes_of, was_heard
from sofia_streams.logread import EARLY_NS
from sofia_streams.model import NS_PER_MINUTE, NS_PER_MS, NS_PER_SECOND, Punctuation, Trade, TradeBatch
from sofia_streams.ops.verify.log import LogSide, Span
from sofia_streams.settings import Settings
from sofia_streams.worker.rebuilding import Rebuilder

START_NS = 1_767_225_600 * NS_PER_SECOND
EARLY = 3 * NS_PER_MINUTE
BTC, ETH = (Instrument("bybit", "spot", f"{coin}/USDT") for coin in ("BTC", "ETH"))
SETTINGS = Settings(broker_url="kafka://127.0.0.1:1", topic_partitions=1)


def trade(number, at_ns, quantity="1", *, snapshot=False):
    return Trade(str(number), Decimal(10), Decimal(quantity), "buy", at_ns, number, snapshot=snapshot)


class Log:
    """Records with their times, in partitions of `trades`; every consumer reads it. `decoded` counts."""

    def __init__(self, monkeypatch):
        self.records, self.decoded, self.consumers = {}, 0, 0
        monkeypatch.setattr(logread, "AIOKafkaConsumer", lambda *names, **options: Reader(self))
        decode = codec.decode_trades

        def counted(data):
            self.decoded += 1
            return decode(data)

        monkeypatch.setattr(codec, "decode_trades", counted)

    def add(self, one, logged_ns, *trades, settings=SETTINGS):
        self.put(TradeBatch(*one, logged_ns, "1", list(trades)), logged_ns, settings)

    def put(self, record, logged_ns, settings=SETTINGS):
        count = topics.partitions(topics.TRADES, settings.topic_partitions)
        place = logread.places(settings, topics.TRADES)[partition_of(record.symbol, count)]
        found = self.records.setdefault(place, [])
        found.append(
            SimpleNamespace(
                topic=place.topic, partition=place.partition, offset=len(found), key=record.symbol.encode(),
                value=codec.encode(record), timestamp=logged_ns // NS_PER_MS,
            )
        )  # fmt: skip

    def spoil(self, one):
        """Records that are none, under the key of an instrument."""
        for value in (b"", b"[]", b'{"venue":1}', None, b"\xff"):
            self.add(one, START_NS)
            next(iter(self.records.values()))[-1].value = value


class Reader:
    """As much of a consumer as readers of stretches use."""

    def __init__(self, log):
        self._log, self._at = log, {}
        log.consumers += 1

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        return None

    async def start(self):
        return None

    async def stop(self):
        return None

    def assign(self, places):
        self._at = dict.fromkeys(places, 0)

    def seek(self, place, offset):
        self._at[place] = offset

    async def position(self, place):
        return self._at[place]

    async def beginning_offsets(self, places):
        return dict.fromkeys(places, 0)

    async def end_offsets(self, places):
        return {place: len(self._log.records.get(place, ())) for place in places}

    async def offsets_for_times(self, wanted):
        return {
            place: next((one for one in self._log.records.get(place, ()) if one.timestamp >= since_ms), None)
            for place, since_ms in wanted.items()
        }

    async def getmany(self, *places, timeout_ms):
        found = {place: self._log.records.get(place, [])[self._at[place] :] for place in places}
        self._at |= {place: self._at[place] + len(records) for place, records in found.items()}
        return found


@pytest.fixture
def log(monkeypatch):
    return Log(monkeypatch)


@pytest.fixture
def early(log):
    """A trade of START_NS in a record that stands three minutes earlier: its receiver's clock is behind."""
    log.add(BTC, START_NS - 30 * NS_PER_MINUTE, trade(1, START_NS - 30 * NS_PER_MINUTE))
    log.add(BTC, START_NS - EARLY, trade(2, START_NS))
    return log


async def read_by_volume():
    return (await volumes_of(SETTINGS, {BTC: [START_NS]}))[BTC][START_NS] == 1


async def read_by_life():
    return await was_heard(SETTINGS, BTC, START_NS, START_NS)


async def read_by_page():
    return await not_in_log(SETTINGS, BTC, [trade(2, START_NS)], START_NS, START_NS) == []


async def read_by_ids():
    return "2" in await ids_between(SETTINGS, BTC, "trade", START_NS, START_NS)


async def read_by_rebuilding():
    bars = []

    async def done():
        return None

    async def publish(bar):
        bars.append(bar)
        return done()

    await Rebuilder(SETTINGS, publish, done).rebuild(Step([], {}, rebuild=frozenset([Minute(*BTC, START_NS)])), 0, 1)
    return 1 in [bar.trade_count for bar in bars]


async def read_by_verifying():
    rows = []
    spool = SimpleNamespace(add=lambda bucket, row: rows.append(row), rows_added=0)
    async with LogSide(SETTINGS, spool, Span(START_NS, START_NS + NS_PER_MINUTE)) as side:
        side._done = {"ohlcv": {}}
        side._ends = await side._consumer.end_offsets(side._places)
        await side.read(lambda text: None)
    return [row.record.trade_id for row in rows] == ["2"]


READERS = (read_by_volume, read_by_life, read_by_page, read_by_ids, read_by_rebuilding, read_by_verifying)


@pytest.mark.parametrize("reader", READERS)
async def test_a_record_that_stands_three_minutes_early_is_found_by_every_reader(early, reader):
    assert EARLY_NS > EARLY
    assert await reader()


async def test_a_reader_that_finds_no_broker_leaves_nothing_open():
    unclosed = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unclosed.append(context["message"]))
    with pytest.raises(KafkaError):
        async with logread.reader(SETTINGS):
            raise AssertionError("it began")
    gc.collect()
    assert unclosed == []


async def test_one_reading_serves_all_instruments_and_records_of_others_are_not_decoded(log):
    log.add(BTC, START_NS, trade(1, START_NS, "0.25"), trade(2, START_NS + NS_PER_MINUTE, "4"))
    log.add(BTC, START_NS, trade(1, START_NS, "0.25"))
    log.add(ETH, START_NS, trade(1, START_NS, "3"), trade(2, START_NS, "100", snapshot=True))
    for coin in range(50):
        log.add(BTC._replace(symbol=f"X{coin}/USDT"), START_NS, trade(1, START_NS))
        log.add(BTC._replace(venue="okx"), START_NS, trade(1, START_NS))
    log.spoil(BTC)
    found = await volumes_of(SETTINGS, {BTC: [START_NS, START_NS + NS_PER_MINUTE], ETH: [START_NS]})
    assert found == {BTC: {START_NS: Decimal("0.25"), START_NS + NS_PER_MINUTE: 4}, ETH: {START_NS: 3}}
    assert (log.consumers, log.decoded) == (1, 3)


async def test_a_minute_without_a_trade_counts_nothing_and_one_that_is_not_asked_for_is_left_out(log):
    log.add(BTC, START_NS, trade(1, START_NS), trade(2, START_NS + NS_PER_MINUTE))
    later_ns = START_NS + 2 * NS_PER_MINUTE
    assert await volumes_of(SETTINGS, {BTC: [START_NS, later_ns]}) == {BTC: {START_NS: 1, later_ns: 0}}
    assert await volumes_of(SETTINGS, {BTC: []}) == {}
    assert log.consumers == 1


async def test_instruments_in_several_partitions_are_read_at_once(log):
    settings = SETTINGS.model_copy(update={"topic_partitions": 7})
    wanted = {BTC._replace(symbol=f"X{coin}/USDT"): [START_NS] for coin in range(20)}
    for number, one in enumerate(wanted):
        log.add(one, START_NS, trade(1, START_NS, str(number + 1)), settings=settings)
    assert len(log.records) > 3
    assert [found[START_NS] for found in (await volumes_of(settings, wanted)).values()] == list(range(1, 21))
    assert log.consumers == 1


@pytest.mark.parametrize(("alive", "is_heard"), [(True, True), (False, False)])
async def test_a_feed_that_was_alive_and_quiet_was_heard_and_one_that_ended_was_not(log, alive, is_heard):
    log.put(Punctuation(*BTC, START_NS, "1", START_NS, alive), START_NS)
    log.add(BTC, START_NS, trade(1, START_NS, snapshot=True))
    log.add(ETH, START_NS, trade(1, START_NS))
    assert await was_heard(SETTINGS, BTC, START_NS - NS_PER_MINUTE, START_NS) is is_heard
    assert not await was_heard(SETTINGS, BTC, START_NS + 1, START_NS + NS_PER_MINUTE)


async def test_a_sign_of_life_is_not_looked_for_up_to_the_end_of_the_log(log):
    for minute in range(1_000):
        log.add(BTC, START_NS + minute * NS_PER_MINUTE, trade(minute + 1, START_NS + minute * NS_PER_MINUTE))
    assert not await was_heard(SETTINGS, BTC, START_NS + 1, START_NS + 2)
    assert log.decoded < 10
