"""A venue's REST that answers well and with nothing: neither the worker nor `sofia backfill` believes that."""

import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest
from rest_server import serving_rest

from sofia_streams.core.feeds.budget import Rate
from sofia_streams.core.feeds.ids import IdSet
from sofia_streams.ingest.log_trades import Instrument
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.rest import backfill as worker
from sofia_streams.ingest.rest import budget, fill
from sofia_streams.model import NS_PER_SECOND, Gap
from sofia_streams.ops import backfill as by_hand
from sofia_streams.settings import Settings
from sofia_streams.simulator import instrument as simulated
from sofia_streams.simulator.rest import Reply, Rest
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.slow
WITH_IDS = [venue for venue in VENUES if VENUES[venue].ids_count]
START_NS = 1_767_225_600 * NS_PER_SECOND
LOST = range(100, 110)
NOTHING = {"okx": '{"code": "0", "msg": "", "data": []}'}


class Log(list):
    """What was put, without a broker."""

    def __init__(self):
        super().__init__()
        self.closed = asyncio.Event()

    async def put(self, record):
        self.append(record)
        if isinstance(record, Gap) and record.state == "closed":
            self.closed.set()

    async def drain(self):
        """Everything is there at once."""

    def ids(self):
        return sorted(trade.order for record in self if not isinstance(record, Gap) for trade in record.trades)


class Venue:
    """Trades one a second, of which the log lacks ten; it answers the first questions, and those after `speak`."""

    def __init__(self, venue, monkeypatch, answered):
        for name in VENUES:
            monkeypatch.setitem(budget.RATES, name, Rate(10**6, 10**6))
        one = simulated.SimulatedInstrument(venue, "BTC/USDT", START_NS)
        self.rest, self.log, self.answered, self.asked = Rest([one]), Log(), answered, 0
        self.pressed, orders = asyncio.Event(), []
        for number in range(300):
            said = one.print(START_NS + number * NS_PER_SECOND, one.price(64_000), 1, "buy")
            self.rest.add(venue, said)
            orders.append(said.trade.order)
        self.lost = [orders[number] for number in LOST]
        self.known = IdSet([orders[0], orders[99], orders[110], orders[-1]])
        self.gap = Gap(
            venue, "spot", "BTC/USDT", 0, "1", "trade:1-10", "ids", "open", START_NS + 99 * NS_PER_SECOND,
            START_NS + 110 * NS_PER_SECOND, first_id=str(self.lost[0]), last_id=str(self.lost[-1]), missing=10,
            opened_ns=START_NS,
        )  # fmt: skip
        self.instrument, self._real = Instrument(venue, "spot", "BTC/USDT"), self.rest.answer
        self.rest.answer = self.answer

        async def ids_between(*stretch):
            return self.known

        monkeypatch.setattr(fill, "ids_between", ids_between)

    def answer(self, target):
        self.asked += 1
        if self.asked > 4:
            self.pressed.set()
        nothing = Reply(200, NOTHING.get(self.instrument.venue, "[]"))
        return self._real(target) if self.asked <= self.answered else nothing

    def speak(self):
        self.answered = 10**9


@pytest.mark.parametrize("venue", WITH_IDS)
async def test_the_worker_closes_a_gap_only_when_the_venue_answered(venue, tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "_PAUSE_S_FIRST", 0.01)
    one = Venue(venue, monkeypatch, answered=0)
    async with serving_rest(one.rest) as port:
        settings = Settings(simulator_url=f"ws://127.0.0.1:{port}", data_dir=tmp_path)
        filling = worker.Backfill(settings, Names(), one.log)
        filling.note(one.gap)
        running = asyncio.create_task(filling.run([venue]))
        async with asyncio.timeout(30):
            await one.pressed.wait()
            assert list(one.log) == []
            one.speak()
            await one.log.closed.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert one.log.ids() == one.lost
    assert (one.log[-1].filled, one.log[-1].detail) == (10, "")
    assert filling.open_gaps(f"{venue}|spot|BTC/USDT") == []


@pytest.mark.parametrize("venue", WITH_IDS)
async def test_the_worker_fills_a_gap_that_names_no_ids_by_its_times(venue, tmp_path, monkeypatch):
    """What retention dropped of the log: nobody knows the ids."""
    one = Venue(venue, monkeypatch, answered=10**9)
    first_ns, last_ns = (START_NS + number * NS_PER_SECOND for number in (LOST[0], LOST[-1]))
    changes = {"cause": "retention", "first_id": "", "last_id": "", "missing": None}
    async with serving_rest(one.rest) as port:
        settings = Settings(simulator_url=f"ws://127.0.0.1:{port}", data_dir=tmp_path)
        filling = worker.Backfill(settings, Names(), one.log)
        filling.note(msgspec.structs.replace(one.gap, from_ns=first_ns - 1, until_ns=last_ns + 1, **changes))
        running = asyncio.create_task(filling.run([venue]))
        async with asyncio.timeout(30):
            await one.log.closed.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert one.log.ids() == one.lost
    assert (one.log[-1].cause, one.log[-1].state, one.log[-1].filled) == ("retention", "closed", len(LOST))


@pytest.mark.parametrize("answered", [2, 3])
@pytest.mark.parametrize("venue", WITH_IDS)
async def test_a_stretch_by_hand_is_whole_only_when_the_venue_answered(venue, answered, tmp_path, monkeypatch):
    """Two answers find the ids of the stretch, a third shows what is before them; none of it is asked twice."""
    one, said = Venue(venue, monkeypatch, answered), []

    @asynccontextmanager
    async def log(settings):
        yield one.log

    async def open_gaps(settings):
        return [one.gap]

    for name, stand_in in (("TradeLog", log), ("open_gaps", open_gaps)):
        monkeypatch.setattr(by_hand, name, stand_in)
    stretch = START_NS + 60 * NS_PER_SECOND, START_NS + 120 * NS_PER_SECOND
    async with serving_rest(one.rest) as port:
        settings = Settings(simulator_url=f"ws://127.0.0.1:{port}", data_dir=tmp_path)
        done = await by_hand.backfill(settings, one.instrument, *stretch, said.append)
        assert (done.is_whole, done.gaps_closed, done.absent) == (False, 0, 0), said
        one.speak()
        done = await by_hand.backfill(settings, one.instrument, *stretch, said.append)
    assert (done.is_whole, done.gaps_closed, done.absent, done.unanswered) == (True, 1, 0, 0), said
    assert one.log.ids() == one.lost
