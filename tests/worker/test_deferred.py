"""The table steps back with its log: instruments take records again, and the changelog hears of it."""

import asyncio

import pytest

from sofia_streams.core.windows import Feed
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
