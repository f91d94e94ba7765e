"""Networks that go bad under a live feed: half-open, reset, trickling, slow. Other venues notice nothing of it."""

import asyncio
import contextlib
import time
from itertools import pairwise

import psutil
import pytest
from faulty_proxy import FaultyProxy
from scripted import PAIRS, Scripted, hasten, ingesting, missing_ids, taken_ids
from sockets import until

from sofia_streams.ingest.sockets import opening
from sofia_streams.model import TradeBatch

pytestmark = pytest.mark.slow
BTC = PAIRS[0]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The same steps, closer together."""
    monkeypatch.setattr(opening, "_OPEN_S", 1.0)
    monkeypatch.setattr("sofia_streams.ingest.sockets.session.CLOSE_S", 0.2)
    monkeypatch.setattr(opening, "CLOSE_S", 0.2)


def hurt(monkeypatch, name):
    """A venue behind a network that a test can spoil, with its limits a tenth or less of the real ones."""
    hasten(monkeypatch, name, ping_every_s=20.0 if name == "coinbase" else 0.4, silence_s=1.0)
    return Scripted(name, proxy=FaultyProxy())


@contextlib.asynccontextmanager
async def beside(monkeypatch, venue):
    """Ingest on this venue and on a healthy one, which must not notice; its log."""
    other = Scripted("bybit")
    hasten(monkeypatch, "bybit")
    async with ingesting(venue, other) as log:
        await until(lambda: len(taken_ids(log, BTC, venue.venue)) > 50 and len(taken_ids(log, BTC, "bybit")) > 50)
        first = min(taken_ids(log, BTC, "bybit"))
        yield log
        end = other.printed
        await until(lambda: end in taken_ids(log, BTC, "bybit")[-500:])
        assert set(range(first, end + 1)) <= set(taken_ids(log, BTC, "bybit"))
        assert log.reports[-1].counts["bybit-0"]["reconnects"] == 0
        print(f"longest pause of the other venue: {longest_pause_ms(log, 'bybit'):.0f} ms")


def longest_pause_ms(log, venue):
    times = [one.received_ns for one in log.records if isinstance(one, TradeBatch) and one.venue == venue]
    return max(after - before for before, after in pairwise(times)) / 1e6


def unaccounted(log, venue):
    """The ids that are neither in the log nor said to be missing, of all that were printed between first and last."""
    taken = taken_ids(log, BTC, venue)
    assert len(taken) == len(set(taken))
    return set(range(min(taken), max(taken) + 1)) - set(taken) - missing_ids(log, BTC)


def live_again(log, venue, proxy, since):
    """Whether it is connected and what was printed after `since` came."""
    return max(taken_ids(log, BTC, venue), default=0) > since and log.reports[-1].counts[f"{venue}-0"]["connected"]


@pytest.mark.parametrize("name", ["okx", "binance", "coinbase"])
async def test_a_connection_whose_other_end_is_gone_without_a_word_is_noticed_and_replaced(monkeypatch, name):
    """OKX by the answer to our text ping, Binance by the protocol's own ping, Coinbase by its heartbeats."""
    venue = hurt(monkeypatch, name)
    async with beside(monkeypatch, venue) as log:
        began_s = time.monotonic()
        venue.proxy.open.clear()
        await until(lambda: venue.proxy.accepted >= 3)  # noticed, tried, tried again
        noticed_s = time.monotonic() - began_s
        venue.proxy.open.set()
        healed_s, since = time.monotonic(), venue.printed
        await until(lambda: live_again(log, name, venue.proxy, since))
        live_s = time.monotonic() - healed_s
        print(f"{name}: two new connections after {noticed_s:.1f} s, live {live_s:.1f} s after the network healed")
        await until(lambda: missing_ids(log, BTC) and not unaccounted(log, name))
    assert log.reasons() == []


async def test_resets_again_and_again_lose_nothing_silently(monkeypatch):
    venue = hurt(monkeypatch, "okx")
    async with beside(monkeypatch, venue) as log:
        resets = 0
        for _ in range(8):
            resets += venue.proxy.reset_all()
            since = venue.printed
            await until(lambda since=since: live_again(log, "okx", venue.proxy, since + 10))
        await until(lambda: not unaccounted(log, "okx"))
        print(f"{resets} resets, {venue.proxy.accepted - 1} new connections, {len(missing_ids(log, BTC))} ids in gaps")
        assert resets == 8
        assert log.reports[-1].counts["okx-0"]["reconnects"] >= 8


async def test_a_handshake_of_a_byte_a_second_is_given_up_and_a_feed_that_trickles_is_left(monkeypatch):
    venue = hurt(monkeypatch, "okx")
    async with beside(monkeypatch, venue) as log:
        venue.proxy.bytes_per_s = 1
        await until(lambda: venue.proxy.accepted >= 4)  # left, and given up more than once
        venue.proxy.bytes_per_s = None
        since = venue.printed
        await until(lambda: live_again(log, "okx", venue.proxy, since))
        await until(lambda: not unaccounted(log, "okx"))
    assert log.reasons() == []


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: web"])
async def test_a_server_that_says_half_of_its_answer_is_given_up(monkeypatch, head):
    hasten(monkeypatch, "okx")
    asked = []

    async def half(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(head)
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()

    class Half(Scripted):
        @contextlib.asynccontextmanager
        async def reached(self):
            async with await asyncio.start_server(half, "127.0.0.1", 0) as server:
                yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    other = Scripted("bybit")
    hasten(monkeypatch, "bybit")
    async with ingesting(Half(), other) as log:
        await until(lambda: len(asked) >= 2 and len(taken_ids(log, BTC, "bybit")) > 50)
        assert log.reports[-1].counts["okx-0"]["connected"] == 0
        assert log.reports[-1].counts["bybit-0"]["reconnects"] == 0


async def test_a_link_slower_than_the_market_makes_it_late_and_loses_nothing(monkeypatch):
    venue = hurt(monkeypatch, "okx")
    async with beside(monkeypatch, venue) as log:
        memory = psutil.Process().memory_info().rss
        venue.proxy.bytes_per_s = 8_192
        since = venue.printed
        await until(lambda: venue.printed > since + 400)
        behind = venue.printed - max(taken_ids(log, BTC))
        venue.proxy.bytes_per_s = None
        end = venue.printed
        await until(lambda: max(taken_ids(log, BTC)) >= end)
        waited = [report.counts["okx-0"]["waiting"] for report in log.reports if "okx-0" in report.counts]
        grown_mb = (psutil.Process().memory_info().rss - memory) / 1e6
        print(f"{behind} trades behind at most; {max(waited)} frames waited at most; {grown_mb:.0f} MB more memory")
        assert behind > 50
        assert missing_ids(log, BTC) == set() and not unaccounted(log, "okx")
        assert log.reports[-1].counts["okx-0"]["reconnects"] == 0
