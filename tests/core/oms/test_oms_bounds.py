"""Bounds that hold whatever the settings: a short's size, what a bar gives, cash and fees in pieces, marks in bars."""

import pytest
from oms_played import WIDE, Played, money, rules


@pytest.mark.parametrize("collar", ["0.02", "0.5", "1"])
def test_a_short_is_counted_at_the_middle_though_its_collar_is_far_below(collar):
    # 10 % of 10,000 at a middle of 100: at most 10
    limits = WIDE._replace(position_share=money("0.1"), short_enabled=True, collar=money(collar))
    played = Played(rules(limits=limits))
    played.quote(0, "99.99", "100.01")
    assert played.place(1, "sell", "10.01").reason == "POSITION_EXCEEDS_MAXIMUM: expected at most 1000, found 1001"
    assert played.place(1, "sell", "9.5").status == "new"
    # with 9.5 on its way, half a unit more and no further
    assert played.place(1.1, "sell", "0.51").status == "rejected"
    assert played.place(1.1, "sell", "0.5").status == "new"


def test_a_buy_far_below_the_market_counts_what_is_held_at_the_middle():
    played = Played(rules(limits=WIDE._replace(position_share=money("0.1"), collar=money("0.5"))))
    played.quote(0, "99.99", "100.01")
    assert played.place(1, "buy", "10.5", "60", "limit").reason.startswith("POSITION_EXCEEDS_MAXIMUM")


def test_a_bar_gives_no_more_than_a_share_of_what_was_traded_in_it():
    played = Played(rules(costs={"impact": money(0)}))
    for number in range(6):
        played.bar(number * 60, 100, 101, 99, 100, 1_000)
    played.place(360, "buy", 90)
    played.bar(360, 100, 101, 99, 100, "0.01")
    # a tenth of 0.01, at the open; of its prints no more
    assert sum(one.quantity for one in played.fills) == money("0.001")
    played.bar(420, 100, 101, 99, 100, 500)
    assert sum(one.quantity for one in played.fills) == money("50.001")  # it was there before: a tenth of four prints


def test_fees_of_many_small_fills_are_those_of_the_whole_and_cash_stays_above_zero():
    # 960.96 is 10 at 96 and a fee of 10 bps, to the digit
    limits = WIDE._replace(position_share=money(10), gross_share=money(10))
    played = Played(rules(limits=limits, start_quote=money("960.96"), fees=(("binance", money(10), money(10)),)))
    played.quote(0, "95.9", "96.1")
    order = played.place(1, "buy", 10, 96, "limit")
    played.quote(3, "95.9", "96.1")
    for second, size in ((4, "0.00001"), (5, "0.00001"), (6, "1000")):
        played.print(second, "95.9", size, "sell")
    fees = [one.fee_quote for one in played.fills]
    # 0.000001 * 96 * 0.001 = 0.000000096, twice 0.000000192: 0.0000001 and then 0.00000019 of it
    assert fees == [money("0.0000001"), money("0.00000009"), money("0.95999981")]
    assert (played.now(order).status, sum(fees), played.cash) == ("filled", money("0.96"), 0)


def test_a_position_in_bars_is_worth_its_close_whether_another_order_is_open_or_not():
    def state(resting):
        limits = WIDE._replace(daily_loss=money("0.02"), drawdown=money(1))
        played = Played(rules(limits=limits, costs={"impact": money(0)}))
        played.bar(0, 100, 100, 100, 100, 60_000)
        played.place(60, "buy", 5)
        played.bar(60, 100, 100, 100, 100, 60_000)
        if resting:
            played.place(120, "buy", "0.1", "30", "limit")
        played.bar(120, 100, 100, 40, 100, 60_000)
        return played.state, played.held.mark, played.held.quantity

    assert state(False) == state(True) == ("ACTIVE", money("99.99"), 5)


def test_without_a_spread_an_assumed_quote_is_one_price_and_a_venues_is_crossed():
    played = Played(rules(costs={"half_spread_bps": money(0), "impact": money(0)}))
    played.bar(0, 100, 100, 100, 100, 60_000)
    played.place(60, "buy", 2)
    played.bar(60, 100, 100, 100, 100, 60_000)
    assert [(one.quantity, one.price) for one in played.fills] == [(2, 100)]
    assert played.held.mark == 100
    played = Played()
    played.quote(0, 100, 100)
    assert played.place(1, "buy", 1).reason == "CROSSED_QUOTE: bid 100, ask 100"
