"""Frames that the connection itself must refuse: giants, compressed ones, bytes that are no frame."""

import resource

import pytest
from sockets import accept, feeding, listening, trade_frame, until
from websockets.exceptions import ConnectionClosed

from sofia_streams.ingest.sockets import connection
from sofia_streams.ingest.sockets.opening import FRAME_BYTES_MAX

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The same steps, closer together."""
    monkeypatch.setattr(connection, "_LOOK_S", 0.02)
    monkeypatch.setattr("sofia_streams.ingest.sockets.pace.pause_s", lambda failures: 0.01)


def giant(size):
    head = '{"stream":"x","data":{"e":"'
    return head + "a" * (size - len(head) - 3) + '"}}'


@pytest.mark.parametrize("size", [FRAME_BYTES_MAX + 1, 16 * 1024 * 1024])
@pytest.mark.parametrize("in_parts", [False, True])
async def test_a_giant_frame_is_refused_and_said_and_the_connection_opened_again(size, in_parts):
    codes = []

    async def generous(socket):
        await accept(socket)
        if not codes:
            try:
                text = giant(size)
                parts = (text[first : first + 65_536] for first in range(0, len(text), 65_536))
                await socket.send(parts if in_parts else text)
                await socket.wait_closed()
            except ConnectionClosed:
                pass
            codes.append(socket.close_code)
            return
        await socket.send(trade_frame(7))
        await socket.wait_closed()

    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with listening(generous) as url, feeding(url) as (feed, log):
        await until(lambda: log.ids("binance"))
        assert codes == [1009]
        assert feed.reconnects == 1
        (reason,) = log.reasons()
        assert f"expected at most {FRAME_BYTES_MAX} bytes" in reason
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 64 * 1024


async def test_the_largest_frame_that_is_allowed_is_taken():
    text = giant(FRAME_BYTES_MAX)
    assert len(text) == FRAME_BYTES_MAX

    async def generous(socket):
        await accept(socket)
        await socket.send(text)
        await socket.send(trade_frame(7))
        await socket.wait_closed()

    async with listening(generous) as url, feeding(url) as (feed, log):
        await until(lambda: log.ids("binance"))
        assert feed.reconnects == 0
        assert log.reasons() == []


async def test_compression_is_never_agreed_so_no_frame_can_grow():
    offered = []

    async def generous(socket):
        offered.append(socket.request.headers.get("Sec-WebSocket-Extensions"))
        assert socket.protocol.extensions == []
        await accept(socket)
        await socket.send(trade_frame(1))
        await socket.wait_closed()

    async with listening(generous, compression="deflate") as url, feeding(url) as (_, log):
        await until(lambda: log.ids("binance"))
    assert offered == [None]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"\xc1\x04\x01\x02\x03\x04", "a frame as the protocol has it"),  # compressed, which was never agreed
        (b"\x81\x02\xff\xfe", "UTF-8"),
        (b"\x83\x00", "a frame as the protocol has it"),  # an opcode that is reserved
    ],
)
async def test_bytes_that_are_no_frame_are_said_and_the_connection_opened_again(raw, expected):
    served = []

    async def broken(socket):
        await accept(socket)
        served.append(socket)
        if len(served) == 1:
            socket.transport.write(raw)
        else:
            await socket.send(trade_frame(7))
        await socket.wait_closed()

    async with listening(broken) as url, feeding(url) as (feed, log):
        await until(lambda: log.ids("binance"))
        (reason,) = log.reasons()
        assert expected in reason
        assert feed.reconnects == 1
