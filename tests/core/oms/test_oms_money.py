"""What fills cost and do to the account, worked out by hand to the last digit: fees, slippage, impact, partial fills,
average cost, a flip.
"""

import pytest
from oms_played import WIDE, Played, money, rules

from sofia_streams.core.oms.account.holdings import Money
from sofia_streams.core.oms.rules import Lot
from sofia_streams.errors import LedgerUnbalanced

LOTS = {("binance", "BTC/USDT"): Lot(money("0.01"), money("0.001"))}


def test_a_signal_becomes_a_position_with_spread_impact_and_fee():
    played = Played(rules(limits={}), LOTS)
    played.quote(0, "99.98", "100.02", volume=50_000)
    order = played.signal(0, "buy")
    # 5 % of 10,000 at the middle of 100 is 5
    assert (order.quantity, order.decision_mid, order.status) == (5, 100, "new")
    played.quote(1.249, "99.98", "100.02", volume=50_000)
    assert played.fills == []  # the order is on its way for 1.25 s
    played.quote(1.25, "99.98", "100.02", volume=50_000)
    (fill,) = played.fills
    # impact: 1 * 0.03 * sqrt(5 / 50,000) = 0.03 * 0.01 = 0.0003; 100.02 * 1.0003 = 100.050006, up to the tick: 100.06
    assert fill.price == money("100.06") and fill.liquidity == "taker"
    # 5 * 100.06 = 500.30, of which 0.10 % is 0.5003
    assert fill.fee_quote == money("0.50030000") and fill.fee_schedule == "binance-vip0-2026-11"
    # (100.06 - 100) / 100 = 6 bps
    assert fill.slippage_bps == 6
    account = played.accounts[-1]
    # cash 10,000 - 500.30 - 0.5003; the position at the best bid: 5 * 99.98 = 499.90
    assert account.cash_quote == money("9499.1997")
    assert account.equity_quote == money("9999.0997")
    # 499.90 - 500.30
    assert account.unrealised_quote == money("-0.40")
    # 9,999.0997 - 10,000 = -0.9003 = 0 - 0.40 - 0.5003
    assert account.equity_quote - 10_000 == account.realised_quote + account.unrealised_quote - account.fees_quote


@pytest.mark.parametrize(
    ("venue", "fees", "maker", "taker", "schedule"),
    [
        # maker: 1 at 99.90; taker: 1 at 100.05
        ("binance", (), "0.0999", "0.10005", "binance-vip0-2026-11"),  # 0.10 % and 0.10 %
        ("okx", (), "0.07992", "0.10005", "okx-lv1-2026-11"),  # 0.08 % and 0.10 %
        ("bybit", (), "0.0999", "0.10005", "bybit-vip0-2026-11"),  # 0.10 % and 0.10 %
        ("coinbase", (), "0.5994", "1.2006", "coinbase-intro1-2026-11"),  # 0.60 % and 1.20 %
        ("okx", (("okx", money(-1), money(3)),), "-0.00999", "0.030015", "okx-configured"),  # -1 and 3 bps
        ("elsewhere", (), "0", "0", "none"),
    ],
)
def test_fees_of_each_venue_for_makers_and_takers(venue, fees, maker, taker, schedule):
    played = Played(rules(fees=fees))
    played.quote(0, "99.95", "100.05", venue=venue)
    played.place(0, "buy", 1, "99.90", "limit", venue)
    played.place(0, "buy", 1, venue=venue)
    played.quote(2, "99.95", "100.05", venue=venue)
    played.print(3, "99.80", 10, "sell", venue=venue)  # through 99.90, and 10 % of 10 is 1
    taken, made = played.fills
    assert (taken.liquidity, taken.price, taken.fee_quote) == ("taker", money("100.05"), money(taker))
    assert (made.liquidity, made.price, made.fee_quote) == ("maker", money("99.90"), money(maker))
    assert {taken.fee_schedule, made.fee_schedule} == {schedule}


def test_partial_fills_take_a_tenth_of_what_is_shown_and_traded_and_impact_is_of_all_so_far():
    played = Played(rules(), LOTS)
    played.quote(0, "99.98", "100.02", 20, volume=50_000)
    order = played.place(0, "buy", 5)
    played.quote(2, "99.98", "100.02", 20, volume=50_000)
    # 10 % of 20 is 2. 0.03 * sqrt(2 / 50,000) = 0.00018974; 100.02 * 1.00018974 = 100.03898: 100.04
    assert (played.fills[-1].quantity, played.fills[-1].price) == (2, money("100.04"))
    played.quote(3, "99.98", "100.02", 20, volume=50_000)
    assert len(played.fills) == 1  # the same offers shown again are no new ones
    played.print(4, "100.02", 15)
    # 1.5 more, 3.5 in all: 0.03 * sqrt(3.5 / 50,000) = 0.00025100; 100.02 * 1.000251 = 100.04510: 100.05
    assert (played.fills[-1].quantity, played.fills[-1].price) == (money("1.5"), money("100.05"))
    now = played.now(order)
    assert (now.status, now.leaves_quantity) == ("partially_filled", money("1.5"))
    played.print(5, "100.02", 400)
    # the rest, 5 in all: 100.06 as above
    assert (played.fills[-1].quantity, played.fills[-1].price) == (money("1.5"), money("100.06"))
    now = played.now(order)
    # 2 * 100.04 + 1.5 * 100.05 + 1.5 * 100.06 = 200.08 + 150.075 + 150.09 = 500.245
    assert (now.status, now.notional_quote, now.leaves_quantity) == ("filled", money("500.245"), 0)
    # 0.20008 + 0.150075 + 0.15009
    assert now.fees_quote == money("0.500245")


def test_average_cost_over_two_buys_and_a_part_of_them_sold():
    played = Played()
    played.buy(0, 2, 99, 100)
    played.buy(3, 1, 102, 103)
    # 2 * 100 + 1 * 103 = 303 for 3: 101 each
    assert (played.held.quantity, played.held.cost_quote, played.held.average()) == (3, 303, 101)
    played.sell(6, "1.5", 104, 105)
    # half of the cost goes: 151.50; 1.5 * 104 = 156.00; realised 4.50
    assert played.fills[-1].realised_quote == money("4.50")
    assert (played.held.quantity, played.held.cost_quote, played.held.average()) == (money("1.5"), money("151.5"), 101)
    # fees: 0.1 % of 200, 103 and 156: 0.2 + 0.103 + 0.156 = 0.459; cash 10,000 - 303 + 156 - 0.459
    assert played.cash == money("9852.541")
    # 1.5 * 104 = 156 at the bid: equity 10,008.541 = 10,000 + 4.50 + (156 - 151.5) - 0.459
    assert played.equity == money("10008.541") == 10_000 + money("4.5") + money("4.5") - money("0.459")


def test_a_flip_closes_the_long_and_opens_the_short_at_the_fill():
    played = Played(rules(limits=WIDE._replace(short_enabled=True)))
    played.buy(0, 2, 99, 100)
    played.sell(3, 5, 110, 111)
    fill = played.fills[-1]
    # 2 closed: 2 * 110 - 200 = 20; 3 short at 110, marked at the best ask: -3 * 111 + 330 = -3
    assert (fill.quantity, fill.realised_quote) == (5, 20)
    assert (played.held.quantity, played.held.cost_quote, played.held.mark) == (-3, -330, 111)
    account = played.accounts[-1]
    # fees 0.2 + 0.55; cash 10,000 - 200 - 0.2 + 550 - 0.55 = 10,349.25; equity 10,349.25 - 333 = 10,016.25
    assert (account.cash_quote, account.equity_quote) == (money("10349.25"), money("10016.25"))
    assert (account.realised_quote, account.unrealised_quote, account.fees_quote) == (20, -3, money("0.75"))
    # of the fee of 0.55, two fifths (0.22) were for closing: the short has paid 0.33
    assert account.positions[0].fees_quote == money("0.33")


def test_a_limit_that_crosses_takes_the_ask_but_never_above_its_limit():
    played = Played(rules(), LOTS)
    played.quote(0, "99.98", "100.02", volume=50_000)
    played.place(0, "buy", 5, "100.04", "limit")
    played.quote(2, "99.98", "100.02", volume=50_000)
    # a market order would pay 100.06 (above); the limit bounds it
    assert (played.fills[-1].price, played.fills[-1].liquidity) == (money("100.04"), "taker")


def test_a_resting_limit_trades_at_its_own_price_while_the_ask_stands_above_it():
    """A maker's fill is no purchase at the ask: who sold came down to the order."""
    played = Played()
    played.quote(0, "99.95", "100.05")
    played.place(0, "buy", 1, "99.90", "limit")
    played.quote(2, "99.95", "100.05")
    played.print(3, "99.90", 1000, "sell")  # a touch
    assert played.fills == []
    played.print(4, "99.89", 5, "sell")  # through: a tenth of 5
    assert [(one.quantity, one.price, one.liquidity) for one in played.fills] == [
        (money("0.5"), money("99.90"), "maker")
    ]


def test_cash_for_open_orders_is_kept_at_the_dearer_fee():
    """Where makers pay more than takers."""
    fees = (("binance", money(200), money(10)),)  # 2 % and 0.1 %
    played = Played(rules(limits=WIDE, fees=fees, start_quote=money(1000)))
    played.quote(0, "99", "101")
    # 10 at 99 and 2 % of 990: 1,009.80
    assert played.place(0, "buy", 10, 99, "limit").reason == "CASH_INSUFFICIENT: expected at most 1000, found 1009.8"
    # 9.9 * 99 = 980.10, with 19.602 of fees 999.702: it fits, and nothing is left for another
    order = played.place(0, "buy", "9.9", 99, "limit")
    assert played.place(0, "buy", "0.1", 99, "limit").reason.startswith("CASH_INSUFFICIENT: expected at most 0.298")
    played.quote(2, "99", "101")
    played.print(3, 98, 1000, "sell")
    assert played.now(order).status == "filled" and played.cash == money("0.298")


def test_damaged_books_are_refused():
    played = Played()
    played.buy(0, 2, 99, 100)
    books = played.engine.books
    books.money.check()
    books.money.holdings["spot|BTC/USDT"].cost_quote += 1
    with pytest.raises(LedgerUnbalanced, match=r"expected inventory:BTC/USDT of 201, .*, found 200\."):
        books.money.check()
    with pytest.raises(LedgerUnbalanced, match=r"expected balances that sum to 0, found 1\."):
        Money(money(1), {"cash": money(2), "capital": money(-1)}).check()
