"""News of a gap while its venue is asked, and records of gaps that none of ours wrote."""

import time

import msgspec
import pytest
from gap_records import S

from sofia_streams.ingest.names import Names
from sofia_streams.ingest.rest import backfill as module
from sofia_streams.ingest.rest import kline_check
from sofia_streams.ingest.rest.backfill import Backfill
from sofia_streams.ingest.rest.fill import Fetched
from sofia_streams.ingest.rest.kline_check import KlineCheck
from sofia_streams.model import NS_PER_MINUTE, Gap
from sofia_streams.settings import Settings

GAP = Gap("bybit", "spot", "BTC/USDT", 0, "1", "outage:0", "outage", "open", 0, 13 * S)


class Log(list):
    async def put(self, record):
        self.append(record)


@pytest.mark.parametrize("longer", [True, False])
async def test_what_was_asked_for_one_stretch_does_not_close_another_that_it_has_become(longer, monkeypatch):
    log = Log()
    filling = Backfill(Settings(), Names(), log)
    filling.note(GAP)

    async def fill(*asked):
        if longer:
            filling.note(msgspec.structs.replace(GAP, until_ns=25 * S))
        return Fetched(0, "whole")

    monkeypatch.setattr(module, "fill", fill)
    await filling._try(None, filling._next("bybit"))
    assert [one.state for one in log] == ([] if longer else ["closed"])
    assert [one.until_ns for one in filling.open_gaps("bybit|spot|BTC/USDT")] == ([25 * S] if longer else [])


def test_a_gap_of_a_venue_that_is_not_known_is_passed_over():
    filling = Backfill(Settings(), Names(), Log())
    filling.remember(msgspec.structs.replace(GAP, venue="kraken"))
    filling.remember(GAP)
    assert filling.open_gaps("bybit|spot|BTC/USDT") == [GAP]


async def test_a_minute_is_due_also_for_a_timer_that_was_early_by_the_wall_clock(monkeypatch):
    """Else the first pair asked, of a minute that has just ended, would wait for the next round."""
    check, seen = KlineCheck(Settings(), Backfill(Settings(), Names(), Log()), lambda: None), []

    async def no_pause(seconds):
        seen.append(time.time_ns() + round(seconds * 1e9))

    async def compare_all(clients, clock):
        seen.append(clock())
        raise EOFError

    monkeypatch.setattr(kline_check.asyncio, "sleep", no_pause)
    monkeypatch.setattr(check, "compare_all", compare_all)
    with pytest.raises(EOFError):
        await check.run()
    due_ns, clock_ns = seen
    assert clock_ns % NS_PER_MINUTE == 8 * S
    assert abs(clock_ns - due_ns) < S
