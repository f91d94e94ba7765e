"""Bodies that a faulty proxy damages on the way: a failure that is asked for again, never short data."""

import asyncio
import gzip
import json
import zlib
from contextlib import asynccontextmanager

import pytest

from sofia_streams.errors import BadFrame, DependencyDown
from sofia_streams.ingest.rest import client
from sofia_streams.ingest.rest.budget import forget_budgets
from sofia_streams.ingest.rest.client import open_rest
from sofia_streams.ingest.rest.trade_history import fetch_ids

pytestmark = pytest.mark.slow
ROWS = [
    {"trade_id": number, "side": "buy", "size": "1.5", "price": "100.25", "time": "2026-01-01T00:00:00.000001Z"}
    for number in range(400, 300, -1)
]
BODY = json.dumps(ROWS).encode()
HALF = len(BODY) // 2
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"


def plain(body, announced=None, more=b""):
    return HEAD + more + b"Content-Length: %d\r\n\r\n" % (len(body) if announced is None else announced) + body


def chunked(body):
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n"


def packed(name, body, announced=None):
    return plain(body, announced, b"Content-Encoding: %s\r\n" % name)


WHOLE = plain(BODY)
DAMAGED = {
    "a length that is larger than the body": plain(BODY, len(BODY) + 1),
    "half of the body": plain(BODY[:HALF], len(BODY)),
    "half of the body, and its length": plain(BODY[:HALF]),
    "a body without its last byte": plain(BODY[:-1]),
    "chunks without an end": chunked(BODY),
    "half a chunk": chunked(BODY)[:-HALF],
    "gzip cut, with its length": packed(b"gzip", gzip.compress(BODY)[:-30]),
    "gzip cut, of the whole length": packed(b"gzip", gzip.compress(BODY)[:-30], len(gzip.compress(BODY))),
    "deflate cut": packed(b"deflate", zlib.compress(BODY)[:-20]),
    "what is no gzip": packed(b"gzip", BODY),
    "a byte that is flipped into a quote": plain(BODY.replace(b"100.25", b'100"25', 1)),
}
"""As JSON none of these is a page."""
OTHERS = {
    "another charset": plain(json.dumps(ROWS).encode("utf-16")),
    "letters of another charset": plain(BODY.replace(b"100.25", "１００".encode("shift_jis"), 1)),
    "a redirect to a page to sign in": b"HTTP/1.1 302 Found\r\nLocation: /login\r\nConnection: close\r\n\r\n",
    "no body at all": plain(b""),
    "a page of HTML": plain(b"<html>Sign in</html>"),
    "JSON that is no page": plain(b'{"trades": []}'),
}


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """It is asked again at once."""
    monkeypatch.setattr(client, "_AGAIN_S", 0.01)


@asynccontextmanager
async def proxy(*answers):
    """A client of a server that gives these answers, the last for ever; a list as long as it was asked often."""
    forget_budgets()
    asked = []

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        asked.append(None)
        writer.write(answers[min(len(asked), len(answers)) - 1])
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/coinbase"
    try:
        async with open_rest("coinbase", "spot", url) as rest:
            yield rest, asked
    finally:
        server.close()
        await server.wait_closed()


async def fetched(rest):
    return [trade async for page in fetch_ids(rest, "BTC-USD", 301, 400, id_kind="trade") for trade in page]


@pytest.mark.parametrize("how", DAMAGED)
async def test_a_damaged_body_is_asked_for_again(how):
    async with proxy(DAMAGED[how], WHOLE) as (rest, asked):
        assert [trade.order for trade in await fetched(rest)] == [*range(301, 401)]
        assert len(asked) == 2


async def test_a_body_that_stays_damaged_gives_no_row():
    async with proxy(DAMAGED["a body without its last byte"]) as (rest, asked):
        with pytest.raises(DependencyDown, match="3 times"):
            await fetched(rest)
        assert len(asked) == 3


@pytest.mark.parametrize("how", OTHERS)
async def test_what_is_no_page_of_trades_is_an_error_with_no_row(how):
    async with proxy(OTHERS[how]) as (rest, asked):
        with pytest.raises((DependencyDown, BadFrame), match="coinbase: expected"):
            await fetched(rest)
        assert 1 <= len(asked) <= 20
