"""What is fetched: only partitions that are active at that moment, and none where none is."""

import asyncio
from types import SimpleNamespace

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher, FetchResult
from faust.types import TP

from sofia_streams.worker.transport import ActiveNow


def buffered() -> FetchResult:
    """Records that were fetched and not yet taken."""
    result = FetchResult.__new__(FetchResult)
    result.getall, result.has_more = (lambda records_max: ["a record"]), (lambda: False)
    return result


def a_fetcher(places) -> Fetcher:
    """aiokafka's own, without a broker: these partitions have records waiting."""
    fetcher = Fetcher.__new__(Fetcher)
    fetcher._records = {place: buffered() for place in places}
    fetcher._subscriptions = SimpleNamespace(reassignment_in_progress=False, is_assigned=lambda place: True)
    fetcher._wait_consume_future = None
    fetcher._closed = False
    fetcher._fetch_waiters = set()
    fetcher._loop = asyncio.get_running_loop()
    return fetcher


INPUT, CHANGELOG = TopicPartition("trades", 0), TopicPartition("changelog", 0)


async def test_nothing_is_taken_where_everything_is_paused():
    fetcher = a_fetcher([INPUT, CHANGELOG])
    assert await fetcher.fetched_records(ActiveNow(set)) == {}
    assert await fetcher.fetched_records(ActiveNow(lambda: None)) == {}
    assert set(fetcher._records) == {INPUT, CHANGELOG}


async def test_an_empty_set_would_take_everything():
    """Why it must not be handed over: should that change in aiokafka, `ActiveNow` can go."""
    assert set(await a_fetcher([INPUT, CHANGELOG]).fetched_records(set())) == {INPUT, CHANGELOG}


async def test_what_counts_is_what_is_active_when_a_record_is_taken():
    fetcher, active = a_fetcher([INPUT, CHANGELOG]), {TP("changelog", 0)}
    now = ActiveNow(lambda: active)
    waiting = asyncio.ensure_future(fetcher.fetched_records(now))
    active.clear()
    active.add(TP("trades", 0))
    assert set(await waiting) == {INPUT}
    assert set(fetcher._records) == {CHANGELOG}
