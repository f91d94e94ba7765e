"""How long an order waits and for what: times in force, stale and missing quotes, holes, queues, stops, bars."""

import pytest
from oms_played import WIDE, Played, money, rules
from oms_world import T0, S

from sofia_streams.model import NS_PER_DAY


def quoted(by=None, lots=None, size="1000"):
    played = Played(by, lots)
    played.quote(0, "99.95", "100.05", size)
    return played


def test_ioc_takes_what_there_is_at_once_and_expires():
    played = quoted(size=20)
    order = played.place(0, "buy", 5, time_in_force="ioc")
    played.quote(1.25, "99.95", "100.05", 20)
    now = played.now(order)
    # a tenth of 20
    assert (now.status, now.filled_quantity, now.leaves_quantity) == ("expired", 2, 0)
    assert now.reason == "NOT_FILLED_AT_ONCE"


def test_fok_is_filled_whole_or_not_at_all():
    played = quoted(size=20)
    small, large = (played.place(0, "buy", quantity, time_in_force="fok") for quantity in (2, "2.1"))
    played.quote(1.25, "99.95", "100.05", 20)
    assert (played.now(small).status, played.now(large).status) == ("filled", "expired")
    assert played.now(large).filled_quantity == 0 and len(played.fills) == 1


def test_an_ioc_that_meets_a_crossed_quote_says_so():
    played = quoted()
    order = played.place(0, "buy", 1, time_in_force="ioc")
    played.quote(2, "100.05", "100.05")
    assert played.now(order).reason == "NOT_FILLED_AT_ONCE: CROSSED_QUOTE: bid 100.05, ask 100.05"


def test_an_ioc_stop_waits_for_its_price_first():
    played = quoted()
    order = played.place(0, "buy", 1, 101, "stop", time_in_force="ioc")
    played.quote(2, "99.95", "100.05")
    assert played.now(order).status == "new"
    played.print(3, 101, 1)
    played.quote(3, "100.95", "101.05")
    assert played.now(order).status == "filled" and played.fills[-1].price == money("101.05")


def test_day_orders_end_at_midnight_utc_and_gtd_orders_when_they_said():
    played = quoted()
    day = played.place(0, "buy", 1, 99, "limit", time_in_force="day")
    gtd = played.place(0, "buy", 1, 99, "limit", time_in_force="gtd", ttl_ns=60 * S)
    gtc = played.place(0, "buy", 1, 99, "limit", time_in_force="gtc", ttl_ns=60 * S)
    assert (day.expires_ns, gtd.expires_ns, gtc.expires_ns) == (T0 + 120 * S, T0 + 60 * S, 0)
    assert day.expires_ns % NS_PER_DAY == 0
    played.wait(59.999)
    assert played.now(gtd).status == "new"
    played.print(60, "98", 1000, "sell")  # too late for one, good for the others, but the quote is old
    assert played.now(gtd).status == "expired" and played.now(gtd).at_ns == T0 + 60 * S
    played.wait(5000)
    assert (played.now(day).status, played.now(day).at_ns) == ("expired", T0 + 120 * S)
    assert played.now(day).reason.startswith("TIME_IN_FORCE_ENDED: STALE_QUOTE: expected at most 5000000000 ns, found ")
    assert played.now(gtc).status == "new"


def test_a_stale_quote_holds_an_order_until_there_is_a_new_one():
    played = quoted()
    order = played.place(0, "buy", 1)
    played.print(5.01, 100, 10)
    assert played.now(order).status == "new"
    played.quote(6, "100.95", "101.05")
    assert played.fills[-1].price == money("101.05")


def test_a_print_beyond_the_last_quote_says_that_the_quote_is_gone():
    played = quoted()
    played.place(0, "buy", 1)
    played.print(1.3, "100.65", 10)
    assert played.fills[-1].price == money("100.65")


def test_a_venue_that_says_it_has_no_offers_fills_nothing():
    played = quoted()
    order = played.place(0, "buy", 1, time_in_force="gtd", ttl_ns=10 * S)
    played.quote(2, "99.95", None)
    played.print(3, 100, 10)
    assert played.fills == []
    assert played.place(3, "buy", 1).reason.startswith("NO_QUOTE")
    played.wait(11)
    assert played.now(order).reason == "TIME_IN_FORCE_ENDED: NO_QUOTE: neither bid nor ask, or only one of them"


@pytest.mark.parametrize("ends", ["closed", "print", "until"])
def test_a_hole_holds_orders_while_it_lasts_and_no_longer(ends):
    played = quoted()
    order = played.place(0, "buy", 1)
    played.gap(1)
    played.quote(2, "99.95", "100.05")
    assert played.now(order).status == "new"
    if ends == "closed":
        played.gap(2.5, "closed", 2.4)
    elif ends == "until":
        played.gap(2.5, "open", 2.4)  # its end is known, and that nobody can fill it does not matter here
    else:
        played.print(2.5, 100, "0.001")
    played.quote(3, "99.95", "100.05")
    assert played.now(order).status == "filled"


def test_an_order_that_a_hole_held_to_its_end_says_so():
    played = quoted()
    order = played.place(0, "buy", 1, time_in_force="gtd", ttl_ns=10 * S)
    played.gap(1)
    played.quote(2, "99.95", "100.05")
    played.wait(10)
    assert played.now(order).reason == "TIME_IN_FORCE_ENDED: DATA_GAP: g1 lasts"


def test_a_market_order_is_not_filled_beyond_its_collar_and_says_so():
    played = quoted()
    order = played.place(0, "buy", 1, time_in_force="gtd", ttl_ns=10 * S)
    played.quote(2, "102.9", "103")  # 2 % above the middle of 100 is 102
    played.wait(10)
    assert played.now(order).reason == ("TIME_IN_FORCE_ENDED: PRICE_OUTSIDE_COLLAR: 103, expected no worse than 102")


def test_a_queue_must_trade_before_an_order_at_the_best_price():
    played = quoted(rules(costs={"queue_position": True}), size=30)
    order = played.place(0, "buy", 2, "99.95", "limit")
    played.quote(1.25, "99.95", "100.05", 30)  # 30 stand before it
    played.print(2, "99.95", 20, "sell")
    played.print(3, "99.95", 5, "buy")  # somebody who lifted an offer there takes nothing from the queue
    assert played.fills == []
    played.print(4, "99.95", 15, "sell")
    # 10 of these 15 were before it; a tenth of the other 5
    assert (played.fills[-1].quantity, played.fills[-1].price) == (money("0.5"), money("99.95"))
    played.print(5, "99.94", 15, "sell")  # through: a tenth of 15
    assert played.now(order).status == "filled"


def test_a_stop_becomes_a_market_order_at_a_print_and_slips_from_that_moment():
    played = quoted(rules(limits=WIDE._replace(short_enabled=True)))
    played.buy(0, 2, 99, 100)
    stop = played.place(2, "sell", 2, 95, "stop")
    assert stop.decision_mid is None
    played.quote(4, "95.2", "95.4")
    played.print(4.5, "95.01", 1, "sell")
    assert played.now(stop).status == "new"
    played.print(5, 95, 1, "sell")
    assert played.now(stop).status == "new"  # the print that sets it off does not fill it
    played.quote(5, "94.9", "95.1")
    fill = played.fills[-1]
    # set off at a middle of 95.3; sold at 94.9: 0.4 / 95.3 = 41.9727 bps
    assert (fill.price, fill.decision_mid, fill.slippage_bps) == (money("94.9"), money("95.3"), money("41.9727"))


def bars(**strategy):
    """2 bought at the open of a bar: 100, and 1 bp of half a spread: 100.01."""
    played = Played(rules(costs={"impact": money(0)}, strategy=strategy))
    played.bar(0, 100, 100, 100, 100, 60_000)
    played.place(60, "buy", 2)
    played.bar(60, 100, 100, 100, 100, 60_000)
    assert played.held.quantity == 2 and played.fills[-1].price == money("100.01")
    return played


def test_a_stop_within_a_bar_trades_at_its_price_not_at_the_bars_next_turn():
    played = bars(stop_loss_bps=money(100))
    played.bar(120, 100, 104, 97, 103, 60_000)  # rose: first low, then high
    fill = played.fills[-1]
    # 1 % below 100.01 is 99.0099; up to the tick 99.0099; sold there, less 1 bp of 99.0099
    assert (fill.side, fill.quantity, fill.evidence) == ("sell", 2, f"bar {T0 + 120 * S}")
    assert money("98.99") <= fill.price < money("99.01")


def test_a_stop_that_a_bar_opens_beyond_trades_at_the_open():
    played = bars(stop_loss_bps=money(100))
    played.bar(120, 90, 104, 89, 103, 60_000)
    # 90 less 1 bp: 89.991
    assert played.fills[-1].price == money("89.991")


def test_in_bars_a_take_profit_needs_a_price_beyond_it_and_its_share_of_volume():
    played = bars(take_profit_bps=money(100))
    # 101.0101, up to the tick 101.011
    (order,) = played.purposes("take_profit")
    assert order.limit_price == money("101.011")
    played.bar(120, 100, "101.011", 99, 100, 60_000)
    assert played.now(order).status == "new"
    played.bar(180, 100, "101.1", 99, 100, 40)  # a tenth of a quarter of 40
    assert (played.fills[-1].quantity, played.fills[-1].price) == (1, money("101.011"))


def test_a_bar_without_volume_fills_nothing():
    played = bars(take_profit_bps=money(100))
    played.bar(120, 102, 103, 101, 102, 0)
    (order,) = played.purposes("take_profit")
    assert played.now(order).status == "new" and len(played.fills) == 1
    played.bar(180, 102, 103, 101, 102, 60_000)
    # it rested before, so it trades at its own price though the bar opens above
    assert (played.fills[-1].liquidity, played.fills[-1].price) == ("maker", money("101.011"))


def test_a_clock_that_goes_backwards_changes_no_quote_and_no_order():
    played = quoted()
    order = played.place(0, "buy", 1)
    played.quote(10, "99.95", "100.05")
    filled = played.now(order)
    assert filled.status == "filled"
    played.quote(5, "89", "90")
    played.print(4, 50, 1)
    assert played.now(order) == filled and played.engine.books.now_ns == T0 + 10 * S
    played.place(10, "buy", 1)
    played.print(12, 100, 1)
    # at the ask of second 10, not at the one of second 5 that came behind it
    assert [one.price for one in played.fills] == [money("100.05")] * 2
