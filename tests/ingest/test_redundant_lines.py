"""Two lines beside one another (CRYPTO_LINES=2), over real sockets: what one loses the other has."""

import pytest
from scripted import PAIRS, Scripted, hasten, ingesting, live_ids, taken_ids
from sockets import until

from sofia_streams.model import Gap

pytestmark = pytest.mark.slow
VENUES = ["okx", "bybit"]
"""One whose ids count, one where every interruption of a feed is a gap."""


@pytest.fixture
def quick(monkeypatch):
    """The same steps, closer together."""
    for venue in VENUES:
        hasten(monkeypatch, venue, silence_s=0.5, ping_every_s=0.2)


def begun(venue):
    """Whether both lines carry everything."""
    return sum(len(mine) == len(venue.listings) for mine in venue.subscribed) >= 2


def counts(log, name):
    return log.reports[-1].counts.get(name, {})


async def holds_everything(venue, log, since, trades=100):
    """That every trade printed from `since` on is in the log once, and that nothing was called a gap."""
    end = venue.printed + trades
    await until(lambda: all(end in live_ids(log, pair, venue.venue)[-500:] for pair in PAIRS))
    for pair in PAIRS:
        found = live_ids(log, pair, venue.venue)
        assert len(found) == len(set(found))
        assert set(range(since, end)) <= set(found)
    said = len(log.reports)
    await until(lambda: len(log.reports) > said + 15)  # longer than it takes to say that ids are missing
    assert [one for one in log.records if isinstance(one, Gap)] == []


@pytest.mark.parametrize("name", VENUES)
async def test_trades_that_one_of_two_lines_loses_are_not_missing(quick, name):
    venue = Scripted(name)
    async with ingesting(venue, lines=2) as log:
        await until(lambda: begun(venue))
        since = venue.printed + 1
        venue.loses = lambda connection, listing, number: number % 5 == connection
        await holds_everything(venue, log, since)
        lines = [f"{name}-0", f"{name}-0-line2"]
        await until(lambda: all(counts(log, line)["connected"] for line in lines))
        await until(lambda: sum(counts(log, line)["wins"] for line in lines) > 100)
        await until(lambda: counts(log, f"{name}|spot|BTC/USDT")["duplicates"] > 100)
        print({line: counts(log, line)["wins"] for line in lines}, counts(log, f"{name}|spot|BTC/USDT"))


async def test_a_line_that_stalls_is_opened_again_and_nothing_is_missing(quick):
    venue = Scripted("okx")
    async with ingesting(venue, lines=2) as log:
        await until(lambda: begun(venue))
        since = venue.printed + 1
        stalled = venue.sockets[0]
        stalled.transport.pause_reading()  # its pings are not answered either
        venue.loses = lambda connection, listing, number: connection == 1
        await until(lambda: len(venue.sockets) == 3)
        await holds_everything(venue, log, since)
        stalled.transport.resume_reading()


async def test_lines_that_are_cut_off_in_turn_cost_nothing(quick):
    venue = Scripted("bybit")
    async with ingesting(venue, lines=2) as log:
        await until(lambda: begun(venue))
        since = venue.printed + 1
        for cuts in range(1, 7):
            venue.sockets[-2].transport.abort()
            printed = venue.printed
            await until(lambda opened=cuts + 2: len(venue.sockets) == opened and begun_last(venue, 2))
            await until(lambda printed=printed: venue.printed > printed + 20)
        await holds_everything(venue, log, since)
        print(f"{cuts} cuts, {venue.printed - since} trades of each pair, none missing")


def begun_last(venue, connections):
    return all(len(mine) == len(venue.listings) for mine in venue.subscribed[-connections:])


async def test_one_line_alone_would_have_lost_them(quick):
    venue = Scripted("bybit")
    async with ingesting(venue, lines=1) as log:
        await until(lambda: len(taken_ids(log, PAIRS[0], "bybit")) > 50)
        venue.sockets[0].transport.abort()
        await until(lambda: log.gaps(PAIRS[0], "outage"))
        await until(lambda: log.gaps(PAIRS[0], "outage")[0].until_ns)
