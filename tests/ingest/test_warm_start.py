"""History at a start: venues asked through ccxt over loopback, joined, written once; those in trouble left out."""

import asyncio
import contextlib
import time
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from rest_server import serving_rest

from sofia_streams.core.features.history import WINDOWS_MAX
from sofia_streams.core.features.sets import base_set
from sofia_streams.core.signals.rolling import Rolling
from sofia_streams.ingest.rest import history as module
from sofia_streams.ingest.rest.history import WarmStart
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, NS_PER_SECOND, Bar
from sofia_streams.ops.simulate import checked_plan, generated
from sofia_streams.settings import load_settings
from sofia_streams.simulator.rest import too_many
from sofia_streams.simulator.rest.replies import Reply, json_reply
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.slow
SIZES = {"1s": NS_PER_SECOND, "1m": NS_PER_MINUTE}
PATIENCE_S = 30.0
SYMBOLS = ("BTC/USDT", "ETH/USDT")


async def eventually(holds):
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come to hold in time"
        await asyncio.sleep(0.05)


class Log:
    """Keeps what is written, and says when something was."""

    def __init__(self):
        self.written, self._news = [], asyncio.Event()

    async def history(self, history):
        self.written.append(history)
        self._news.set()

    async def until(self, count):
        async with asyncio.timeout(PATIENCE_S):
            while len(self.written) < count:
                self._news.clear()
                await self._news.wait()
        return self.written[-1]


class Logged:
    """What the log has, as far as warm starts look there: these symbols, and how often it was asked."""

    def __init__(self, known=()):
        self.known, self.asked = set(known), []

    async def __call__(self, settings, firsts_ns, size_ns):
        self.asked.append(dict(firsts_ns))
        return self.known & firsts_ns.keys()


@asynccontextmanager
async def warm_start(tmp_path, size="1s", known=(), venues="binance,okx,coinbase,bybit", hours=6, **made):
    """A running one on a simulator's REST: itself, that REST, its log, what looked into the log."""
    source = generated(checked_plan(",".join(VENUES), ",".join(SYMBOLS), 100.0))
    async with serving_rest(source.rest, **made) as port:
        env = {"SIMULATOR_URL": f"ws://127.0.0.1:{port}", "CRYPTO_EXCHANGES": venues, "SIGNALS_BAR_SIZE": size}
        env |= {"DATA_DIR": str(tmp_path), "SIGNALS_HISTORY_HOURS": str(hours)}
        log, look = Log(), Logged(known)
        found = WarmStart(load_settings(None, env), log, look)
        running = asyncio.create_task(found.run())
        try:
            yield found, source.rest, log, look
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


def bar(start_ns, size_ns, price="64000", symbol="BTC/USDT", venue=CONSOLIDATED, quality="gap"):
    value = None if price is None else Decimal(price)
    return Bar(venue, "spot", symbol, size_ns, start_ns, value, value, value, value, Decimal(1), Decimal(1), Decimal(0),
               int(price is not None), value, "", "", quality=quality)  # fmt: skip


def window_before_now(size, back=1):
    return time.time_ns() // SIZES[size] * SIZES[size] - back * SIZES[size]


@pytest.mark.parametrize(("size", "venues"), [("1s", ["binance", "okx"]), ("1m", sorted(VENUES))])
async def test_the_first_bar_of_a_symbol_brings_its_history_from_every_venue_that_has_it(tmp_path, size, venues):
    size_ns, first_ns = SIZES[size], window_before_now(size)
    async with warm_start(tmp_path, size) as (found, _, log, look):
        found.note(bar(first_ns, size_ns, venue="okx"))
        found.note(bar(first_ns, NS_PER_MINUTE if size == "1s" else NS_PER_SECOND))
        found.note(bar(first_ns, size_ns))
        history = await log.until(1)
        found.note(bar(first_ns + size_ns, size_ns))
        assert look.asked == [{"BTC/USDT": first_ns}]
    assert (history.venues, history.size_ns, history.symbol) == (venues, size_ns, "BTC/USDT")
    assert history.is_synthetic and history.quality == "backfilled"
    count = WINDOWS_MAX if size == "1s" else 360
    starts = [kline.start_ns for kline in history.klines]
    assert starts == [first_ns - (count - at) * size_ns for at in range(count + 1)][: len(starts)]
    assert len(starts) in (count, count + 1)  # the last one is the market's own, if that opened in it
    assert len(log.written) == 1
    rolling = Rolling([base_set(size_ns)])
    rolling.take(bar(first_ns, size_ns))
    assert rolling.learn(history)
    assert rolling.take(bar(first_ns + size_ns, size_ns, quality="complete")).sets["base"].is_ready


async def test_bars_that_go_on_need_nothing_and_those_behind_a_hole_do(tmp_path):
    first_ns = window_before_now("1s", 30)
    async with warm_start(tmp_path) as (found, _, log, look):
        for at in (0, 1, 2, 8, 9):  # five are missing, which are filled
            found.note(bar(first_ns + at * NS_PER_SECOND, NS_PER_SECOND))
        await log.until(1)
        found.note(bar(first_ns + 10 * NS_PER_SECOND, NS_PER_SECOND))
        found.note(bar(first_ns + 17 * NS_PER_SECOND, NS_PER_SECOND))
        history = await log.until(2)
        assert look.asked == [{"BTC/USDT": first_ns}]  # what is behind a hole is known to be
    assert history.klines[-1].start_ns == first_ns + 17 * NS_PER_SECOND


async def test_what_the_log_has_already_is_not_asked_for(tmp_path):
    first_ns = window_before_now("1s")
    async with warm_start(tmp_path, known=["ETH/USDT"]) as (found, _, log, _look):
        for symbol in ("ETH/USDT", "BTC/USDT"):
            found.note(bar(first_ns, NS_PER_SECOND, "3100", symbol))
        assert (await log.until(1)).symbol == "BTC/USDT"
        found.note(bar(first_ns + 60 * NS_PER_SECOND, NS_PER_SECOND, "3100", "ETH/USDT"))
        assert (await log.until(2)).symbol == "ETH/USDT"


@pytest.mark.parametrize("changes", [{"hours": 0}, {"venues": "coinbase,bybit"}])
async def test_none_are_asked_for_where_none_are_wanted_or_to_be_had(tmp_path, changes):
    async with warm_start(tmp_path, **changes) as (found, rest, _, look):
        found.note(bar(window_before_now("1s"), NS_PER_SECOND))
        await asyncio.sleep(0)
        assert found.wanted() == [] and look.asked == [] and sum(rest.asked.values()) == 0


TROUBLE = {
    "busy": lambda: too_many(60),
    "cut": lambda: Reply(200, "[[1767225600000,", {"Content-Type": "application/json"}),
    "html": lambda: Reply(200, "<html>Sign in</html>", {"Content-Type": "text/html"}),
    "nonsense": lambda: json_reply([[window_before_now("1s") // 10**6, "1", "NaN", "1", "1", "1", 1, "1", 1, "1"]]),
    "misplaced": lambda: json_reply([[window_before_now("1s") // 10**6 + 1, *"11111", 1, "1", 1, "1"]]),
}


@pytest.mark.parametrize("trouble", TROUBLE)
async def test_a_venue_in_trouble_is_left_out(tmp_path, trouble):
    first_ns = window_before_now("1s")
    async with warm_start(tmp_path) as (found, rest, log, _):
        answer = rest.answer

        def hurt(target):
            reply = answer(target)
            return TROUBLE[trouble]() if target.startswith("/binance/") else reply

        rest.answer = hurt
        found.note(bar(first_ns, NS_PER_SECOND))
        history = await log.until(1)
    assert history.venues == ["okx"] and len(history.klines) >= WINDOWS_MAX


async def test_a_venue_that_does_not_answer_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_ANSWER_S", 1.0)
    async with warm_start(tmp_path) as (found, rest, log, _):
        rest.answer, answer = lambda target: busy(target, answer), rest.answer

        def busy(target, answer):
            return too_many(15) if target.startswith("/okx/") else answer(target)  # waited for, by whoever has time

        began_s = time.monotonic()
        found.note(bar(window_before_now("1s"), NS_PER_SECOND))
        history = await log.until(1)
        assert history.venues == ["binance"] and time.monotonic() - began_s < 10


async def test_all_venues_in_trouble_are_asked_again(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PAUSE_S_FIRST", 0.2)
    async with warm_start(tmp_path) as (found, rest, log, _):
        rest.instead.extend([Reply(500, "{}", {"Content-Type": "application/json"})] * 4)
        found.note(bar(window_before_now("1s"), NS_PER_SECOND))
        history = await log.until(1)
        assert not rest.instead and history.venues == ["binance", "okx"]


async def test_enough_bars_of_our_own_end_the_asking(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PAUSE_S_FIRST", 0.1)
    monkeypatch.setattr(module, "_PAUSE_S_MAX", 0.1)
    first_ns = window_before_now("1s", 100)
    async with warm_start(tmp_path) as (found, rest, log, _):
        rest.answer = lambda target: Reply(500, "{}", {"Content-Type": "application/json"})
        found.note(bar(first_ns, NS_PER_SECOND))
        assert found.wanted() == ["BTC/USDT"]
        for at in range(1, 61):
            found.note(bar(first_ns + at * NS_PER_SECOND, NS_PER_SECOND))
        await eventually(lambda: found.wanted() == [])
        assert log.written == []
