"""Shared by the tests of failing feeds: a venue that prints numbered trades and loses some on purpose; ingest on it."""

import asyncio
import contextlib
import time
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from sockets import Kept, listening
from websockets.asyncio.server import broadcast

from sofia_streams.ingest.intake import Intake, Limits
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.sockets.live import run_live
from sofia_streams.model import ParsedTrade, Trade, TradeBatch
from sofia_streams.settings import Settings
from sofia_streams.venues.registry import VENUES

PAIRS = ("BTC/USDT", "ETH/USDT")


class Scripted:
    """A venue whose instruments print together, each with ids of its own, to every connection that asked for them."""

    def __init__(self, venue="okx", pairs=PAIRS, every_s=0.01, proxy=None):
        self.venue, self.every_s, self.proxy = venue, every_s, proxy
        self.listings = [VENUES[venue].to_listing(pair, "spot") for pair in pairs]
        self.printed = 0
        self.sockets = []
        self.subscribed = []
        self.asked = []
        """(connection from 1, what was asked for, when)."""
        self.loses = lambda connection, listing, number: False

    @asynccontextmanager
    async def reached(self):
        """The address under which clients reach it."""
        async with listening(self.serve) as url:
            if self.proxy is None:
                yield url
            else:
                async with self.proxy.before(url) as between:
                    yield between

    async def serve(self, socket):
        """One client's connection."""
        self.sockets.append(socket)
        self.subscribed.append(set())
        number, mine = len(self.sockets), self.subscribed[-1]
        with contextlib.suppress(ConnectionError):
            async for text in socket:
                self.asked.append((number, text, time.monotonic()))
                answer = VENUES[self.venue].answer(text, frozenset(self.listings))
                mine.difference_update(answer.stopped)
                mine.update(answer.symbols)
                for frame in answer.frames:
                    await socket.send(frame)

    def forget(self, listing):
        """Drop one subscription of every connection, as a venue with a fault does."""
        for mine in self.subscribed:
            mine.discard(listing)

    async def trade(self):
        """Print for ever."""
        while True:
            self.printed += 1
            at_ns = time.time_ns() // 1_000_000 * 1_000_000
            order = self.printed * (VENUES[self.venue].places_a_sequence or 1)
            for listing in self.listings:
                trade = Trade(str(self.printed), Decimal(100), Decimal(1), "buy", at_ns, order)
                frame = VENUES[self.venue].encode_trade(ParsedTrade(listing, trade))
                for place, (socket, mine) in enumerate(zip(self.sockets, self.subscribed, strict=True), 1):
                    if listing in mine and not self.loses(place, listing, self.printed):
                        broadcast([socket], frame)
            for beat in VENUES[self.venue].heartbeat(at_ns, dict.fromkeys(self.listings, str(self.printed))):
                broadcast(self.sockets, beat)
            await asyncio.sleep(self.every_s)


def hasten(monkeypatch, venue, **limits):
    """The same steps of a venue's connections, closer together."""
    monkeypatch.setattr("sofia_streams.ingest.sockets.connection._LOOK_S", 0.02)
    monkeypatch.setattr("sofia_streams.ingest.sockets.live._TICK_S", 0.05)
    monkeypatch.setattr("sofia_streams.ingest.sockets.pace.pause_s", lambda failures: 0.01)
    quick = {"connects_per_s": 1_000.0, "requests_per_s": 1_000.0} | limits
    monkeypatch.setitem(VENUES, venue, VENUES[venue]._replace(limits=VENUES[venue].limits._replace(**quick)))


@contextlib.contextmanager
def hastened(venue):
    """As `hasten`, outside of a test."""
    with pytest.MonkeyPatch.context() as patch:
        hasten(patch, venue)
        yield


@asynccontextmanager
async def ingesting(*venues, pairs=PAIRS, stale_after_s=15, lines=1):
    """Ingest as it runs in the worker, on these venues: its log."""
    async with contextlib.AsyncExitStack() as stack:
        urls = {venue.venue: await stack.enter_async_context(venue.reached()) for venue in venues}
        tasks = [asyncio.create_task(venue.trade()) for venue in venues]
        settings = Settings(crypto_exchanges=tuple(urls), crypto_symbols=pairs, crypto_lines=lines)
        names, log = Names(), Kept()
        intake = Intake(Limits(stale_after_ns=round(stale_after_s * 1e9), lines=lines), names)
        with addresses(urls):
            tasks.append(asyncio.create_task(run_live(settings, intake, names, log)))
            try:
                yield log
            finally:
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended


@contextlib.contextmanager
def addresses(urls):
    """The venues stand elsewhere."""
    before = dict(VENUES)
    VENUES.update({name: VENUES[name]._replace(url=lambda market, at=url: at) for name, url in urls.items()})
    try:
        yield
    finally:
        VENUES.update(before)


def missing_ids(log, symbol):
    """The ids that the log says are missing of an instrument."""
    gaps = [gap for gap in log.gaps(symbol, "ids") if gap.state == "open"]
    return {number for gap in gaps for number in range(int(gap.first_id), int(gap.last_id) + 1)}


def taken_ids(log, symbol, venue="okx"):
    """The ids of an instrument that are in the log, as often as they are."""
    return [number for found, number in log.ids(venue) if found == symbol]


def live_ids(log, symbol, venue="okx"):
    """As `taken_ids`, without what a connection had as history: that may come live from another as well."""
    batches = [one for one in log.records if isinstance(one, TradeBatch) and (one.venue, one.symbol) == (venue, symbol)]
    return [int(trade.trade_id) for batch in batches for trade in batch.trades if not trade.snapshot]
