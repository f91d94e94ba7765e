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

from sofia_streams.ingest import pace
from sofia_streams.ingest.pace import Pace, pause_s
from sofia_streams.venues.registry import VENUES

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


@pytest.mark.parametrize("seed", range(3))
async def test_after_ten_minutes_down_the_connections_come_back_spread_over_a_minute(monkeypatch, seed):
    """20 connections of each of four venues, refused for ten minutes, then welcome at once."""
    random.seed(seed)
    hours, asked, live = Hours(), [], []
    monkeypatch.setattr(pace, "time", SimpleNamespace(monotonic=lambda: hours.now_s))
    monkeypatch.setattr(pace, "asyncio", SimpleNamespace(sleep=hours.sleep))

    async def feed(venue, connects):
        failures = 0
        while True:
            await connects.turn()
            asked.append((hours.now_s, venue))
            if hours.now_s >= DOWN_S:
                live.append((hours.now_s, venue))
                return
            failures += 1
            await hours.sleep(pause_s(failures))

    paces = {venue: Pace(VENUES[venue].limits.connects_per_s) for venue in VENUES}
    tasks = [asyncio.create_task(feed(venue, paces[venue])) for venue in VENUES for _ in range(FEEDS)]
    await hours.pass_by(tasks)
    by_second = Counter((int(at_s), venue) for at_s, venue in asked)
    back = Counter(int(at_s) for at_s, _ in live)
    print(
        f"peak {max(back.values())} connections a second of {len(tasks)}; all back after {live[-1][0] - DOWN_S:.0f} s"
    )
    for venue in VENUES:
        allowed = VENUES[venue].limits.connects_per_s
        assert max(count for (_, one), count in by_second.items() if one == venue) <= allowed + 1
    assert max(back.values()) <= 6  # the venues allow seven or eight together
    assert live[-1][0] - DOWN_S <= 60 + FEEDS / 0.5


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
