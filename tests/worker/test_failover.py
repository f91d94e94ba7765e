"""Which store a batch goes to, and what the log says before it is acknowledged; stores in memory, no server."""

from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from sofia_streams.errors import BadRecord, DependencyDown
from sofia_streams.model import Alert, Outage
from sofia_streams.settings import Settings
from sofia_streams.stores.base import Flaw
from sofia_streams.worker.failover import Failover
from sofia_streams.worker.sink import Item


class Memory:
    """A store that keeps rows, and fails when told to."""

    def __init__(self, name: str, done: list[tuple[str, Any]]) -> None:
        self.name, self.done = name, done
        self.is_down = self.refuses_writes = self.takes_all = False
        self.rows: list[Any] = []
        self.stopped: list[str] = []
        self.flaws: list[Flaw] = []
        self.made = 0

    def create_tables(self, retention_days: dict[str, int]) -> list[Flaw]:
        self._ask()
        self.made += 1
        return self.flaws

    def write(self, records: list[Any]) -> int:
        self._ask()
        if self.refuses_writes:
            raise DependencyDown("no space left on device")
        if "refused" in records and not self.takes_all:
            raise BadRecord("refused")
        self.rows += records
        self.done.append((self.name, list(records)))
        return len(records)

    def suspended(self) -> list[str]:
        self._ask()
        return list(self.stopped)

    def _ask(self) -> None:
        if self.is_down:
            raise DependencyDown(f"{self.name} is down")

    count = drop_tables = close = None  # not asked for here


class Bench:
    """A Failover between two stores in memory, and everything that happened in order."""

    def __init__(self, *, after_s: int = 1, has_fallback: bool = True) -> None:
        self.done: list[tuple[str, Any]] = []
        self.first, self.second = Memory("first", self.done), Memory("second", self.done)
        self.is_log_down = False
        settings = Settings(failover_after_s=after_s)
        fallback = self.second if has_fallback else None
        self.failover = Failover(settings, self.first, fallback, say=self._say, instance="me")  # type: ignore[arg-type]
        self.failover._patience._after_s = 0 if after_s == 1 else after_s  # no test waits for a clock

    async def write(self, *offsets: int, records: list[Any] | None = None) -> None:
        items = [
            Item(SimpleNamespace(message=SimpleNamespace(topic="t", partition=0, offset=offset)), 0, [f"r{offset}"], 1)
            for offset in offsets
        ]  # fmt: skip
        items = [item._replace(record=records) for item in items] if records else items
        await self.failover.write(items)
        self.done.append(("acknowledged", list(offsets)))

    async def _say(self, *records: Outage | Alert) -> None:
        if self.is_log_down:
            raise DependencyDown("the log is down")
        self.done += [("said", record) for record in records]

    def steps(self) -> list[Any]:
        return [getattr(what, "state", "alert") if name == "said" else name for name, what in self.done]

    def said(self) -> list[Any]:
        return [what for name, what in self.done if name == "said"]


async def test_while_the_primary_works_nothing_is_said():
    bench = Bench()
    await bench.write(0, 1)
    await bench.failover.check()
    await bench.write(2)
    assert bench.steps() == ["first", "acknowledged"] * 2 and bench.first.made == 1


async def test_a_table_that_was_mended_is_a_warning_and_one_that_is_still_wrong_an_error():
    bench = Bench()
    bench.first.flaws = [Flaw("it was off", is_mended=True), Flaw("it is text")]
    with capture_logs() as logged:
        await bench.write(0)
    assert [(line["log_level"], line.get("found", line.get("problem"))) for line in logged] == [
        ("warning", "it was off"),
        ("error", "it is text"),
    ]


async def test_a_short_failure_is_only_tried_again():
    bench = Bench(after_s=600)
    bench.first.is_down = True
    with pytest.raises(DependencyDown, match="first is down"):
        await bench.write(0)
    bench.first.is_down = False
    await bench.write(0)
    assert bench.steps() == ["first", "acknowledged"]


async def test_what_an_acknowledgement_rests_on_is_said_before_it():
    bench = Bench()
    await bench.write(0, 1)
    await bench.failover.check()
    bench.first.is_down = True
    await bench.write(2, 3)
    await bench.write(4)
    bench.first.is_down = False
    await bench.failover.check()
    await bench.write(5)
    await bench.write(6)
    assert bench.steps() == [
        *("first", "acknowledged"),
        *("second", "open", "acknowledged"),
        *("second", "acknowledged"),
        *("first", "filling"),
        *("first", "acknowledged"),
        *("first", "acknowledged"),
    ]
    assert bench.first.rows == ["r0", "r1", "r4", "r5", "r6"], "the newest batch of the fallback, then what comes"
    opened, ended = bench.said()
    assert (opened.first, ended.first, ended.last) == ({"t/0": 2}, {"t/0": 2}, {"t/0": 4})
    assert opened.outage_id == ended.outage_id and opened.outage_id.startswith("me:")
    assert (opened.store, ended.rows) == ("first", 3)


async def test_what_the_primary_took_since_it_was_last_seen_well_belongs_to_the_outage():
    bench = Bench()
    await bench.write(0)
    await bench.failover.check()
    await bench.write(1)
    bench.first.is_down = True
    await bench.failover.check()
    await bench.write(2)
    assert bench.said()[0].first == {"t/0": 1}


async def test_an_earlier_offset_is_said_before_it_is_acknowledged():
    bench = Bench()
    bench.first.is_down = True
    await bench.write(5)
    await bench.write(3)
    await bench.write(4)
    assert bench.steps() == ["second", "open", "acknowledged"] * 2 + ["second", "acknowledged"]
    assert [one.first for one in bench.said()] == [{"t/0": 5}, {"t/0": 3}]


async def test_after_partitions_were_revoked_the_outage_is_said_again():
    bench = Bench()
    bench.first.is_down = True
    await bench.write(5)
    bench.failover.say_again()
    await bench.write(6)
    assert bench.steps() == ["second", "open", "acknowledged"] * 2


async def test_where_the_log_cannot_be_told_nothing_is_acknowledged():
    bench = Bench()
    bench.first.is_down = bench.is_log_down = True
    with pytest.raises(DependencyDown, match="the log"):
        await bench.write(5)
    bench.is_log_down = False
    await bench.write(5)
    assert bench.steps() == ["second", "second", "open", "acknowledged"]
    bench.is_log_down, bench.first.is_down = True, False
    await bench.failover.check()
    await bench.write(6)
    bench.is_log_down = False
    await bench.failover.check()
    await bench.write(7)
    assert bench.steps()[4:] == ["first", "second", "acknowledged", "first", "filling", "first", "acknowledged"]


async def test_with_both_down_there_is_no_outage_and_either_will_do():
    bench = Bench()
    bench.first.is_down = bench.second.is_down = True
    for _ in range(3):
        with pytest.raises(DependencyDown, match="second is down"):
            await bench.write(0)
    bench.first.is_down = False
    await bench.write(0)
    assert bench.steps() == ["first", "acknowledged"]


async def test_in_an_outage_with_the_fallback_down_the_primary_is_taken_again_when_it_is_back():
    bench = Bench()
    bench.first.is_down = True
    await bench.write(0)
    bench.second.is_down, bench.first.is_down = True, False
    await bench.failover.check()
    await bench.write(1)
    assert bench.steps() == ["second", "open", "acknowledged", "first", "filling", "first", "acknowledged"]


async def test_a_primary_that_answers_but_takes_no_rows_does_not_end_the_outage():
    bench = Bench()
    bench.first.refuses_writes = True
    for offset in range(3):
        await bench.write(offset)
        await bench.failover.check()
    assert bench.steps() == ["second", "open", "acknowledged"] + ["second", "acknowledged"] * 2


async def test_a_suspended_table_is_an_alert_and_a_failure_until_it_is_resumed():
    bench = Bench()
    await bench.write(0)
    bench.first.stopped = ["trades"]
    await bench.failover.check()
    await bench.failover.check()
    await bench.write(1)
    bench.first.stopped = []
    await bench.failover.check()
    await bench.write(2)
    alerts = [one for one in bench.said() if isinstance(one, Alert)]
    assert [one.severity for one in alerts] == ["critical", "info"]
    assert "ALTER TABLE 'trades' RESUME WAL" in alerts[0].text
    outages = [one for one in bench.said() if isinstance(one, Outage)]
    assert [(one.state, one.first) for one in outages] == [("open", {"t/0": 0}), ("filling", {"t/0": 0})]
    assert (bench.first.rows, bench.second.rows) == (["r0", "r1", "r2"], ["r1"])


async def test_without_a_fallback_a_suspended_table_makes_it_wait():
    bench = Bench(has_fallback=False)
    bench.first.stopped = ["trades"]
    await bench.failover.check()
    with pytest.raises(DependencyDown, match="suspended: trades"):
        await bench.write(1)
    bench.first.stopped = []
    await bench.failover.check()
    await bench.write(1)
    assert not [one for one in bench.said() if isinstance(one, Outage)]


async def test_a_refused_row_is_the_sinks_to_handle_and_no_failure_of_the_store():
    bench = Bench()
    with pytest.raises(BadRecord):
        await bench.write(7, records=["refused"])
    await bench.write(8)
    assert (bench.first.rows, bench.second.rows, bench.said()) == (["r8"], [], [])


async def test_a_primary_that_refuses_the_newest_row_of_the_fallback_is_back_all_the_same():
    bench = Bench()
    bench.first.is_down = True
    bench.second.takes_all = True
    await bench.write(7, records=["refused"])
    bench.first.is_down = False
    await bench.failover.check()
    await bench.write(8)
    assert bench.steps() == ["second", "open", "acknowledged", "filling", "first", "acknowledged"]


async def test_tables_are_made_again_when_a_store_was_away():
    bench = Bench()
    await bench.write(0)
    bench.first.is_down = True
    await bench.write(1)
    bench.first.is_down = False
    await bench.failover.check()
    await bench.write(2)
    assert (bench.first.made, bench.second.made) == (2, 1)


async def test_tables_are_made_again_after_a_short_failure_too():
    bench = Bench(after_s=600)
    await bench.write(0)
    bench.first.is_down = True
    with pytest.raises(DependencyDown):
        await bench.write(1)
    bench.first.is_down = False
    await bench.write(1)
    assert bench.first.made == 2
