"""A hole is closed as "the venue has none of these" only by an answer that shows trades on both sides of it."""

import pytest
from rest_server import at, serving_rest

from sofia_streams.core.feeds.budget import Rate
from sofia_streams.core.feeds.ids import IdSet
from sofia_streams.errors import BadFrame
from sofia_streams.ingest.log_trades import Instrument
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.rest import budget, client, fill
from sofia_streams.ingest.rest.client import open_rest
from sofia_streams.ingest.rest.fill import Stretch
from sofia_streams.model import NS_PER_SECOND
from sofia_streams.settings import Settings
from sofia_streams.simulator import instrument as simulated
from sofia_streams.simulator.rest import Reply, Rest
from sofia_streams.venues.registry import VENUES

WITH_IDS = [venue for venue in VENUES if VENUES[venue].ids_count]
ROWS_MAX = {"binance": 1_000, "okx": 100, "coinbase": 1_000}
NOTHING = {
    "okx": '{"code": "0", "msg": "", "data": []}',
    "bybit": '{"retCode": 0, "retMsg": "OK", "result": {"list": []}}',
}
START_NS = 1_767_225_600 * NS_PER_SECOND
KNOWN = []
"""Ids that the log has before, where it is asked."""
LONG_AGO_NS, JUST_NOW_NS = START_NS, 1 << 62


@pytest.fixture(autouse=True)
def known_ids(monkeypatch):
    async def ids_between(settings, named, kind, from_ns, until_ns):
        return IdSet().union(map(str, KNOWN))

    monkeypatch.setattr(fill, "ids_between", ids_between)
    yield
    KNOWN.clear()


class Log(list):
    """What was put, without a broker."""

    async def put(self, record):
        self.append(record)

    async def drain(self):
        """Everything is there at once."""

    @property
    def ids(self):
        return [one.order for record in self for one in record.trades]


class Venue:
    """A venue that has printed trades one a second, but for those left out; and a log that is to be filled.

    `odd`: time and price of trades that are not as the others.
    """

    def __init__(self, venue, folder, trades=400, leave_out=(), begins=0, odd=()):
        self.venue, self.instrument, self.folder = venue, Instrument(venue, "spot", "BTC/USDT"), folder
        one = simulated.SimulatedInstrument(venue, "BTC/USDT", START_NS)
        self.rest, self.log, self.first = Rest([one]), Log(), None
        for number in range(trades):
            at_ns, price = dict(odd).get(number, (START_NS + number * NS_PER_SECOND, 64_000))
            said = one.print(at_ns, one.price(price), 1, "buy")
            self.first = self.first or said.trade.order
            if number >= begins and number not in leave_out:
                self.rest.add(venue, said)

    def ids(self, *numbers):
        return [self.first + number for number in numbers]

    def gap(self, first, last, passed_ns=LONG_AGO_NS):
        """Trades from number `first` to `last`."""
        return Stretch(self.instrument, *self.times(first - 1, last + 1), passed_ns, tuple(self.ids(first, last)),
                       "trade")  # fmt: skip

    def times(self, first, last):
        return START_NS + first * NS_PER_SECOND, START_NS + last * NS_PER_SECOND

    def silent_after(self, questions):
        """It answers so many, then with nothing; what is returned ends that."""
        real, left = self.rest.answer, iter(range(questions))

        def answer(target):
            return real(target) if next(left, None) is not None else Reply(200, NOTHING.get(self.venue, "[]"))

        self.rest.answer = answer
        return lambda: setattr(self.rest, "answer", real)

    async def fill(self, wanted, port, say=lambda: None):
        async with open_rest(self.venue, "spot", at(port).rest_urls[self.venue]) as rest:

            async def at_once(cost=None):
                """Instead of a pause."""

            rest.exchange.throttle = at_once
            settings = Settings(simulator_url=f"ws://127.0.0.1:{port}", data_dir=self.folder)
            return await fill.fill(rest, settings, Names(), self.log, wanted, say)


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """No waits: how often a venue may be asked has tests of its own (test_rest_budget.py)."""
    monkeypatch.setattr(client, "_AGAIN_S", 0.01)
    for venue in VENUES:
        monkeypatch.setitem(budget.RATES, venue, Rate(10**6, 10**6))


@pytest.mark.slow
@pytest.mark.parametrize("venue", WITH_IDS)
async def test_a_venue_that_answers_with_nothing_closes_no_hole_until_it_answers(venue, tmp_path):
    one = Venue(venue, tmp_path)
    wanted = one.gap(100, 160)
    speak = one.silent_after(0)
    async with serving_rest(one.rest) as port:
        for _ in range(2):
            found = await one.fill(wanted, port)
            assert (found.state, found.trades, wanted.absent) == ("later", 0, 0)
        speak()
        found = await one.fill(wanted, port)
    assert (found.state, found.trades, found.detail) == ("whole", 61, "")
    assert sorted(one.log.ids) == one.ids(*range(100, 161)), "the trades around it are not logged again"


@pytest.mark.slow
@pytest.mark.parametrize("venue", WITH_IDS)
async def test_ids_that_were_never_printed_are_closed_once_the_venue_has_had_the_time(venue, tmp_path):
    one = Venue(venue, tmp_path, leave_out={100, *range(105, 111)})
    wanted = one.gap(100, 110, passed_ns=JUST_NOW_NS)
    async with serving_rest(one.rest) as port:
        found = await one.fill(wanted, port)
        assert (found.state, found.trades) == ("later", 4)
        wanted.passed_ns = LONG_AGO_NS
        found = await one.fill(wanted, port)
    assert (found.state, found.trades, found.detail) == ("whole", 0, "the venue has no trades of 7 of these ids")
    assert sorted(one.log.ids) == one.ids(101, 102, 103, 104)


@pytest.mark.slow
@pytest.mark.parametrize("venue", WITH_IDS)
async def test_a_venue_whose_rest_ends_before_or_within_the_hole_is_asked_again(venue, tmp_path):
    one = Venue(venue, tmp_path, trades=150)
    async with serving_rest(one.rest) as port:
        wanted = one.gap(100, 180)
        found = await one.fill(wanted, port)
        assert (found.state, found.trades, wanted.absent) == ("later", 50, 0)
        found = await one.fill(wanted, port)
        assert (found.state, found.trades) == ("later", 0), "what came is not asked for again"
        found = await one.fill(one.gap(170, 180), port)
        assert (found.state, found.trades) == ("later", 0)


@pytest.mark.slow
@pytest.mark.parametrize("venue", WITH_IDS)
async def test_what_a_venue_has_forgotten_is_not_taken_for_never_printed(venue, tmp_path):
    one = Venue(venue, tmp_path, begins=150)
    wanted = one.gap(100, 180)
    async with serving_rest(one.rest) as port:
        found = await one.fill(wanted, port)
    assert (found.state, found.trades, wanted.absent) == ("later", 31, 0)
    assert found.detail == "the venue did not answer for 50 of these ids"


@pytest.mark.slow
@pytest.mark.parametrize("venue", WITH_IDS)
async def test_a_venue_that_falls_silent_between_two_pages_is_asked_for_the_rest(venue, tmp_path):
    rows = ROWS_MAX[venue]
    one = Venue(venue, tmp_path, trades=3 * rows + 40)
    speak, wanted = one.silent_after(1), one.gap(20, 3 * rows)
    async with serving_rest(one.rest) as port:
        found = await one.fill(wanted, port)
        assert (found.state, wanted.absent) == ("later", 0)
        assert 0 < found.trades <= rows
        first = len(one.log.ids)
        speak()
        found = await one.fill(wanted, port)
    assert (found.state, first + found.trades) == ("whole", 3 * rows - 19)
    assert sorted(one.log.ids) == one.ids(*range(20, 3 * rows + 1))


@pytest.mark.slow
@pytest.mark.parametrize("venue", WITH_IDS)
async def test_a_hole_whose_neighbours_were_never_printed_either_is_closed(venue, tmp_path):
    one = Venue(venue, tmp_path, leave_out=range(80, 221))
    wanted = one.gap(150, 160)
    async with serving_rest(one.rest) as port:
        found = await one.fill(wanted, port)
    assert (found.state, found.trades, wanted.absent, one.log) == ("whole", 0, 11, [])


@pytest.mark.slow
@pytest.mark.parametrize("venue", WITH_IDS)
async def test_a_stretch_that_is_known_by_its_times_has_each_trade_of_them_and_no_other(venue, tmp_path):
    one = Venue(venue, tmp_path, trades=1_500, leave_out={700})
    wanted = Stretch(one.instrument, *one.times(600, 800), LONG_AGO_NS)
    async with serving_rest(one.rest) as port:
        found = await one.fill(wanted, port)
    assert (found.state, found.trades, wanted.absent) == ("whole", 200, 1)
    assert sorted(one.log.ids) == one.ids(*range(600, 700), *range(701, 801))


@pytest.mark.slow
@pytest.mark.parametrize("venue", WITH_IDS)
async def test_of_a_stretch_by_its_times_what_the_log_has_is_not_put_there_again(venue, tmp_path):
    one = Venue(venue, tmp_path, trades=200)
    KNOWN[:] = one.ids(100, 101, 120)
    async with serving_rest(one.rest) as port:
        found = await one.fill(Stretch(one.instrument, *one.times(100, 120), LONG_AGO_NS), port)
    assert found.state == "whole"
    assert sorted(one.log.ids) == one.ids(*range(102, 120))


@pytest.mark.slow
@pytest.mark.parametrize("may_be_begun", [True, False])
async def test_of_a_gap_that_another_process_began_to_fill_only_the_rest_is_asked_for(may_be_begun, tmp_path):
    one = Venue("okx", tmp_path, trades=200)
    KNOWN[:] = one.ids(*range(100, 110))
    wanted = one.gap(100, 119)
    wanted.may_be_begun = may_be_begun
    async with serving_rest(one.rest) as port:
        assert (await one.fill(wanted, port)).state == "whole"
    assert sorted(one.log.ids) == one.ids(*range(110 if may_be_begun else 100, 120))


@pytest.mark.slow
@pytest.mark.parametrize("questions", range(5))
@pytest.mark.parametrize("venue", WITH_IDS)
async def test_a_stretch_is_not_whole_where_the_search_for_its_ids_got_no_answers(venue, questions, tmp_path):
    """Silent from some question on: the newest trades at first, then nothing, as of a venue without a memory."""
    one = Venue(venue, tmp_path, trades=1_500)
    speak, wanted = one.silent_after(questions), Stretch(one.instrument, *one.times(100, 120), LONG_AGO_NS)
    async with serving_rest(one.rest) as port:
        try:
            assert (await one.fill(wanted, port)).state == "later"
        except BadFrame as error:
            assert "none at all" in str(error)
        speak()
        assert (await one.fill(wanted, port)).state == "whole"
    assert sorted(one.log.ids) == one.ids(*range(100, 121))


@pytest.mark.slow
@pytest.mark.parametrize("venue", WITH_IDS)
async def test_a_stretch_that_may_still_get_trades_is_not_whole(venue, tmp_path):
    one = Venue(venue, tmp_path, trades=150)
    wanted = Stretch(one.instrument, *one.times(100, 200), JUST_NOW_NS)
    async with serving_rest(one.rest) as port:
        found = await one.fill(wanted, port)
        assert (found.state, found.trades) == ("later", 50)
        wanted.passed_ns = LONG_AGO_NS
        assert (await one.fill(wanted, port)).state == "whole"


@pytest.mark.slow
async def test_bybits_last_trades_are_whole_only_when_they_go_as_far_as_the_hole(tmp_path, monkeypatch):
    async def all_missing(settings, named, page, from_ns, until_ns):
        return [one for one in page if from_ns <= one.exchange_ns <= until_ns and one.order not in log.ids]

    monkeypatch.setattr(fill, "not_in_log", all_missing)
    one, states = Venue("bybit", tmp_path, trades=100), []
    log = one.log
    async with serving_rest(one.rest) as port:

        async def state_of(first, last, passed_ns):
            wanted = Stretch(one.instrument, *one.times(first, last), passed_ns)
            return (await one.fill(wanted, port)).state

        states.append(await state_of(60, 99, JUST_NOW_NS))
        states.append(await state_of(60, 110, JUST_NOW_NS))
        states.append(await state_of(60, 110, LONG_AGO_NS))
        states.append(await state_of(10, 99, JUST_NOW_NS))
        one.silent_after(0)
        states.append(await state_of(60, 99, LONG_AGO_NS))
    assert states == ["whole", "later", "whole", "never", "later"]
