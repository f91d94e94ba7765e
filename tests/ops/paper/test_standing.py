"""The account as a log without its beginning has it: positions that were there count from when they were flat."""

from decimal import Decimal

from sofia_streams.core.performance.trips import round_trips
from sofia_streams.ops.paper.standing import begun_flat
from sofia_streams.paper import Account, Fill, Position

_D = Decimal


def fill(at_ns, side, quantity, price, symbol="BTC/USDT"):
    return Fill(
        f"f{at_ns}{symbol}", "o", "binance", "spot", symbol, side, _D(quantity), _D(price), _D(0), _D(0), "none",
        "taker", "filled", at_ns,
    )  # fmt: skip


def account(at_ns, **held):
    positions = [Position("spot", f"{name}/USDT", _D(one), _D(one) * 100, None, 1) for name, one in held.items()]
    return Account(at_ns, at_ns, *[_D(0)] * 9, 0, "ACTIVE", "minute", positions=positions)


def test_what_was_held_before_the_first_record_makes_no_round_trip():
    fills = [
        fill(20, "sell", 1, 110), fill(30, "buy", 1, 120), fill(40, "sell", 1, 130),
        fill(21, "buy", 2, 10, "ETH/USDT"), fill(41, "sell", 2, 12, "ETH/USDT"),
    ]  # fmt: skip
    fills.sort(key=lambda one: one.at_ns)
    invented, _ = round_trips(fills)
    assert ("BTC/USDT", "short") in {(one.symbol, one.direction) for one in invented}, "as if it had been flat"
    found = begun_flat(fills, [account(10, BTC="1"), account(20), account(60)])
    assert found == fills[1:], "the account right behind the first fill says what is held then"
    found = begun_flat(fills, [account(10, BTC="1"), account(22, BTC="3", ETH="2"), account(60)])
    assert [(one.symbol, one.at_ns) for one in found] == []
    trips, still_open = round_trips(begun_flat(fills, [account(10, BTC="1"), account(20), account(60)]))
    assert [(one.symbol, one.direction, one.net_quote) for one in trips] == [
        ("BTC/USDT", "long", 10), ("ETH/USDT", "long", 4),
    ]  # fmt: skip
    assert still_open == 0
    assert begun_flat([], [account(10)]) == []
