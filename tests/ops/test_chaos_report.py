"""The end of a chaos run where something does not answer any more: the ledger is printed, and the run has not held."""

import asyncio
import json

import pytest

from sofia_streams.model import NS_PER_SECOND
from sofia_streams.ops.chaos import checks, readback
from sofia_streams.ops.chaos.checks import LOG, QUESTDB, REDIS, SIGNALS, VERIFY, Compared, compare
from sofia_streams.ops.chaos.converging import Healing
from sofia_streams.ops.chaos.hurting import Outcome
from sofia_streams.ops.chaos.plan import Fault, Plan
from sofia_streams.ops.chaos.readback import Log
from sofia_streams.ops.chaos.report import Report
from sofia_streams.ops.chaos.verdict import Watched
from sofia_streams.settings import Settings

NOWHERE = Settings(
    broker_url="kafka://127.0.0.1:1", questdb_host="127.0.0.1", questdb_http_port=1, redis_url="redis://127.0.0.1:1/0",
    crypto_symbols=("BTC/USDT",), crypto_exchanges=("okx",),
)  # fmt: skip
"""Nothing answers there."""
KILL = Fault(1.0, "kill", "kafka")
LEDGER = {
    "venue": "okx", "market": "spot", "listing": "BTC-USDT", "trade_id": "7", "exchange_ns": NS_PER_SECOND,
    "price": "1.5", "quantity": "2", "side": "buy",
}  # fmt: skip


async def compared(tmp_path) -> Compared:
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_text(json.dumps(LEDGER) + "\n")
    watched = Watched(0, 1_000, 2 * NS_PER_SECOND)
    return await compare(NOWHERE, ledger, {("okx", "BTC-USDT"): "BTC/USDT"}, watched, {}, lambda text: None)


def report_of(found: Compared, *, fallback=False) -> Report:
    plan = Plan("broker-kills", 7, 60.0, [KILL], fallback=fallback)
    why = {"kafka": "kafka ended five times"}
    outcomes = [Outcome(KILL, "fired", 1.0, kills=1)]
    return Report(plan, found, outcomes, Healing(False, 150.0, "kafka to run"), "", {"duplicate": 3}, {}, {}, why, {})


async def test_with_the_broker_left_down_the_ledger_says_what_was_done_and_that_nothing_could_be_compared(tmp_path):
    found = await compared(tmp_path)
    assert set(found.uncompared) == {LOG, "bars", "gaps", QUESTDB, REDIS, VERIFY, SIGNALS}
    report = report_of(found, fallback=True)
    lines = "\n".join(report.lines())
    assert "faults fired" in lines
    assert "trades, bars, gaps  not compared" in lines
    assert f"FAILED: not compared: {LOG}: " in lines
    assert not {"lost", "held", "missing"} & {line.split("  ")[0] for line in report.lines()}
    assert not [text for text in report.failures() if "fallback" in text]


async def test_its_counts_are_null_and_not_nought(tmp_path):
    said = json.loads(json.dumps(report_of(await compared(tmp_path)).as_json()))
    assert said["held"] is False
    names = ("trades", "lost", "declared", "missing", "duplicated", "bars", "verify", "gaps", "fallback_rows")
    assert [said[name] for name in names] == [None] * len(names)
    assert (said["fired"], said["kills"], said["simulated"]) == (1, 1, {"duplicate": 3})
    assert said["uncompared"].keys() == {LOG, "bars", "gaps", QUESTDB, REDIS, VERIFY, SIGNALS}


async def test_what_the_log_says_is_compared_where_only_the_stores_do_not_answer(tmp_path, monkeypatch):
    async def log(settings):
        return Log()

    async def ends(settings):
        return {}

    monkeypatch.setattr(readback, "read_log", log)
    monkeypatch.setattr(readback, "ends", ends)
    found = await compared(tmp_path)
    assert found.uncompared.keys() == {QUESTDB, REDIS, VERIFY, SIGNALS}
    said = report_of(found).as_json()
    assert (said["trades"], said["lost"], said["held"]) == (1, 1, False)
    assert (said["missing"], said["verify"]) == ({}, None)


@pytest.mark.parametrize("what", [LOG, QUESTDB, REDIS, VERIFY])
def test_a_run_of_which_anything_was_not_compared_never_holds(what):
    plan = Plan("calm", 1, 0.0, [])
    whole = Report(plan, Compared(), [], Healing(True, 1.0), "", {}, {}, {}, {}, {})
    assert whole.failures() == []
    whole.compared.uncompared[what] = "no answer"
    assert whole.failures() == [f"not compared: {what}: no answer"]
    assert "held" not in whole.lines()


async def test_a_log_that_cannot_be_read_to_its_end_is_given_up(tmp_path, monkeypatch):
    async def never_ends(settings):
        await asyncio.Event().wait()

    async def ends(settings):
        return {}

    monkeypatch.setattr(readback, "ends", ends)
    monkeypatch.setattr(readback, "read_log", never_ends)
    monkeypatch.setattr(checks, "_PART_WITHIN_S", 0.05)
    assert (await compared(tmp_path)).uncompared[LOG] == "TimeoutError"
