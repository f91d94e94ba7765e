"""A venue that changes its messages: new fields are ignored and counted, missing ones are said to a person in time."""

import json
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages import BEGIN_NS, message
from scripted import PAIRS, Scripted, hasten, ingesting, taken_ids
from sockets import until

from sofia_streams.core.feeds.frame_changes import FRAMES_LEARNT, UNREADABLE_MIN, UNREADABLE_PARTS, Fields, Unreadable
from sofia_streams.ingest.intake import Intake
from sofia_streams.ingest.line import Line
from sofia_streams.model import NS_PER_SECOND, TradeBatch
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.slow
S = NS_PER_SECOND


NEEDED = {
    "binance": ["s", "t", "p", "q", "T", "m"], "okx": ["instId", "tradeId", "px", "sz", "side", "ts"],
    "coinbase": ["trade_id", "side", "size", "price", "product_id", "time"], "bybit": ["T", "s", "S", "v", "p", "i"],
}  # fmt: skip
KIND = {
    "binance": ("e", "stream"), "okx": ("channel",), "coinbase": ("type",), "bybit": ("topic",),
}  # fmt: skip


OTHER = {
    "binance": b'{"result":null,"id":1}', "okx": b"pong", "bybit": b'{"op":"pong"}',
    "coinbase": b'{"type":"subscriptions","channels":[]}',
}  # fmt: skip
"""What may come between trades."""


def renamed(row, name):
    row[f"{name}New"] = row.pop(name)


def retyped(row, name):
    row[name] = {"value": row[name]}


def lived(venue, change, seconds=90, changes_at_s=70):
    """An intake that gets a trade a second among nine other messages; ids; alerts with the second they came in."""
    intake, line = Intake(), Line(venue, "spot", f"{venue}-0.1", f"{venue}-0")
    intake.requested(line, 1)
    ids, alerts = [], []
    for second in range(seconds):
        now_ns = BEGIN_NS + second * S
        for _ in range(9):
            intake.take(line, OTHER[venue], now_ns)
        whole, row = message(venue, second + 1, now_ns)
        if second >= changes_at_s:
            change(whole, row)
        records, _ = intake.take(line, json.dumps(whole).encode(), now_ns)
        ids += [int(trade.trade_id) for one in records if isinstance(one, TradeBatch) for trade in one.trades]
        alerts += [(second - changes_at_s, alert) for alert in intake.changes.alerts(now_ns)]
    return intake, ids, alerts


@pytest.mark.parametrize("venue", VENUES)
def test_a_new_field_is_ignored_and_counted_once(venue):
    intake, ids, alerts = lived(venue, lambda whole, row: row.update(brandNew={"inner": 1}, other=[1, {"deep": 2}]))
    assert ids == list(range(1, 91)) and alerts == []
    assert intake.summary()[venue]["new_fields"] == 4
    assert intake.summary()[venue].get("quarantined", 0) == 0


@pytest.mark.parametrize("change", [renamed, retyped, lambda row, name: row.pop(name)])
@pytest.mark.parametrize(("venue", "name"), [(venue, name) for venue, names in NEEDED.items() for name in names])
def test_a_field_that_is_gone_or_of_another_type_is_set_aside_and_said_within_a_minute(venue, name, change):
    intake, ids, alerts = lived(venue, lambda whole, row: change(row, name))
    assert ids == list(range(1, 71))
    assert intake.summary()[venue]["quarantined"] == 20
    ((second, alert),) = alerts
    assert second <= 10
    assert alert.severity == "critical" and alert.text.startswith(f"venue changed? {venue}: ")


@pytest.mark.parametrize("venue", VENUES)
def test_trades_that_come_as_another_kind_of_message_are_said_too(venue):
    """They are no bad frames: nobody knows them, and the ticker goes on."""

    def change(whole, row):
        for name in KIND[venue]:
            place = whole.get("arg", row if name in row else whole)
            place[name] = "newThing"

    intake, ids, alerts = lived(venue, change)
    assert ids == list(range(1, 71))
    assert intake.summary()[venue]["ignored"] == 20
    assert len(alerts) == 1 and alerts[0][0] <= 10 and "newThing" in alerts[0][1].text


@pytest.mark.parametrize("venue", VENUES)
def test_seconds_where_milliseconds_were_are_said_too(venue):
    """A price is of a believable size in any unit; a time is not."""
    name = {"binance": "T", "okx": "ts", "bybit": "T", "coinbase": "time"}[venue]

    def change(whole, row):
        row[name] = "1970-01-21T00:00:00.000000Z" if venue == "coinbase" else type(row[name])(int(row[name]) // 1_000)

    _, ids, alerts = lived(venue, change)
    assert ids == list(range(1, 71))
    assert len(alerts) == 1 and "days old" in alerts[0][1].text


async def test_ingest_tells_a_person_over_real_sockets_and_the_other_venue_goes_on(monkeypatch):
    hasten(monkeypatch, "okx")
    hasten(monkeypatch, "bybit")
    venue, other = Scripted("okx"), Scripted("bybit")
    async with ingesting(venue, other) as log:
        await until(lambda: len(taken_ids(log, PAIRS[0])) > 20 and len(taken_ids(log, PAIRS[0], "bybit")) > 20)
        encode = VENUES["okx"].encode_trade
        monkeypatch.setitem(
            VENUES, "okx", VENUES["okx"]._replace(encode_trade=lambda one: encode(one).replace('"px"', '"price"'))
        )
        began_s = time.monotonic()
        await until(lambda: log.alerts)
        print(f"said {time.monotonic() - began_s:.2f} s after the change")
        since = max(taken_ids(log, PAIRS[0], "bybit"))
        await until(lambda: max(taken_ids(log, PAIRS[0], "bybit")) > since + 20)
        assert [alert.text[:19] for alert in log.alerts] == ["venue changed? okx:"]
        assert log.reasons()


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=300))
def test_an_alert_means_that_the_last_minute_had_enough_of_them_and_comes_once_until_it_is_over(steps):
    one, seen, now_s, said = Unreadable(), [], 0, False
    for pause_s, is_bad in steps:
        now_s += pause_s
        one.saw(now_s * S, is_bad=is_bad)
        seen.append((now_s, is_bad))
        lately = [bad for at_s, bad in seen if at_s // 5 > now_s // 5 - 12]
        said = said and any(lately)
        begins = not said and sum(lately) >= UNREADABLE_MIN and sum(lately) * UNREADABLE_PARTS >= len(lately)
        assert one.lately(now_s * S) == (len(lately), sum(lately))
        assert one.has_begun(now_s * S) is begins
        said = said or begins


def test_rare_bad_frames_of_a_busy_venue_are_no_change():
    one, chance = Unreadable(), random.Random(3)
    for tenth in range(36_000):
        one.saw(tenth * S // 10, is_bad=chance.random() < 0.002)
        assert not one.has_begun(tenth * S // 10)


def test_fields_are_bounded_however_many_there_are():
    fields = Fields()
    for number in range(FRAMES_LEARNT + 50):
        fields.new({f"{number}-{one}" * 100: {"a": [{"b": 1}] * 1_000} for one in range(50)})
    assert len(fields._known) <= 200 and max(map(len, fields._known)) <= 80
    nested = 1
    for _ in range(900):
        nested = [nested, {"a": nested}] if isinstance(nested, int) else [nested]
    assert Fields().new(nested) == []
