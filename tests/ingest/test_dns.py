"""Names that do not resolve, or only after an age: that venue waits, the others go on."""

import asyncio
import contextlib
import socket

import pytest
from scripted import PAIRS, Scripted, hasten, ingesting, taken_ids
from sockets import until

pytestmark = pytest.mark.slow


class Named(Scripted):
    """A venue under a name."""

    @contextlib.asynccontextmanager
    async def reached(self):
        async with super().reached() as url:
            yield url.replace("127.0.0.1", "venue.test")


def resolving(monkeypatch, of_venue):
    """The loop's resolver, with `of_venue` asked for the venue's name."""
    loop = asyncio.get_running_loop()
    usual = loop.getaddrinfo

    async def getaddrinfo(host, port, **more):
        return await usual(await of_venue() if host == "venue.test" else host, port, **more)

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)


async def test_a_name_that_does_not_resolve_stops_no_other_venue_and_heals(monkeypatch):
    hasten(monkeypatch, "okx")
    hasten(monkeypatch, "bybit")
    asked, is_well = [], asyncio.Event()

    async def of_venue():
        asked.append(1)
        if not is_well.is_set():
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return "127.0.0.1"

    resolving(monkeypatch, of_venue)
    other = Scripted("bybit")
    async with ingesting(Named("okx"), other) as log:
        await until(lambda: len(asked) > 5 and len(taken_ids(log, PAIRS[0], "bybit")) > 50)
        assert taken_ids(log, PAIRS[0]) == []
        assert log.reports[-1].counts["bybit-0"]["reconnects"] == 0
        is_well.set()
        await until(lambda: len(taken_ids(log, PAIRS[0])) > 50)


async def test_a_name_that_takes_an_age_is_given_up_and_asked_again(monkeypatch):
    hasten(monkeypatch, "okx")
    hasten(monkeypatch, "bybit")
    monkeypatch.setattr("sofia_streams.ingest.sockets.opening._OPEN_S", 0.3)
    asked = []

    async def of_venue():
        asked.append(1)
        await asyncio.sleep(3_600 if len(asked) < 4 else 0)
        return "127.0.0.1"

    resolving(monkeypatch, of_venue)
    async with ingesting(Named("okx"), Scripted("bybit")) as log:
        await until(lambda: len(taken_ids(log, PAIRS[0], "bybit")) > 50 and len(taken_ids(log, PAIRS[0])) > 50)
        assert len(asked) == 4
        assert log.reports[-1].counts["bybit-0"]["reconnects"] == 0


async def test_a_name_that_stops_resolving_does_not_end_a_connection_that_stands(monkeypatch):
    hasten(monkeypatch, "okx")
    is_well = [True]

    async def of_venue():
        if not is_well[0]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return "127.0.0.1"

    resolving(monkeypatch, of_venue)
    venue = Named("okx")
    async with ingesting(venue) as log:
        await until(lambda: len(taken_ids(log, PAIRS[0])) > 20)
        is_well[0] = False
        since = venue.printed
        await until(lambda: max(taken_ids(log, PAIRS[0])) > since + 100)
        assert len(venue.sockets) == 1
