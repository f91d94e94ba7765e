"""Open gaps outlive retention: what is old and open is said again as it was, and nothing else is."""

import asyncio

import msgspec
from gap_records import S
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from sofia_streams.core.feeds.gaps import newest
from sofia_streams.ingest import open_gaps
from sofia_streams.ingest.gap_watch import GapWatch
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.rest.backfill import Backfill
from sofia_streams.model import Gap
from sofia_streams.settings import Settings

HOUR_NS = 3600 * S
WEEK_H = 168


def gap(name, state="open", at_ns=0, opened_ns=0):
    ids = {"first_id": "1", "last_id": "2", "missing": 2}
    return Gap("okx", "spot", "BTC/USDT", at_ns, "1", name, "ids", state, 0, 1, opened_ns=opened_ns, **ids)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["open", "closed"])), max_size=8), st.integers(1, 99))
def test_with_a_worker_that_looks_often_the_log_always_knows_what_is_open(said, more_h):
    """Records come four hours apart, and are dropped after a week; then hours pass in which nothing is said."""
    log, now_ns, known = [], 0, {}
    for name, state in said:
        now_ns += 4 * HOUR_NS
        is_new = name not in known or (known[name].state, state) == ("closed", "open")
        known[name] = gap(name, state, now_ns, opened_ns=now_ns if is_new else known[name].opened_ns)
        log.append(known[name])
    still_open = {one.gap_id for one in newest(log) if one.state == "open"}
    for _ in range(4 * more_h):
        now_ns += HOUR_NS
        log = [one for one in log if now_ns - one.received_ns <= WEEK_H * HOUR_NS]
        log += open_gaps.due(log, now_ns, WEEK_H)
        assert {one.gap_id for one in newest(log) if one.state == "open"} == still_open


def test_what_is_said_again_is_what_was_said_but_for_when_and_only_while_it_is_old():
    records = [gap("a"), gap("b"), gap("b", "closed")]
    assert open_gaps.due(records, WEEK_H // 4 * HOUR_NS, WEEK_H) == []
    (again,) = open_gaps.due(records, 43 * HOUR_NS, WEEK_H)
    assert again == msgspec.structs.replace(gap("a"), received_ns=43 * HOUR_NS)
    assert open_gaps.due([*records, again], 84 * HOUR_NS, WEEK_H) == []
    assert open_gaps.due(records, 10**6 * HOUR_NS, 0) == []  # the log is kept for ever


async def test_one_look_reads_the_gaps_and_writes_the_old_ones_where_all_workers_find_them(monkeypatch):
    written = []

    async def read(settings):
        for one in (gap("a"), gap("b", "closed")):
            yield one

    async def write(settings, records):
        written.extend(records)

    monkeypatch.setattr(open_gaps, "read_gaps", read)
    monkeypatch.setattr(open_gaps, "write_records", write)
    with capture_logs() as logged:
        found = await open_gaps.repeat_once(Settings(), 90 * HOUR_NS)
    assert [(line["old"], line["put_right"]) for line in logged] == [(1, 0)]
    assert [(one.topic.name, one.key, one.record, one.at_ns) for one in written] == [
        ("gaps", "BTC/USDT", found[0], 90 * HOUR_NS)
    ]
    assert await open_gaps.repeat_once(Settings(), HOUR_NS) == []
    assert len(written) == 1


def test_a_gap_that_is_closed_while_it_is_said_again_stays_closed_for_every_reader(monkeypatch):
    """Another process closes it after this one has read that it is open, and before it says so again."""
    log, trades = [gap("a")], []

    async def read(settings):
        for one in [*log]:
            yield one

    async def write(settings, records):
        if len(log) == 1:
            log.append(gap("a", "closed", 90 * HOUR_NS))
        for one in records:
            (log if one.topic.name == "gaps" else trades).append(one.record)

    monkeypatch.setattr(open_gaps, "read_gaps", read)
    monkeypatch.setattr(open_gaps, "write_records", write)
    asyncio.run(open_gaps.repeat_once(Settings(), 90 * HOUR_NS))
    assert [one.state for one in log] == ["open", "closed", "open"]
    check_all_readers_say(log, "closed")
    with capture_logs() as logged:
        asyncio.run(open_gaps.repeat_once(Settings(), 91 * HOUR_NS))
    assert [(line["old"], line["put_right"]) for line in logged] == [(0, 1)]
    assert (log[-1].state, [one.state for one in trades]) == ("closed", ["closed"])  # whoever goes by the last is right
    check_all_readers_say(log, "closed")
    assert asyncio.run(open_gaps.repeat_once(Settings(), 10**4 * HOUR_NS)) == []
    log.append(msgspec.structs.replace(gap("a"), opened_ns=1))  # it opens there again
    check_all_readers_say(log, "open")


def test_a_gap_that_ends_while_it_is_said_again_has_its_end():
    lasts = msgspec.structs.replace(gap("a"), until_ns=None)
    log = [lasts, gap("a"), *open_gaps.due([lasts], 90 * HOUR_NS, WEEK_H)]
    assert [one.until_ns for one in log] == [None, 1, None]
    assert newest(log) == [gap("a")]
    (again,) = open_gaps.due(log, 90 * HOUR_NS, WEEK_H)
    assert (again.until_ns, again.state) == (1, "open")
    assert open_gaps.due([*log, again], 91 * HOUR_NS, WEEK_H) == []


def check_all_readers_say(log, state):
    assert [one.state for one in newest(log)] == [state]
    watch, worker = GapWatch(), Backfill(Settings(), Names(), None)
    for one in log:
        watch.remember(one)
        worker.note(one)
    still_open = ["a"] if state == "open" else []
    assert [*watch.open["okx|spot|BTC/USDT"]] == still_open
    assert [one.gap_id for one in worker.open_gaps("okx|spot|BTC/USDT")] == still_open
