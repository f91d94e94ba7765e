"""A watch that cannot see says so, again and again, and ends nobody because of it."""

import asyncio
import json
import urllib.request
from pathlib import Path

import pytest
from aiokafka.errors import KafkaError
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.embedded.ports import HOST, pick_ports
from sofia_streams.obs import metrics
from sofia_streams.ops.look.status import is_well, status
from sofia_streams.ops.supervision import sight, watchdog
from sofia_streams.ops.supervision.alerts import Alerts, BlindnessTold
from sofia_streams.ops.supervision.sight import AGAIN_S, BLIND_S, Blind, Sight
from sofia_streams.settings import load_settings

SETTINGS = load_settings(None, {"BROKER_URL": "kafka://127.0.0.1:1"})


class Worker:
    def __init__(self, name):
        self.name, self.running_pid, self.web_port = name, 1, 0

    def ask_waits(self):
        raise AssertionError("nobody is killed")


class Lag:
    """Answers as told: with an error, or with these positions for everybody."""

    answer = {}

    def __init__(self, settings):
        pass

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        pass

    async def positions(self, name):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Reports(Lag):
    health = {"crypto_ws": 1}

    async def newest(self):
        return self.health


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(watchdog, "Lag", Lag)
    monkeypatch.setattr(watchdog, "Reports", Reports)
    monkeypatch.setattr(watchdog, "_EVERY_S", 0.01)
    monkeypatch.setattr(watchdog, "_AGAIN_S", 0.01)
    monkeypatch.setattr(sight, "BLIND_S", 0.1)
    return monkeypatch


async def told(count=1, then=lambda: None):
    """What a watch tells, the first so many times; `then` is called each time."""
    found, enough = [], asyncio.Event()

    def tell(blind):
        found.append(blind)
        then()
        if len(found) == count:
            enough.set()

    def kill(worker, stall):
        raise AssertionError("nobody is killed")

    watch = watchdog.Watchdog(SETTINGS, [Worker("ohlcv"), Worker("crypto_ws")], kill, tell)
    running = asyncio.create_task(watch.run())
    try:
        async with asyncio.timeout(20):
            await enough.wait()
    finally:
        running.cancel()
    return found


MOVES = {"trades/0": (1, 1)}


@pytest.mark.parametrize(
    ("answer", "slow_s", "why"),
    [
        (KafkaError("gone"), 3.0, "gone"),
        (TimeoutError(), 3.0, "no answer of the broker within 10 s"),
        (MOVES, -1.0, "the broker took"),  # every look takes longer than that
    ],
)
async def test_looks_that_are_slow_or_fail_every_time_are_said(quick, answer, slow_s, why):
    quick.setattr(Lag, "answer", answer)
    quick.setattr(watchdog, "_SLOW_S", slow_s)
    [blind] = await told()
    assert blind.workers == ["ohlcv", "crypto_ws"]
    assert why in blind.why


async def test_a_group_that_the_broker_says_nothing_of_is_named_and_the_others_are_not(quick):
    [blind] = await told()
    assert blind.workers == ["ohlcv"]
    assert "how far its group is" in blind.why


async def test_ingest_is_named_where_its_reports_do_not_come(quick):
    quick.setattr(Lag, "answer", MOVES)
    quick.setattr(Reports, "health", None)
    [blind] = await told()
    assert blind.workers == ["crypto_ws"]


async def test_it_is_said_when_all_is_seen_again(quick):
    blind, again = await told(2, then=lambda: quick.setattr(Lag, "answer", MOVES))
    assert (blind.workers, again) == (["ohlcv"], None)


def test_blindness_is_said_after_its_time_and_again_each_minute():
    seen = Sight(["a", "b"], 0.0)
    said = []
    for second in range(1, 200):
        seen.saw(["b"])
        if (blind := seen.passed(float(second))) is not None:
            said.append((second, blind.workers, blind.seconds))
    assert said == [(at_s, ["a"], at_s) for at_s in (BLIND_S, BLIND_S + AGAIN_S, BLIND_S + 2 * AGAIN_S)]
    assert not seen.recovered()
    seen.saw(["a", "b"])
    assert (seen.recovered(), seen.recovered()) == (True, False)


def test_a_sleep_of_this_process_is_no_blindness_but_never_getting_to_look_is():
    seen = Sight(["a"], 0.0)
    assert seen.passed(3_600.0) is None
    found = [blind for step in range(1, 20) if (blind := seen.passed(3_600.0 + 10.0 * step)) is not None]
    assert found


@given(st.lists(st.floats(0.1, BLIND_S - 0.1), max_size=50))
def test_a_watch_that_sees_in_time_says_nothing(waits_s):
    seen, now_s = Sight(["a"], 0.0), 0.0
    for wait_s in waits_s:
        now_s += wait_s
        assert seen.passed(now_s) is None
        seen.saw(["a"])
    assert not seen.recovered()


async def test_what_is_told_stands_in_status_until_all_is_seen_again(tmp_path: Path):
    (tmp_path / "run").mkdir()
    settings = load_settings(None, {"BROKER_URL": "kafka://127.0.0.1:1", "DATA_DIR": str(tmp_path)})
    said = []
    tell = BlindnessTold(Alerts(settings, said.append), tmp_path)
    tell(Blind(["ohlcv"], 31.0, "no answer"))
    found = await status(settings, listen_s=0.1)
    assert "has not seen for 31 s how far ohlcv is: no answer" in found["blind"]
    assert found["blind"] == said[0]
    json.dumps(found)
    rest = {"broker": "ok", "processes": [{"runs": True}]}
    assert (is_well(rest | {"blind": found["blind"]}), is_well(rest | {"blind": None})) == (False, True)
    tell(None)
    assert (await status(settings, listen_s=0.1))["blind"] is None


def test_the_page_of_up_has_the_seconds_and_nothing_of_workers():
    [port] = pick_ports([0])
    metrics.UNWATCHED_SECONDS.labels("page_test").set(42)
    with metrics.up_page(HOST, port), urllib.request.urlopen(f"http://{HOST}:{port}/metrics") as page:
        text = page.read().decode()
    assert 'sofia_unwatched_seconds{worker="page_test"} 42.0' in text
    assert "sofia_trades_applied" not in text
