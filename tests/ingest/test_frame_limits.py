"""Giants, bombs and endless frames on a real socket, against a process of its own whose peak memory is measured."""

import asyncio
import json
import sys
import zlib
from functools import cache
from pathlib import Path

import pytest
from sockets import accept, listening, trade_frame
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from sofia_streams.ingest.sockets.opening import FRAME_BYTES_MAX

ROOT = Path(__file__).parents[2]
HAS_PROC = Path("/proc/self/status").exists()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not HAS_PROC, reason="peak memory is read from /proc, which this system has not"),
]
RSS_KB_MAX = 64 * 1024
PATIENCE_S = 120.0
INGEST = """
import asyncio, json, sys
sys.path[:0] = [sys.argv[2], sys.argv[3]]
from sockets import feeding, until
from sofia_streams.ingest.sockets import connection, pace
connection._LOOK_S, pace.pause_s = 0.02, lambda failures: 0.01

def peak_kb():
    # not ru_maxrss: that of a process that was forked begins with its parent's
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:"))

async def main():
    before_kb = peak_kb()
    async with feeding(sys.argv[1]) as (feed, log):
        await until(lambda: log.ids("binance"))
        said = {"grown_kb": peak_kb() - before_kb, "reconnects": feed.reconnects, "reasons": log.reasons()}
    print(json.dumps(said))

import sockets
sockets.PATIENCE_S = 100.0
asyncio.run(main())
"""


def giant(size):
    head = '{"stream":"x","data":{"e":"'
    return head + "a" * (size - len(head) - 3) + '"}}'


def header(first, length):
    """The head of an unmasked frame that announces so many bytes."""
    return bytes([first, 127]) + length.to_bytes(8, "big")


@cache
def zeros_compressed(size):
    press = zlib.compressobj(9, wbits=-15)
    whole = b"".join(press.compress(b"0" * 2**20) for _ in range(size // 2**20))
    return (whole + press.flush(zlib.Z_SYNC_FLUSH))[:-4]


@pytest.fixture(autouse=True, scope="module")
def compressed():
    """Made beforehand: it takes seconds, in which a venue could not even answer a ping."""
    zeros_compressed(2**30)


async def endless(socket):
    """Parts of one message that never ends, until the other side has had enough."""
    socket.transport.write(b"\x01\x00")
    while socket.state is State.OPEN:
        socket.transport.write(b"\x00\x7f" + (65_536).to_bytes(8, "big") + b"a" * 65_536)
        await asyncio.sleep(0)


async def sent_whole(socket, size):
    await socket.send(giant(size))


async def bomb(socket):
    body = zeros_compressed(2**30)
    assert len(body) < 2 * 2**20
    socket.transport.write(header(0xC1, len(body)) + body)


async def announced(socket):
    socket.transport.write(header(0x81, 2**62) + b"a" * 1_000)


TOO_LARGE, NO_FRAME = f"expected at most {FRAME_BYTES_MAX} bytes", "a frame as the protocol has it"
HOSTILE = {
    "a frame of 16 MiB": (lambda socket: sent_whole(socket, 16 * 2**20), TOO_LARGE),
    "one byte too many": (lambda socket: sent_whole(socket, FRAME_BYTES_MAX + 1), TOO_LARGE),
    "two bytes too many": (lambda socket: sent_whole(socket, FRAME_BYTES_MAX + 2), TOO_LARGE),
    "three bytes too many": (lambda socket: sent_whole(socket, FRAME_BYTES_MAX + 3), TOO_LARGE),
    "a message in parts that never ends": (endless, TOO_LARGE),
    "a frame that announces 4 EiB": (announced, TOO_LARGE),
    "a mebibyte that would grow to a gibibyte": (bomb, NO_FRAME),
}


async def ingested(url):
    """What a process that ingests from there said of itself."""
    command = [sys.executable, "-c", INGEST, url, str(ROOT), str(Path(__file__).parent)]
    process = await asyncio.create_subprocess_exec(*command, stdout=-1, stderr=-1)
    try:
        out, errors = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, errors.decode()
    return json.loads(out.splitlines()[-1])  # its log stands before


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_frame_is_refused_and_said_in_bounded_memory_and_the_feed_goes_on(name):
    hurt, reason = HOSTILE[name]
    served = []

    async def venue(socket):
        served.append(socket)
        await accept(socket)
        try:
            if len(served) == 1:
                await hurt(socket)
            else:
                await socket.send(trade_frame(7))
            await socket.wait_closed()
        except ConnectionClosed:
            pass

    async with listening(venue, compression=None, close_timeout=1) as url:
        said = await ingested(url)
    assert said["reconnects"] == 1
    (found,) = said["reasons"]
    assert reason in found
    assert 0 < said["grown_kb"] < RSS_KB_MAX, f"{name}: {said['grown_kb']} KiB more at the peak"


async def test_many_hostile_frames_one_after_another_take_no_more_memory_than_one():
    plan = [hurt for hurt, _ in HOSTILE.values()] * 3
    served = []

    async def venue(socket):
        served.append(socket)
        await accept(socket)
        try:
            if len(served) <= len(plan):
                await plan[len(served) - 1](socket)
            else:
                await socket.send(trade_frame(7))
            await socket.wait_closed()
        except ConnectionClosed:
            pass

    async with listening(venue, compression=None, close_timeout=1) as url:
        said = await ingested(url)
    assert said["reconnects"] == len(plan) == len(said["reasons"])
    assert 0 < said["grown_kb"] < RSS_KB_MAX
