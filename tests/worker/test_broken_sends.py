"""A request on a connection that the broker has just reset fails as a lost connection, never as something else."""

import asyncio
import socket
import struct

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from sofia_streams.worker.broken_sends import mend_sends

uvloop = pytest.importorskip("uvloop", reason="uvloop is not on every platform")
VERSIONS = {3: (0, 5)}
"""What the broker would have said of metadata requests."""


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A broker that was killed: its side of the connection is reset."""
    await reader.read(4)
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def errors_of_sends() -> set[type[BaseException]]:
    """What is raised by requests that go on while the connection breaks."""
    server = await asyncio.start_server(reset, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    found: set[type[BaseException]] = set()
    for _ in range(20):
        connection = AIOKafkaConnection(host, port, request_timeout_ms=1_000)
        connection._reader, connection._writer = await asyncio.open_connection(host, port)
        connection._read_task, connection._versions = asyncio.ensure_future(asyncio.sleep(0)), VERSIONS
        connection._closed_fut = asyncio.get_running_loop().create_future()
        try:
            for _ in range(1_000):
                answer = asyncio.ensure_future(connection.send(MetadataRequest([])))
                answer.add_done_callback(lambda one: one.exception())  # it is lost with the connection
                await asyncio.sleep(0)
        except (KafkaConnectionError, RuntimeError) as error:
            found.add(type(error))
        connection.close()
    server.close()
    return found


def test_a_send_on_a_connection_that_breaks_fails_as_a_lost_connection():
    mend_sends()
    mended = AIOKafkaConnection.send
    mend_sends()
    assert AIOKafkaConnection.send is mended
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(errors_of_sends()) == {KafkaConnectionError}


def test_without_the_mending_it_fails_as_something_that_nobody_expects(monkeypatch):
    """Else the mending is not needed any more."""
    mend_sends()
    monkeypatch.setattr(AIOKafkaConnection, "send", AIOKafkaConnection.send.__wrapped__)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert RuntimeError in runner.run(errors_of_sends())
