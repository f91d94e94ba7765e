"""The last question before a worker is killed: does its page say that it knowingly waits?"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sofia_streams.embedded.ports import HOST, pick_ports
from sofia_streams.errors import DependencyDown
from sofia_streams.obs import metrics
from sofia_streams.ops.supervision.watchdog import says_it_waits
from sofia_streams.worker.retrying import retry


@contextmanager
def page() -> Iterator[int]:
    """A worker's page, as it is now; its port."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(metrics.text())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer((HOST, 0), Page) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


async def test_a_worker_whose_store_is_away_says_that_it_waits_until_it_is_back():
    is_down = True

    async def write() -> None:
        if is_down:
            raise DependencyDown("away")

    with page() as port:
        assert not await asyncio.to_thread(says_it_waits, port)
        task = asyncio.create_task(retry(write, "test_store"))
        async with asyncio.timeout(20):
            while not await asyncio.to_thread(says_it_waits, port):
                assert not task.done()
            is_down = False
            await task
        assert not await asyncio.to_thread(says_it_waits, port)


@pytest.mark.parametrize("port", [0, None])
def test_a_worker_without_a_page_or_with_one_that_does_not_answer_says_nothing(port):
    assert not says_it_waits(pick_ports([0])[0] if port is None else port)
