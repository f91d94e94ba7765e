"""From signals to positions and out of them: sizes near enough, flips, exits by price and time, signals said twice."""

import msgspec
import pytest
from oms_played import WIDE, Played, money, rules
from oms_world import S

from sofia_streams.core.oms.desk import Books
from sofia_streams.core.oms.engine import Engine
from sofia_streams.core.oms.rules import Lot


def entered(at_s=0, bid="99.98", ask="100.02", **strategy):
    """5 % of 10,000 bought: 5 at 100.02 (no volume is known, so no impact)."""
    played = Played(rules(strategy=strategy))
    played.quote(at_s, bid, ask)
    played.signal(at_s, "buy")
    played.quote(at_s + 2, bid, ask)
    assert (played.held.quantity, played.held.cost_quote) == (5, money("500.10"))
    return played


def test_take_profit_rests_above_and_takes_the_stop_with_it():
    played = entered(take_profit_bps=money(100), stop_loss_bps=money(50))
    (profit,), (stop,) = played.purposes("take_profit"), played.purposes("stop_loss")
    # 100.02 * 1.01 = 101.0202, up to six digits: 101.021; 100.02 * 0.995 = 99.5199, up: 99.5199
    assert (profit.type, profit.side, profit.limit_price, profit.quantity) == ("limit", "sell", money("101.021"), 5)
    assert (stop.type, stop.side, stop.stop_price, stop.quantity) == ("stop", "sell", money("99.5199"), 5)
    assert profit.reduce_only and stop.reduce_only and profit.time_in_force == "gtc"
    played.quote(4, "100.98", "101.01")
    played.print(4, "101.03", 20)
    # a tenth of 20 is 2: the stop is for the other 3 now
    fill = played.fills[-1]
    assert (fill.quantity, fill.price, fill.liquidity, fill.slippage_bps) == (2, money("101.021"), "maker", None)
    # 2 * 101.021 - 500.10 * 2 / 5 = 202.042 - 200.04
    assert fill.realised_quote == money("2.002")
    assert played.now(stop).reason == "REPLACED" and played.purposes("stop_loss")[-1].quantity == 3
    played.print(6, "101.03", 1000)
    assert played.held.quantity == 0
    assert played.purposes("stop_loss")[-1].reason == "POSITION_CLOSED"
    assert played.engine.books.working == {}


def test_stop_loss_gets_out_at_any_price():
    played = entered(stop_loss_bps=money(50))
    played.quote(4, "90", "90.1")  # 9.5 % below the stop at once
    played.print(4, "90", 10)
    played.quote(4.5, "90", "90.1")
    fill = played.fills[-1]
    assert (fill.quantity, fill.price, played.held.quantity) == (5, 90, 0)


def test_an_exit_by_price_that_can_never_be_met_is_not_placed():
    played = entered(stop_loss_bps=money(10_000))
    assert [one.purpose for one in played.orders.values()] == ["entry"]


def test_an_exit_by_price_takes_what_is_left_of_the_entry_with_it():
    played = Played(rules(strategy={"stop_loss_bps": money(50), "order_type": "limit"}))
    played.quote(0, "99.98", "100.02")
    entry = played.signal(0, "buy")
    played.quote(2, "99.98", "100.02")
    played.print(3, "99.97", 20, "sell")  # 2 of 5
    played.print(4, "99.97", "0.01", "sell")  # a little more, for which the stop is amended and stands all the while
    played.print(4.3, "99.4", "0.01", "sell")
    played.quote(4.3, "99.4", "99.5")
    assert played.held.quantity == 0
    assert (played.now(entry).status, played.now(entry).reason) == ("cancelled", "POSITION_CLOSED")
    assert played.now(entry).filled_quantity == money("2.001")  # the print that set the stop off withdrew the rest


def test_a_time_exit_is_asked_for_once_after_so_many_bars_and_waits_until_it_is_out():
    played = entered(time_exit_bars=2)
    played.quote(60, "99.98", "100.02")
    assert played.signal(60, "hold") is None
    played.quote(120, "99.98", "100.02")
    first = played.signal(120, "buy")  # whatever it says
    assert (first.purpose, first.side, first.quantity, first.reduce_only) == ("time_exit", "sell", 5, True)
    played.wait(179)  # no quote: nothing came of it
    assert played.signal(180, "buy") is None
    assert played.held.quantity == 5
    played.quote(400, "99.98", "100.02")
    assert (played.now(first).status, played.held.quantity) == ("filled", 0)


def test_a_sell_is_flat_where_short_is_not_enabled():
    played = entered()
    played.quote(60, "99.98", "100.02")
    order = played.signal(60, "sell")
    assert (order.purpose, order.side, order.quantity) == ("exit", "sell", 5)
    played.quote(62, "99.98", "100.02")
    assert played.held.quantity == 0


def test_a_sell_is_a_flip_where_short_is_enabled():
    limits = {"short_enabled": True}
    played = Played(rules(limits=limits))
    played.quote(0, "99.98", "100.02")
    played.signal(0, "buy")
    played.quote(2, "99.98", "100.02")
    played.quote(60, "99.98", "100.02")
    order = played.signal(60, "sell")
    # equity 10,000 - 0.5001 of fees - 5 * 0.04 of spread = 9,999.2999: 5 % of it at 100 is 4.999649, and 5 to close
    assert (order.purpose, order.side, order.quantity) == ("entry", "sell", money("9.999649"))
    played.quote(62, "99.98", "100.02")
    assert played.held.quantity == money("-4.999649")


def test_a_flip_that_an_exit_was_faster_than_opens_no_more_than_its_share():
    played = Played(rules(limits=WIDE._replace(short_enabled=True)))
    played.buy(0, 5, "99.98", "100.02")
    played.quote(10, "99.98", "100.02")
    flip = played.place(10, "sell", 8, "101", "limit")
    played.place(10, "sell", 5, reduce_only=True)
    played.quote(12, "99.98", "100.02")
    assert played.held.quantity == 0
    played.print(13, "101.1", 100_000)
    # 8 were 5 to close and 3 to open; the 5 are gone
    assert (played.held.quantity, played.now(flip).filled_quantity) == (-3, 3)
    assert played.engine.books.working[flip.order_id].held_by == ""
    played.print(14, "101.1", 100_000)
    assert played.held.quantity == -3
    assert played.engine.books.working[flip.order_id].held_by.startswith("REDUCE_ONLY_WOULD_INCREASE")


def test_two_sells_of_one_position_cannot_both_close_it():
    played = Played()
    played.buy(0, 1, 99, 100)
    played.quote(3, 99, 100)
    assert played.place(3, "sell", 1).status == "new"
    assert played.place(3, "sell", 1).reason == "SHORT_NOT_ENABLED: sell 1 would leave -1"


def test_a_position_near_its_target_is_left_alone_and_one_far_too_large_is_given_back():
    played = entered()
    steps = ((60, "0.04", None), (120, "0.02", ("exit", "sell", 3)), (180, "0.05", ("entry", "buy", 3)))
    for at_s, share, asked in steps:
        played.engine._trader._strategy = played.engine._trader._strategy._replace(size_share=money(share))
        played.quote(at_s, "99.98", "100.02")
        order = played.signal(at_s, "buy")
        found = None if order is None else (order.purpose, order.side, round(order.quantity))
        assert found == asked, share
        played.quote(at_s + 2, "99.98", "100.02")


def test_what_is_asked_for_already_counts_and_far_too_much_of_it_is_withdrawn():
    played = Played(rules(strategy={"order_type": "limit", "order_ttl_ns": 3600 * S}))
    played.quote(0, "99.98", "100.02")
    first = played.signal(0, "buy")
    played.quote(60, "99.98", "100.02")
    assert played.signal(60, "buy") is None  # 5 are asked for
    trader = played.engine._trader
    trader._strategy = trader._strategy._replace(size_share=money("0.01"))
    played.quote(120, "99.98", "100.02")
    smaller = played.signal(120, "buy")
    assert (played.now(first).status, played.now(first).reason) == ("cancelled", "REPLACED")
    assert (smaller.quantity, smaller.side, smaller.limit_price) == (1, "buy", money("99.98"))


def test_a_buy_without_any_quote_is_refused_as_a_buy():
    order = Played().signal(0, "buy")
    assert (order.side, order.quantity, order.status) == ("buy", 0, "rejected")


def test_a_signal_that_stands_in_the_log_twice_is_taken_once():
    played = Played()
    played.quote(0, "99.98", "100.02", 20)
    order = played.signal(0, "buy")
    played.quote(2, "99.98", "100.02", 20)  # 2 of 5
    played.wait(60)
    assert (played.now(order).status, played.now(order).filled_quantity) == ("expired", 2)
    played.quote(61, "99.98", "100.02", 20)
    assert played.signal(61, "buy", late_s=61) is None
    assert len(played.orders) == 1


@pytest.mark.parametrize(("confidence", "places"), [(0.59, False), (float("nan"), False), (0.6, True), (None, False)])
def test_confidence_below_the_least_is_as_a_hold(confidence, places):
    played = Played()
    played.quote(0, "99.98", "100.02")
    assert (played.signal(0, "buy", confidence=confidence) is not None) is places


def test_what_is_left_of_a_position_may_go_however_small():
    """Bought where steps are finer."""
    lots = {("okx", "BTC/USDT"): Lot(quantity_step=money("0.01"), quantity_min=money("0.01"))}
    played = Played(rules(venues=("okx", "binance")), lots)
    played.buy(0, "0.004", 99, 100)
    played.held.venue = "okx"
    played.quote(60, 99, 100, venue="okx")
    assert played.signal(60, "sell").status == "new"
    played.quote(62, 99, 100, venue="okx")
    assert played.held.quantity == 0


def test_an_engine_made_anew_goes_on_with_open_orders_and_guards():
    played = entered(take_profit_bps=money(100))
    books = msgspec.json.decode(msgspec.json.encode(played.engine.books), type=Books)
    played.engine = Engine(rules(strategy={"take_profit_bps": money(100)}), books=books)
    played.quote(4, "100.98", "101.01")
    played.print(4, "101.03", 1000)
    assert played.held.quantity == 0 and played.fills[-1].liquidity == "maker"
