"""Round trips and what is said of them, each line worked out by hand; money is exact."""

from decimal import Decimal
from itertools import count

import pytest
from account_records import fill
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.core.performance import trips
from sofia_streams.model import NS_PER_SECOND

ZERO = Decimal(0)


def test_in_two_parts_and_out_in_two():
    fills = [
        fill(1, "buy", "1", "100", "0.1", at_s=0),
        fill(2, "buy", "3", "104", "0.3", at_s=10),  # 4 held for 100 + 312 = 412
        fill(3, "sell", "1", "110", "0.2", at_s=20),
        fill(4, "sell", "3", "108", "0.3", at_s=30),  # received 110 + 324 = 434: 22 gross, fees 0.9
    ]
    (trip,), still_open = trips.round_trips(fills)
    assert (trip.direction, trip.quantity, trip.entry_quote) == ("long", Decimal(4), Decimal(412))
    assert (trip.gross_quote, trip.fees_quote, trip.net_quote) == (Decimal(22), Decimal("0.9"), Decimal("21.1"))
    assert (trip.closed_ns - trip.opened_ns, trip.fills, still_open) == (30 * NS_PER_SECOND, 4, 0)


def test_a_fill_through_flat_ends_one_trip_and_begins_the_next_and_its_fee_is_split_by_quantity():
    fills = [
        fill(1, "buy", "1", "100", "0.1"),
        fill(2, "sell", "4", "110", "0.4", at_s=1),  # 1 closes (+10, fee 0.1), 3 open short at 110 (fee 0.3)
        fill(3, "buy", "3", "112", "0.3", at_s=2),  # 330 received, 336 paid: -6, fees 0.6
    ]
    (long, short), still_open = trips.round_trips(fills)
    assert (long.direction, long.net_quote, long.fees_quote) == ("long", Decimal("9.8"), Decimal("0.2"))
    assert (short.direction, short.net_quote, short.entry_quote) == ("short", Decimal("-6.6"), Decimal(330))
    assert (long.fills, short.fills, still_open) == (2, 2, 0)


def test_symbols_are_apart_and_an_open_position_is_no_trip():
    fills = [
        fill(1, "buy", "1", "100"),
        fill(2, "buy", "1", "10", symbol="ETH/USDT", at_s=1),
        fill(3, "sell", "1", "9", symbol="ETH/USDT", at_s=2),
    ]
    found, still_open = trips.round_trips(fills)
    assert [(one.symbol, one.net_quote) for one in found] == [("ETH/USDT", Decimal(-1))]
    assert still_open == 1


def test_a_fill_that_is_said_twice_counts_once():
    fills = [fill(1, "buy", "1", "100"), fill(1, "buy", "1", "100"), fill(2, "sell", "1", "101")]
    found, still_open = trips.round_trips(fills)
    assert (len(found), still_open) == (1, 0)


def made(*net):
    """Trips that made these amounts, one an hour long each."""
    number, fills = count(), []
    for at, one in enumerate(net):
        fills.append(fill(next(number), "buy", "1", "100", at_s=2 * at * 3600))
        fills.append(fill(next(number), "sell", "1", Decimal(100) + Decimal(one), at_s=(2 * at + 1) * 3600))
    return trips.round_trips(fills)[0]


def test_figures_by_hand():
    # won 10 + 20, lost 5 + 5 + 10, one of 0: win rate 2/6, factor 30/20, mean 10/6, payoff 15 / (20/3)
    found = trips.figures(made(10, -5, -5, 0, -10, 20), still_open=1)
    assert (found.count, found.won, found.lost, found.open, found.losses_in_row) == (6, 2, 3, 1, 2)
    assert found.win_rate == pytest.approx(1 / 3)
    assert found.profit_factor == pytest.approx(1.5)
    assert found.expectancy_quote == pytest.approx(10 / 6)
    assert found.payoff == pytest.approx(2.25)
    assert found.mean_hours == pytest.approx(1.0)
    assert (found.net_quote, found.best_quote, found.worst_quote) == (Decimal(10), Decimal(20), Decimal(-10))


def test_without_losses_or_trips_figures_are_null_not_infinite():
    won = trips.figures(made(10, 20))
    assert (won.win_rate, won.profit_factor, won.payoff, won.losses_in_row) == (1.0, None, None, 0)
    none = trips.figures([])
    assert (none.win_rate, none.expectancy_quote, none.mean_hours, none.best_quote) == (None, None, None, None)


@given(
    st.lists(
        st.tuples(st.sampled_from("AB"), st.booleans(), st.integers(1, 5), st.integers(1, 999), st.integers(0, 9)),
        max_size=40,
    )
)
def test_closed_trips_account_for_every_coin_once_all_is_sold(steps):
    number, fills, held, cash, fees = count(), [], {}, ZERO, ZERO
    for symbol, is_buy, quantity, price, fee in steps:
        signed = quantity if is_buy else -quantity
        held[symbol] = held.get(symbol, 0) + signed
        cash -= signed * price
        fees += fee
        side = "buy" if is_buy else "sell"
        fills.append(fill(next(number), side, str(quantity), str(price), str(fee), symbol=symbol))
    open_now = sum(quantity != 0 for quantity in held.values())
    assert trips.round_trips(fills)[1] == open_now
    for symbol, quantity in held.items():
        if quantity:
            cash += quantity * 500
            fills.append(
                fill(next(number), "sell" if quantity > 0 else "buy", str(abs(quantity)), "500", symbol=symbol)
            )
    found, still_open = trips.round_trips(fills)
    assert still_open == 0
    assert sum((one.gross_quote for one in found), ZERO) == cash
    assert sum((one.fees_quote for one in found), ZERO).quantize(Decimal("1e-15")) == fees
    assert all(one.net_quote == one.gross_quote - one.fees_quote and one.quantity > 0 for one in found)
