"""A link that goes down under a live feed, in a network namespace of its own: packets vanish, nobody says good-bye."""

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from scripted import PAIRS, Scripted, hasten, ingesting, missing_ids, taken_ids
from sockets import until
from websockets.asyncio.server import serve

pytestmark = pytest.mark.slow
NAME = f"sofia{os.getpid() % 100_000}"
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
HERE, THERE = "10.213.77.1", "10.213.77.2"


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def link():
    """The name of a namespace that is reached over a link of its own."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and the ip command, to make a network namespace")
    try:
        ip("netns", "add", NAME)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespace can be made here: {error.stderr.strip()}")
    try:
        ip("link", "add", f"{NAME}a", "type", "veth", "peer", "name", "there", "netns", NAME)
        ip("addr", "add", f"{HERE}/30", "dev", f"{NAME}a")
        ip("link", "set", f"{NAME}a", "up")
        ip("-n", NAME, "addr", "add", f"{THERE}/30", "dev", "there")
        ip("-n", NAME, "link", "set", "there", "up")
        yield NAME
    finally:
        ip("netns", "del", NAME)  # its end of the link goes, and ours with it


def listening_socket(namespace):
    """A socket that listens there: a thread may go where its process does not."""
    made = []

    def make():
        with Path(f"/run/netns/{namespace}").open() as place:
            libc = ctypes.CDLL(None, use_errno=True)
            assert libc.setns(place.fileno(), _NEW_NETWORK) == 0, os.strerror(ctypes.get_errno())
        made.append(socket.create_server((THERE, 0)))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]


class Distant(Scripted):
    """A venue in another namespace."""

    namespace = ""

    @contextlib.asynccontextmanager
    async def reached(self):
        found = listening_socket(self.namespace)
        async with serve(self.serve, sock=found):
            yield f"ws://{THERE}:{found.getsockname()[1]}"


async def test_a_link_that_goes_down_is_noticed_and_what_it_cost_is_a_gap(monkeypatch, link):
    hasten(monkeypatch, "okx", ping_every_s=0.4, silence_s=1.0)
    monkeypatch.setattr("sofia_streams.ingest.sockets.opening._OPEN_S", 1.0)
    venue = Distant()
    venue.namespace = link
    async with ingesting(venue) as log:
        await until(lambda: len(taken_ids(log, PAIRS[0])) > 50 and log.reports)
        ip("-n", link, "link", "set", "there", "down")
        began_s = time.monotonic()
        await until(lambda: not log.reports[-1].counts["okx-0"]["connected"])
        noticed_s = time.monotonic() - began_s
        ip("-n", link, "link", "set", "there", "up")
        healed_s = time.monotonic()
        await until(lambda: log.reports[-1].counts["okx-0"]["connected"])
        live_s = time.monotonic() - healed_s
        await until(lambda: missing_ids(log, PAIRS[0]))
        lost, taken = missing_ids(log, PAIRS[0]), taken_ids(log, PAIRS[0])
        print(
            f"noticed after {noticed_s:.1f} s, live {live_s:.1f} s after the link was up, {len(lost)} trades in the gap"
        )
        assert noticed_s >= 0.9
        assert {*taken, *lost} == set(range(min(taken), max(taken) + 1)) and not lost & set(taken)
