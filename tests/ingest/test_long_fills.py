"""A gap of many pages: it gives way to others of its venue, goes on where it was, and comes to its end."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_server import serving_rest
from test_fill import LONG_AGO_NS, ROWS_MAX, WITH_IDS, Venue, hasty, known_ids  # noqa: F401 - fixtures

from sofia_streams.ingest.names import Names
from sofia_streams.ingest.rest import backfill as module
from sofia_streams.ingest.rest.backfill import Backfill
from sofia_streams.ingest.rest.fill import Fetched, Stretch
from sofia_streams.model import NS_PER_SECOND, Gap
from sofia_streams.settings import Settings

A_TURN = module._PAGES_A_TURN


@pytest.mark.slow
@pytest.mark.parametrize("by_times", [False, True])
@pytest.mark.parametrize("venue", WITH_IDS)
async def test_a_fill_that_was_ended_after_each_page_brings_each_trade_once_and_asks_little_twice(
    venue, by_times, tmp_path
):
    last = 3 * ROWS_MAX[venue]
    one = Venue(venue, tmp_path, trades=last + 40, leave_out={30, 31, last - 5})
    wanted = Stretch(one.instrument, *one.times(20, last), LONG_AGO_NS) if by_times else one.gap(20, last)
    states, asked = [], []
    async with serving_rest(one.rest) as port:
        while not states or states[-1] == "paused":
            before = one.rest.asked[venue]
            states.append((await one.fill(wanted, port, lambda: True)).state)
            asked.append(one.rest.asked[venue] - before)
    assert states[:2] + states[-1:] == ["paused", "paused", "whole"]
    assert sorted(one.log.ids) == one.ids(*(n for n in range(20, last + 1) if n not in {30, 31, last - 5}))
    assert wanted.absent == 3
    assert max(asked[1:]) <= 2, "what is known of the ids is not asked again"


class Pages:
    """A venue of so many pages a gap, in place of REST: `seen` has the gap of each, in order."""

    def __init__(self, monkeypatch, sizes):
        self.left, self.seen, self.news = dict(sizes), [], {}
        self.worker = Backfill(Settings(), Names(), self)
        self.closed, self._all = [], asyncio.Event()

        @asynccontextmanager
        async def rest(venue, market):
            yield SimpleNamespace(market=market)

        monkeypatch.setattr(module.Place, "of", lambda settings: SimpleNamespace(rest=rest))
        monkeypatch.setattr(module, "fill", self.fill)

    def gap(self, name, opened_s):
        return Gap("okx", "spot", "BTC/USDT", 0, "1", name, "ids", "open", 0, 1, opened_ns=opened_s * NS_PER_SECOND)

    async def fill(self, rest, settings, names, log, wanted, say=lambda: None):
        name = self.named(wanted)
        while self.left[name]:
            self.left[name] -= 1
            self.seen.append(name)
            for gap in self.news.pop(len(self.seen), ()):
                self.worker.note(gap)
            await asyncio.sleep(0)
            if say():
                return Fetched(1, "paused")
        return Fetched(1, "whole")

    def named(self, wanted):
        return next(todo.gap.gap_id for todo in self.worker._todo["okx"].values() if todo.wanted is wanted)

    async def put(self, record):
        self.closed.append((record.gap_id, len(self.seen)))
        if len(self.closed) == len(self.left):
            self._all.set()

    async def run(self, *first):
        for gap in first:
            self.worker.note(gap)
        running = asyncio.create_task(self.worker.run(["okx"]))
        async with asyncio.timeout(20):
            await self._all.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return dict(self.closed)


async def test_a_small_new_gap_is_filled_within_a_turn_of_the_long_one_that_is_being_filled(monkeypatch):
    venue = Pages(monkeypatch, {"long": 600, "new": 2})
    venue.news[205] = [venue.gap("new", 9)]
    closed = await venue.run(venue.gap("long", 1))
    assert closed == {"new": 207, "long": 602}


async def test_new_gaps_that_never_cease_do_not_starve_a_long_one(monkeypatch):
    """One of two pages with every page that is fetched, each newer than all before."""
    count = 400
    venue = Pages(monkeypatch, {"long": 200, **{str(number): 2 for number in range(count)}})
    venue.news = {number + 1: [venue.gap(str(number), 10 + number)] for number in range(count)}
    closed = await venue.run(venue.gap("long", 1))
    assert closed["long"] <= 2 * 200 + 2 * A_TURN
    assert venue.seen[A_TURN : A_TURN + 2] == [str(A_TURN - 1)] * 2, "the newest comes first"


async def test_two_long_gaps_take_turns_and_a_small_one_waits_for_one_turn_at_most(monkeypatch):
    venue = Pages(monkeypatch, {"one": 300, "two": 300, "new": 3})
    venue.news[150] = [venue.gap("new", 3)]
    closed = await venue.run(venue.gap("one", 1), venue.gap("two", 2))
    assert closed["new"] <= 150 + A_TURN + 3
    both = [name for name in venue.seen if name != "new"]
    assert abs(closed["one"] - closed["two"]) <= A_TURN
    assert all(set(both[at : at + 2 * A_TURN + 1]) == {"one", "two"} for at in range(500))


async def test_a_gap_that_is_alone_is_filled_in_one_go(monkeypatch):
    venue = Pages(monkeypatch, {"long": 300})
    turns, real = [], venue.worker._turn

    async def turn(rest, todo):
        turns.append(todo)
        await real(rest, todo)

    monkeypatch.setattr(venue.worker, "_turn", turn)
    assert await venue.run(venue.gap("long", 1)) == {"long": 300}
    assert len(turns) == 1


@given(st.lists(st.tuples(st.integers(1, 90), st.integers(0, 200), st.integers(0, 9)), min_size=1, max_size=12))
def test_every_gap_comes_to_its_end_whatever_comes_between(gaps):
    with pytest.MonkeyPatch.context() as monkeypatch:

        async def main():
            venue = Pages(monkeypatch, {str(place): pages for place, (pages, _, _) in enumerate(gaps)})
            for place, (_, at, opened) in enumerate(gaps[1:], 1):
                venue.news.setdefault(1 + at % gaps[0][0], []).append(venue.gap(str(place), opened))
            return venue, await venue.run(venue.gap("0", gaps[0][2]))

        venue, closed = asyncio.run(main())
        assert sorted(closed) == sorted(venue.left)
        assert len(venue.seen) == sum(pages for pages, _, _ in gaps)
