"""Every kind of message of every venue, with every value: the frames of `tests/golden`, and their origin."""

from pathlib import Path

import msgspec
import pytest

from sofia_streams.errors import BadFrame
from sofia_streams.model import Control, ParsedTicker, ParsedTrade, Refused
from sofia_streams.venues.registry import VENUES

GOLDEN = Path(__file__).parents[1] / "golden"
FRAMES = [
    pytest.param(venue, msgspec.json.decode(line), id=f"{venue}: {msgspec.json.decode(line)['name']}")
    for venue in VENUES
    for line in (GOLDEN / venue / "frames.jsonl").read_text().splitlines()
]


def plain(record):
    """A record as the golden files write it."""
    if isinstance(record, ParsedTrade):
        trade = record.trade
        found = {
            "trade": record.venue_symbol, "id": trade.trade_id, "price": str(trade.price),
            "quantity": str(trade.quantity), "taker": trade.taker_side, "exchange_ns": trade.exchange_ns,
            "order": trade.order,
        }  # fmt: skip
        others = {"id_kind": (trade.id_kind, "trade"), "snapshot": (trade.snapshot, False), "stale": (trade.stale, 0),
                  "count": (trade.count, 1)}  # fmt: skip
        return found | {name: value for name, (value, usual) in others.items() if value != usual}
    if isinstance(record, ParsedTicker):
        fields = {name: None if value is None else str(value) for name, value in record.fields.items()}
        return {"ticker": record.venue_symbol, "exchange_ns": record.exchange_ns, "fields": fields}
    if isinstance(record, Control):
        assert record.reply is None
        found = {"control": record.kind, "detail": record.detail}
        return found | ({"reconnect": True} if record.reconnect else {})
    assert isinstance(record, Refused)
    return {"refused": record.reason}


@pytest.mark.parametrize(("venue", "golden"), FRAMES)
def test_a_frame_gives_these_records(venue, golden):
    frame = golden["frame"].encode()
    assert golden["origin"]
    if "bad" in golden:
        with pytest.raises(BadFrame) as caught:
            VENUES[venue].parse(frame, received_ns=0)
        assert caught.value.found == golden["bad"]
        assert caught.value.frame == frame
    else:
        assert [plain(record) for record in VENUES[venue].parse(frame, received_ns=0)] == golden["records"]


@pytest.mark.parametrize("venue", VENUES)
def test_some_frames_give_data_some_nothing_and_some_fail(venue):
    goldens = [golden for name, golden in (param.values for param in FRAMES) if name == venue]
    kinds = {next(iter(record)) for golden in goldens for record in golden.get("records", [])}
    assert kinds >= {"trade", "ticker", "control"}
    assert any("bad" in golden for golden in goldens)
    assert len({golden["name"] for golden in goldens}) == len(goldens)


@pytest.mark.parametrize(("venue", "golden"), FRAMES)
def test_spaces_between_the_words_change_nothing(venue, golden):
    """The quick way through a frame and the careful one give the same."""
    if "records" in golden and golden["frame"].startswith("{"):
        spaced = golden["frame"].replace('":', '" :').replace('",', '" ,').encode()
        found = [plain(record) for record in VENUES[venue].parse(spaced, received_ns=0)]
        assert found == golden["records"] or "error" in str(golden["records"])
        longer = golden["frame"][:-1].encode() + b',"new_field":{"a":1}}'
        assert [plain(record) for record in VENUES[venue].parse(longer, received_ns=0)] == golden["records"]
