"""`sofia backfill` writes what lies in the stretch that was asked for, and nothing else."""

from contextlib import asynccontextmanager

import msgspec
import pytest
from rest_server import serving_rest
from test_silent_rest import START_NS, WITH_IDS, Venue

from sofia_streams.core.feeds.ids import IdSet
from sofia_streams.errors import ConfigError
from sofia_streams.model import NS_PER_SECOND
from sofia_streams.ops import backfill as by_hand
from sofia_streams.settings import Settings
from sofia_streams.simulator import instrument as simulated

pytestmark = pytest.mark.slow
HOUR_NS = 3_600 * NS_PER_SECOND


class Printing(Venue):
    """Trades one a second from START_NS on; the log has none of them, and with each answer another one is printed."""

    def __init__(self, venue, monkeypatch):
        super().__init__(venue, monkeypatch, answered=10**9)
        self.known, self.gaps, self.said = IdSet(), [], []
        self.one = simulated.SimulatedInstrument(venue, "BTC/USDT", START_NS)
        for _ in range(300):
            self.print(START_NS, add=False)
        self.next_ns = START_NS + 300 * NS_PER_SECOND
        monkeypatch.setattr(by_hand, "TradeLog", self.opened)
        monkeypatch.setattr(by_hand, "open_gaps", self.open_gaps)

    def print(self, at_ns, *, add=True):
        said = self.one.print(at_ns, self.one.price(64_000), 1, "buy")
        if add:
            self.rest.add(self.instrument.venue, said)
        return said.trade

    def answer(self, target):
        self.print(self.next_ns)
        self.next_ns += NS_PER_SECOND
        return super().answer(target)

    @asynccontextmanager
    async def opened(self, settings):
        yield self.log

    async def open_gaps(self, settings):
        return self.gaps

    async def backfill(self, folder, from_ns, to_ns):
        async with serving_rest(self.rest) as port:
            settings = Settings(simulator_url=f"ws://127.0.0.1:{port}", data_dir=folder)
            return await by_hand.backfill(settings, self.instrument, from_ns, to_ns, self.said.append)


@pytest.mark.parametrize("venue", WITH_IDS)
async def test_of_a_stretch_after_the_newest_trade_nothing_is_written(venue, tmp_path, monkeypatch):
    one = Printing(venue, monkeypatch)
    from_ns = START_NS + 400 * 24 * HOUR_NS
    done = await one.backfill(tmp_path, from_ns, from_ns + HOUR_NS)
    assert (list(one.log), done.fetched, done.is_whole) == ([], 0, False)
    assert one.said[0].startswith(f"{venue} shows no trades of ") and "ids" not in one.said[0]


@pytest.mark.parametrize("venue", WITH_IDS)
async def test_a_stretch_before_the_first_trade_says_that_there_are_none(venue, tmp_path, monkeypatch):
    one = Printing(venue, monkeypatch)
    done = await one.backfill(tmp_path, START_NS - 2 * HOUR_NS, START_NS - HOUR_NS)
    assert (list(one.log), done.fetched) == ([], 0)
    assert one.said[0].startswith(f"{venue} shows no trades of ") and "ids" not in one.said[0]


@pytest.mark.parametrize("venue", WITH_IDS)
async def test_a_trade_of_a_time_that_is_not_inside_is_not_written_and_closes_no_gap(venue, tmp_path, monkeypatch):
    """Its id lies between those of the stretch: times may go backwards within ids."""
    one = Printing(venue, monkeypatch)
    inside = [one.print(START_NS + number * NS_PER_SECOND).order for number in (400, 401)]
    odd = one.print(START_NS + 300 * NS_PER_SECOND).order
    inside += [one.print(START_NS + number * NS_PER_SECOND).order for number in (402, 403)]
    one.next_ns = START_NS + 500 * NS_PER_SECOND
    held = msgspec.structs.replace(one.gap, gap_id="a", first_id=str(inside[1]), last_id=str(inside[1]))
    lost = msgspec.structs.replace(one.gap, gap_id="b", first_id=str(odd), last_id=str(odd))
    one.gaps = [held, lost]
    done = await one.backfill(tmp_path, START_NS + 400 * NS_PER_SECOND, START_NS + 403 * NS_PER_SECOND + 1)
    assert one.log.ids() == inside
    assert (done.fetched, done.gaps_closed, done.is_whole) == (4, 1, True), one.said
    assert one.log[-1].gap_id == "a"


def test_a_stretch_may_end_now_but_not_later():
    start, end = "2026-01-01T00:00", "2026-01-01T00:05"
    now_ns = START_NS + 300 * NS_PER_SECOND
    assert by_hand.past_stretch_of(start, end, now_ns) == (START_NS, now_ns)
    with pytest.raises(ConfigError, match=r"^--to: .*it is 2026-01-01T00:04:59 UTC.*in the future"):
        by_hand.past_stretch_of(start, end, now_ns - 1)
