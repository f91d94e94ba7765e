"""The table steps back with its log: instruments take records again, and the changelog hears of it."""

import asyncio
from types import SimpleNamespace

import pytest

from sofia_streams import codec
from sofia_streams.core.bars.candles import apply
from sofia_streams.core.bars.windows import Feed, Gaps, Hole, Rules, gaps_key
from sofia_streams.errors import BadRecord
from sofia_streams.model import NS_PER_SECOND, Gap
from sofia_streams.settings import load_settings


@pytest.fixture
def table():
    from sofia_streams.app import create_app
    from tables.ohlcv import ohlcv_table

    app = create_app("ohlcv", load_settings(None, {"BROKER_URL": "kafka://127.0.0.1:1"}))
    return ohlcv_table(app, 2)


@pytest.fixture
def written(table):
    """What is written to the changelog, acknowledged at once."""
    changes = []

    def write(change):
        changes.append(change)
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future

    table.write = write
    return changes


async def test_instruments_of_the_partition_step_back_and_others_stay(table, written):
    before = {"binance|spot|A/B": 20, "okx|spot|A/B": 4, "binance|spot|C/D": 30}
    for key, offset in before.items():
        table.data[key] = Feed(offset=offset)
    await table.step_back(1, 5, lambda symbol: symbol == "A/B")
    assert {key: row.offset for key, row in dict(table).items()} == before | {"binance|spot|A/B": 4}
    assert [(change.partition, change.key, change.row.offset) for change in written] == [(1, "binance|spot|A/B", 4)]


HOLE = Gap("okx", "spot", "A/B", 0, "1", "trade:1", "ids", "open", 60 * NS_PER_SECOND, 61 * NS_PER_SECOND)
OKX = "okx|spot|A/B"


def put_feed(table, gaps_offset):
    table.data[OKX] = Feed(offset=20, closed_ns=600 * NS_PER_SECOND, kept_from_ns=480 * NS_PER_SECOND)
    table.data[gaps_key(OKX)] = Gaps({"trade:1": Hole(HOLE.from_ns, HOLE.until_ns)}, gaps_offset)


async def test_gaps_step_back_before_their_feed_and_news_of_them_that_comes_again_is_no_news(table, written):
    put_feed(table, gaps_offset=18)
    await table.step_back(1, 5, lambda symbol: symbol == "A/B")
    assert [(change.key, change.row.offset) for change in written] == [(gaps_key(OKX), 4), (OKX, 4)]
    assert [table.data[change.key] for change in written] == [change.row for change in written]
    assert apply(table.data, HOLE, offset=5, rules=Rules()).remark is None


async def test_gaps_older_than_the_offset_and_those_that_a_crash_left_ahead_of_their_feed_stay(table, written):
    for gaps_offset, is_news in ((3, False), (21, True)):
        put_feed(table, gaps_offset)
        await table.step_back(1, 5, lambda symbol: symbol == "A/B")
        assert [change.key for change in written] == [OKX]
        assert table.data[gaps_key(OKX)].offset == gaps_offset
        assert (apply(table.data, HOLE, offset=5, rules=Rules()).remark is not None) == is_news
        written.clear()


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
