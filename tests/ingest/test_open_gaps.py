"""Open gaps outlive retention: what is old and open is said again as it was, and nothing else is."""

import msgspec
from gap_records import S
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.core.gaps import newest
from sofia_streams.ingest import open_gaps
from sofia_streams.model import Gap
from sofia_streams.settings import Settings

HOUR_NS = 3600 * S
WEEK_H = 168


def gap(name, state="open", at_ns=0):
    return Gap("okx", "spot", "BTC/USDT", at_ns, "1", name, "ids", state, 0, 1, first_id="1", last_id="2", missing=2)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["open", "closed"])), max_size=8), st.integers(1, 99))
def test_with_a_worker_that_looks_often_the_log_always_knows_what_is_open(said, more_h):
    """Records come four hours apart, and are dropped after a week; then hours pass in which nothing is said."""
    log, now_ns = [], 0
    for name, state in said:
        now_ns += 4 * HOUR_NS
        log.append(gap(name, state, now_ns))
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
    found = await open_gaps.repeat_once(Settings(), 90 * HOUR_NS)
    assert [(one.topic.name, one.key, one.record, one.at_ns) for one in written] == [
        ("gaps", "BTC/USDT", found[0], 90 * HOUR_NS)
    ]
    assert await open_gaps.repeat_once(Settings(), HOUR_NS) == []
    assert len(written) == 1
