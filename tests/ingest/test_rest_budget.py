"""A venue that says no is left alone: counted at the server, for every way it says so."""

import asyncio

import pytest
from rest_server import at, serving_rest

from sofia_streams.errors import DependencyDown
from sofia_streams.ingest.rest import budget as rest_budget
from sofia_streams.ingest.rest import client as rest_client
from sofia_streams.ingest.rest.budget import budget_of
from sofia_streams.ingest.rest.client import open_rest
from sofia_streams.ingest.rest.klines import fetch_klines
from sofia_streams.ingest.rest.trade_history import fetch_recent
from sofia_streams.model import NS_PER_MINUTE
from sofia_streams.simulator.instrument import SimulatedInstrument
from sofia_streams.simulator.rest import Reply, Rest
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.slow
START_NS = 1_767_225_600 * 10**9


def market(*venues):
    instruments = [SimulatedInstrument(venue, "BTC/USDT", START_NS) for venue in venues]
    rest = Rest(instruments)
    for one in instruments:
        rest.add(one.venue, one.print(START_NS, one.last, 5, "buy"))
    return rest


def asking(venue, port):
    return open_rest(venue, "spot", at(port).rest_urls[venue])


def no(status, retry_after=None):
    headers = {"Content-Type": "application/json"}
    return Reply(status, "{}", headers if retry_after is None else headers | {"Retry-After": retry_after})


def listing(venue):
    return VENUES[venue].to_listing("BTC/USDT", "spot")


@pytest.mark.parametrize("status", [418, 403, 451])
@pytest.mark.parametrize("venue", VENUES)
async def test_nothing_is_asked_during_a_ban_by_any_client_and_others_go_on(venue, status):
    other = "okx" if venue != "okx" else "bybit"
    simulated = market(venue, other)
    simulated.instead.append(no(status))
    async with serving_rest(simulated) as port, asking(venue, port) as rest, asking(venue, port) as second:
        with pytest.raises(DependencyDown, match=rf"HTTP {status}.*not asked before 20..-..-.. ..:..:.. UTC"):
            await fetch_recent(rest, listing(venue))
        for client in (rest, second) * 3:
            with pytest.raises(DependencyDown, match=rf"the venue said HTTP {status}.*not asked before 20"):
                await fetch_recent(client, listing(venue))
        with pytest.raises(DependencyDown, match="not asked before"):
            await fetch_klines(venue, "spot", "BTC/USDT", "1m", START_NS, START_NS + NS_PER_MINUTE, place=at(port))
        assert simulated.asked[venue] == 1
        async with asking(other, port) as third:
            assert len(await fetch_recent(third, listing(other))) == 1


async def test_who_waits_for_the_budget_when_a_ban_comes_sends_nothing(monkeypatch):
    monkeypatch.setitem(rest_budget.RATES, "okx", rest_budget.Rate(600, 1))
    simulated = market("okx")
    simulated.instead.append(no(418, "3600"))
    async with serving_rest(simulated) as port, asking("okx", port) as rest:
        asked = [fetch_recent(rest, "BTC-USDT") for _ in range(8)]
        found = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(one, DependencyDown) for one in found)
    assert simulated.asked["okx"] <= 2  # one may have been on its way


async def test_a_ban_is_over_when_the_venue_said_so():
    simulated = market("okx")
    simulated.instead.append(no(418, "1"))
    async with serving_rest(simulated) as port, asking("okx", port) as rest:
        with pytest.raises(DependencyDown, match="not asked before"):
            await fetch_recent(rest, "BTC-USDT")
        async with asyncio.timeout(30):
            while True:
                try:
                    assert len(await fetch_recent(rest, "BTC-USDT")) == 1
                    break
                except DependencyDown:
                    await asyncio.sleep(0.05)
    assert simulated.asked["okx"] == 2


@pytest.mark.parametrize(
    "busy",
    [
        no(429, "1"),
        no(429),
        Reply(200, '{"code":"50011","msg":"Too Many Requests","data":[]}'),
        Reply(429, '{"code":"50011","msg":"Too Many Requests","data":[]}'),
    ],
)
async def test_a_busy_venue_is_waited_for_by_all_and_then_answers(busy, monkeypatch):
    monkeypatch.setattr(rest_client, "_BUSY_S", 1.0)
    simulated = market("okx")
    simulated.instead.append(busy)
    async with serving_rest(simulated) as port, asking("okx", port) as rest, asking("okx", port) as second:
        assert len(await fetch_recent(rest, "BTC-USDT")) == 1
        simulated.instead.append(busy)
        found = await asyncio.gather(fetch_recent(rest, "BTC-USDT"), fetch_recent(second, "BTC-USDT"))
    assert [len(one) for one in found] == [1, 1]
    assert simulated.asked["okx"] <= 5


async def test_a_pause_too_long_to_wait_for_is_an_error_at_once_and_nothing_is_sent():
    simulated = market("okx")
    simulated.instead.append(no(429, "3600"))
    async with serving_rest(simulated) as port, asking("okx", port) as rest:
        for _ in range(5):
            with pytest.raises(DependencyDown, match=r"asked too often.*not asked before"):
                await fetch_recent(rest, "BTC-USDT")
    assert simulated.asked["okx"] == 1


async def test_a_page_of_html_and_an_error_of_the_server_are_no_ban():
    simulated = market("okx")
    simulated.instead.extend([Reply(200, "<html>Sign in</html>", {"Content-Type": "text/html"}), no(500)])
    async with serving_rest(simulated) as port, asking("okx", port) as rest:
        for _ in range(2):
            with pytest.raises(DependencyDown):
                await fetch_recent(rest, "BTC-USDT")
        assert len(await fetch_recent(rest, "BTC-USDT")) == 1
    assert simulated.asked["okx"] == 3


ALLOWED = {
    "binance": (6_000, 60, 0),  # "REQUEST_WEIGHT 6000/min/IP"
    "okx": (20, 2, 0),  # "20 / 2 s" of history-trades, the slowest that is asked
    "coinbase": (10, 1, 15),  # "10 requests/s/IP, burst 15, token bucket"
    "bybit": (600, 5, 0),  # "HTTP 600 requests / 5 s / IP"
}
"""What venues document (../shared/reference/venues.md, 1.5, 2.6, 3.4, 4.4): so much in so many seconds, and at once."""


@pytest.mark.parametrize("venue", VENUES)
def test_at_most_half_of_what_a_venue_documents_is_ever_granted(venue):
    most, window_s, at_once = ALLOWED[venue]
    rate = rest_budget.RATES[venue]
    assert rate.per_minute / 60 <= most / window_s / 2
    assert rate.burst + rate.per_minute / 60 * window_s <= (most + at_once) / 2
    assert rate.burst <= (at_once or most) / 2


def test_a_venue_has_one_budget_in_a_process_and_every_venue_has_a_rate():
    assert budget_of("okx", None) is budget_of("okx", None)
    assert budget_of("okx", None) is not budget_of("okx", "http://127.0.0.1:1/okx")
    assert rest_budget.RATES.keys() == VENUES.keys()
    rest_budget.forget_budgets()
