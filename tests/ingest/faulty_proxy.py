"""Shared by the tests of bad networks: a TCP proxy that stops forwarding without closing, resets, or trickles."""

import asyncio
import contextlib
import socket
import struct

_LINGER_RESET = struct.pack("ii", 1, 0)
"""Closing then sends a reset, and throws away what waits."""


class FaultyProxy:
    """What the venue sends may be held back (`open` cleared: no byte and no end comes through) or slowed down."""

    def __init__(self):
        self.open = asyncio.Event()
        self.open.set()
        self.bytes_per_s = None
        self.accepted = 0
        self.sent_bytes = 0
        self._writers = []
        self._tasks = set()

    @contextlib.asynccontextmanager
    async def before(self, url):
        """Its own address, in place of this ws:// one."""
        self._port = int(url.rpartition(":")[2])
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            self.reset_all()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        self.accepted += 1
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, there_writer]
        for source, sink, is_slow in ((there_reader, writer, True), (reader, there_writer, False)):
            task = asyncio.create_task(self._forward(source, sink, is_slow=is_slow))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(self, source, sink, *, is_slow):
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                await self.open.wait()
                for part in self._parts(data) if is_slow else [data]:
                    sink.write(part)
                    await sink.drain()
                    self.sent_bytes += len(part)
                    if is_slow and self.bytes_per_s:
                        await asyncio.sleep(len(part) / self.bytes_per_s)
            sink.close()

    def _parts(self, data):
        size = max(1, round(self.bytes_per_s / 20)) if self.bytes_per_s else len(data)
        return [data[first : first + size] for first in range(0, len(data), size)]

    def reset_all(self):
        """RST on every connection, to both sides; how many."""
        count = 0
        for writer in self._writers:
            raw = writer.get_extra_info("socket")
            if not writer.is_closing() and raw is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
                writer.transport.abort()
                count += 1
        self._writers.clear()
        return count // 2
