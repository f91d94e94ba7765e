"""The frames both parsers get are the captured ones, and unequal trades are found."""

from decimal import Decimal

import msgspec
import pytest

from bench.parse import Group, as_both_read, captured, check, ours, repeated
from sofia_streams.errors import SofiaError
from sofia_streams.ingest.names import Names
from sofia_streams.venues.registry import VENUES

TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,'
    b'"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}'
)


def theirs(group):
    return [
        [symbol, str(trade.price), str(trade.quantity), trade.taker_side, trade.exchange_ns / 1e9, trade.trade_id]
        for symbol, trade in ours(group, Names())
    ]


def test_a_renamed_frame_keeps_every_value():
    renamed = as_both_read(TRADE)
    (before,) = VENUES["binance"].parse(TRADE, received_ns=0)
    (after,) = VENUES["binance"].parse(renamed, received_ns=0)
    assert after.trade == msgspec.structs.replace(before.trade, id_kind="agg")
    assert msgspec.json.decode(renamed)["data"]["e"] == "aggTrade"


def test_every_venue_has_captured_trades():
    assert {group.venue for group in captured()} == set(VENUES)


def test_frames_are_repeated_until_there_are_enough():
    group = Group("binance", "spot", [as_both_read(TRADE)])
    assert len(repeated(group, 7).frames) == 7
    assert repeated(group, 1) == group


def test_equal_trades_pass_and_each_kind_of_difference_is_found():
    group = Group("binance", "spot", [as_both_read(TRADE)])
    assert check(group, theirs(group)) == []
    for place, wrong in enumerate(["ETH/USDT", "61837.64000000", str(Decimal("0.03")), "buy", 1723161255.343, "1"]):
        (row,) = theirs(group)
        row[place] = wrong
        with pytest.raises(SofiaError, match="binance"):
            check(group, [row])
    with pytest.raises(SofiaError, match="expected 1 trades"):
        check(group, [])
