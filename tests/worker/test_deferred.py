"""The table steps back with its log: instruments take records again, and the changelog hears of it."""

import asyncio
from types import SimpleNamespace

import pytest

from sofia_streams import codec
from sofia_streams.core.bars.windows import Feed
from sofia_streams.errors import BadRecord
from sofia_streams.settings import load_settings


@pytest.fixture
def table():
    from sofia_streams.app import create_app
    from tables.ohlcv import ohlcv_table

    app = create_app("ohlcv", load_settings(None, {"BROKER_URL": "kafka://127.0.0.1:1"}))
    return ohlcv_table(app, 2)


async def test_instruments_of_the_partition_step_back_and_others_stay(table):
    written = []

    def write(change):
        written.append(change)
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future

    table.write = write
    before = {"binance|spot|A/B": 20, "okx|spot|A/B": 4, "binance|spot|C/D": 30}
    for key, offset in before.items():
        table.data[key] = Feed(offset=offset)
    await table.step_back(1, 5, lambda symbol: symbol == "A/B")
    assert {key: row.offset for key, row in dict(table).items()} == before | {"binance|spot|A/B": 4}
    assert [(change.partition, change.key, change.row.offset) for change in written] == [(1, "binance|spot|A/B", 4)]


@pytest.mark.parametrize(
    ("key", "value", "is_read"),
    [
        (b'"binance|spot|A/B"', codec.encode(Feed(offset=3)), True),
        (b'"binance|spot|A/B"', None, True),
        (b'"binance|spot|A/B"', b"no row", False),
        (b'"binance|spot|A/B"', b"", False),
        (b"no key", codec.encode(Feed(offset=3)), False),
    ],
)
async def test_a_row_of_the_changelog_that_cannot_be_read_ends_the_worker(table, key, value, is_read):
    ended = []

    async def crash(error):
        ended.append(error)

    table.app.crash = crash
    topic = table.changelog_topic.clone_using_queue(asyncio.Queue())  # as Faust reads it back
    message = SimpleNamespace(key=key, value=value, headers={}, topic="log", partition=2, offset=7, tp=("log", 2))
    event = await topic.decode(message)
    assert (event is not None, not ended) == (is_read, is_read)
    for error in ended:
        assert isinstance(error, BadRecord)
        assert str(error).startswith("log/2 at 7: expected a row of the worker's table, found ")
