"""Every venue is down for long and then back at once: nobody storms in. With a clock of the test's own, and sockets."""

import asyncio
import random
from collections import Counter
from heapq import heappop, heappush
from itertools import count
from types import SimpleNamespace

import pytest
from scripted import PAIRS, Scripted, hasten, ingesting, taken_ids
from sockets import until

from sofia_streams.ingest.sockets import pace
from sofia_streams.ingest.sockets.pace import Pace, pause_s
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.slow
DOWN_S, FEEDS = 600.0, 20


class Hours:
    """A loop's time that passes at once: sleepers wake in order."""

    def __init__(self):
        self.now_s = 0.0
        self._sleepers = []
        self._number = count()

    async def sleep(self, seconds):
        woken = asyncio.Event()
        heappush(self._sleepers, (self.now_s + max(0.0, seconds), next(self._number), woken))
        await woken.wait()

    async def pass_by(self, tasks):
        """Until they are done."""
        while not all(task.done() for task in tasks):
            for _ in range(4):
                await asyncio.sleep(0)  # whoever was woken goes to sleep again
            if self._sleepers:
                self.now_s, _, woken = heappop(self._sleepers)
                woken.set()


async def asked_after(monkeypatch, paces):
    """When connections at these paces, refused for ten minutes and then welcome, ask: (all times, the last of each)."""
    hours, asked, live = Hours(), [], []
    monkeypatch.setattr(pace, "time", SimpleNamespace(monotonic=lambda: hours.now_s))
    monkeypatch.setattr(pace, "asyncio", SimpleNamespace(sleep=hours.sleep))

    async def feed(connects):
        failures = 0
        while True:
            await connects.turn()
            asked.append((hours.now_s, connects))
            if hours.now_s >= DOWN_S:
                live.append(hours.now_s)
                return
            failures += 1
            await hours.sleep(pause_s(failures))

    tasks = [asyncio.create_task(feed(connects)) for connects in paces]
    await hours.pass_by(tasks)
    await asyncio.gather(*tasks)
    return asked, live


@pytest.mark.parametrize("seed", range(3))
async def test_the_connections_of_a_process_come_back_at_each_venues_pace(monkeypatch, seed):
    """20 of each of four venues."""
    random.seed(seed)
    paces = {venue: Pace(VENUES[venue].limits.connects_per_s) for venue in VENUES}
    asked, live = await asked_after(monkeypatch, [found for found in paces.values() for _ in range(FEEDS)])
    print(f"peak {max(Counter(map(int, live)).values())} a second of {len(live)}; all after {live[-1] - DOWN_S:.0f} s")
    for venue, found in paces.items():
        by_second = Counter(int(at_s) for at_s, one in asked if one is found)
        assert max(by_second.values()) <= VENUES[venue].limits.connects_per_s + 1
    assert live[-1] - DOWN_S <= 60 + FEEDS / 0.5


@pytest.mark.parametrize("seed", range(3))
async def test_many_clients_that_lost_a_venue_together_do_not_come_back_together(monkeypatch, seed):
    """200 machines with a connection each: what is not spread by a venue's pace is spread by chance."""
    random.seed(seed)
    _, live = await asked_after(monkeypatch, [Pace(4.0) for _ in range(200)])
    peak = max(Counter(map(int, live)).values())
    print(f"peak {peak} a second of {len(live)} clients; all after {live[-1] - DOWN_S:.0f} s")
    assert peak <= 25


async def test_four_venues_that_end_and_come_back_together_are_all_read_again(monkeypatch):
    venues = [Scripted(name) for name in VENUES]
    for name in VENUES:
        hasten(monkeypatch, name)
    async with ingesting(*venues) as log:
        await until(lambda: all(len(taken_ids(log, PAIRS[1], one.venue)) > 20 for one in venues))
        for one in venues:
            for socket in one.sockets:
                socket.transport.abort()
        marks = {one.venue: one.printed for one in venues}
        await until(lambda: all(max(taken_ids(log, PAIRS[1], one.venue)) > marks[one.venue] + 20 for one in venues))
        assert [len(one.sockets) for one in venues] == [2] * len(venues)
