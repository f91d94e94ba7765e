"""Fetched trades that cannot be true are set aside; what they may be of is missing until the venue says better."""

import asyncio

import pytest
from rest_server import serving_rest
from test_fill import START_NS, WITH_IDS, Venue, hasty, known_ids  # noqa: F401 - fixtures

from sofia_streams.ingest.names import Names
from sofia_streams.ingest.rest import backfill, fill
from sofia_streams.ingest.rest.backfill import Backfill
from sofia_streams.ingest.rest.fill import Stretch
from sofia_streams.model import NS_PER_SECOND, Gap, Quarantined, TradeBatch
from sofia_streams.obs import metrics
from sofia_streams.settings import Settings

pytestmark = pytest.mark.slow
ODD, FIRST, LAST = 350, 345, 355
"""Numbers of the trades; Bybit gives the last 60 of 400."""
THEN_NS = START_NS + ODD * NS_PER_SECOND
YEAR_2099_NS = 4_080_000_000 * NS_PER_SECOND
IN_TIME = {
    "from the future": (YEAR_2099_NS, 64_000),
    "of another age": (NS_PER_SECOND, 64_000),
    "a million times too dear": (THEN_NS, 64_000_000_000),
    "nearly for nothing": (THEN_NS, 0.1),
}
BY_THE_EDGES = {
    "an hour before the gap": (THEN_NS - 3_600 * NS_PER_SECOND, 64_000),
    "an hour after the gap": (THEN_NS + 3_600 * NS_PER_SECOND, 64_000),
}


def shown(venue):
    return metrics.REFUSED.labels(venue)._value.get()


class Odd(Venue):
    """One trade of a gap of eleven is odd over REST, until the venue is `mended`."""

    def __init__(self, venue, folder, odd):
        super().__init__(venue, folder, odd={ODD: odd})
        ids = self.ids(FIRST, LAST) if venue != "bybit" else ("", "")
        from_ns, until_ns = self.times(FIRST - 1, LAST + 1)
        self.gap_of_it = Gap(
            *self.instrument, until_ns, "1", "a", "ids", "open", from_ns, until_ns, "trade", *map(str, ids),
            opened_ns=until_ns,
        )  # fmt: skip

    def mended(self):
        self.rest.answer = Venue(self.venue, self.folder).rest.answer

    def put(self, kind):
        return [record for record in self.log if isinstance(record, kind)]

    def logged(self):
        return [trade.exchange_ns for batch in self.put(TradeBatch) for trade in batch.trades]

    def seconds(self, *, but=None):
        return [START_NS + number * NS_PER_SECOND for number in range(FIRST, LAST + 1) if number != but]


@pytest.mark.parametrize("how", [*IN_TIME, *BY_THE_EDGES])
@pytest.mark.parametrize("venue", WITH_IDS)
async def test_an_odd_trade_is_set_aside_once_and_its_gap_is_whole_only_when_the_venue_says_better(
    venue, how, tmp_path
):
    one = Odd(venue, tmp_path, (IN_TIME | BY_THE_EDGES)[how])
    wanted, before = Stretch.of_gap(one.gap_of_it), shown(venue)
    async with serving_rest(one.rest) as port:
        for brought in (10, 0):
            found = await one.fill(wanted, port)
            assert (found.state, found.trades, wanted.absent) == ("later", brought, 0)
            assert found.detail.startswith(f"1 of its trades are not believed (trade {one.first + ODD}: expected a ")
        assert sorted(one.logged()) == one.seconds(but=ODD)
        (aside,) = one.put(Quarantined)
        assert aside.source == f"{venue}|spot|backfill"
        assert aside.reason.startswith(f"{venue}|spot|BTC/USDT trade {one.first + ODD}: expected a ")
        assert shown(venue) == before + 1
        one.mended()
        found = await one.fill(wanted, port)
        assert (found.state, found.trades, found.detail) == ("whole", 1, "")
    assert sorted(one.logged()) == one.seconds()


@pytest.mark.parametrize("how", IN_TIME)
async def test_where_ids_do_not_count_an_odd_trade_keeps_the_gap_open_too(how, tmp_path, monkeypatch):
    one = Odd("bybit", tmp_path, IN_TIME[how])
    wanted = Stretch.of_gap(one.gap_of_it)

    async def not_in_log(settings, named, page, from_ns, until_ns):
        return [trade for trade in page if trade.exchange_ns not in one.logged()]

    monkeypatch.setattr(fill, "not_in_log", not_in_log)
    async with serving_rest(one.rest) as port:
        for _ in range(2):
            found = await one.fill(wanted, port)
            assert found.state == "later"
            assert found.detail.startswith("1 of its trades are not believed (trade ")
        assert ODD * NS_PER_SECOND + START_NS not in one.logged()
        assert len(one.put(Quarantined)) == 1
        one.mended()
        assert (await one.fill(wanted, port)).state == "whole"
    inside = one.seconds()
    assert [at_ns for at_ns in sorted(one.logged()) if inside[0] <= at_ns <= inside[-1]] == inside


async def test_a_search_by_time_does_not_go_by_a_time_that_cannot_be_true(tmp_path):
    """The newest trade is said to be of 2099, and one before the stretch as well."""
    one = Venue("binance", tmp_path, odd=dict.fromkeys((90, 399), (YEAR_2099_NS, 64_000)))
    wanted = Stretch(one.instrument, *one.times(100, 120), START_NS)
    async with serving_rest(one.rest) as port:
        assert (await one.fill(wanted, port)).state == "whole"
    assert wanted.ids == tuple(one.ids(100, 120))
    assert sorted(one.log.ids) == one.ids(*range(100, 121))


async def test_the_worker_says_why_a_gap_stays_open_and_closes_it_later(tmp_path, monkeypatch):
    monkeypatch.setattr(backfill, "_PAUSE_S_FIRST", 0.01)
    one, news = Odd("okx", tmp_path, IN_TIME["from the future"]), asyncio.Queue()

    class Log(list):
        async def put(self, record):
            self.append(record)
            if isinstance(record, Gap):
                news.put_nowait(record)

        async def drain(self):
            """Everything is there at once."""

    one.log = Log()
    async with serving_rest(one.rest) as port, asyncio.timeout(30):
        filling = Backfill(Settings(simulator_url=f"ws://127.0.0.1:{port}", data_dir=tmp_path), Names(), one.log)
        filling.note(one.gap_of_it)
        running = asyncio.create_task(filling.run(["okx"]))
        said = await news.get()
        assert (said.state, said.filled) == ("open", 10)
        assert "not believed (trade" in said.detail
        one.mended()
        said = await news.get()
        assert (said.state, said.filled, said.detail) == ("closed", 11, "")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
