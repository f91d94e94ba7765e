"""Every reason code is reached by a scenario, and its text says what was expected and found."""

import pytest
from oms_played import WIDE, Played, money, rules
from oms_world import T0

from sofia_streams.core.oms import reasons
from sofia_streams.core.oms.rules import Lot

CODES = {value for name, value in vars(reasons).items() if name.isupper()}
LOTS = {("binance", "BTC/USDT"): Lot(money("0.01"), money("0.001"), money("0.01"), money(5))}


def quoted(by=None, lots=None):
    """A market of 99.95 to 100.05."""
    played = Played(by, lots)
    played.quote(0, "99.95", "100.05")
    return played


def limited(**limits):
    return quoted(rules(limits=WIDE._replace(**limits)))


def halted():
    played = quoted()
    played.command(0, "halt")
    return played.signal(0).reason


def reducing():
    played = limited(daily_loss=money("0.0001"))  # 1, and 1.5 for the halt
    played.buy(0, 1, 99, 100)  # 0.1 of fees and 1 of spread
    return played.place(2, "buy", 1).reason


def cooling():
    played = limited(losses_max=1)
    played.buy(0, 1, 99, 100)
    played.sell(3, 1, 99, 100)
    return played.place(5, "buy", 1).reason


def crossed():
    played = Played()
    played.quote(0, "100.05", "99.95")
    return played.signal(0).reason


def holed():
    played = quoted()
    played.gap(1)
    return played.signal(1).reason


def gross():
    played = limited(gross_share=money("0.01"))  # 100
    played.quote(0, "8.99", "9.01", symbol="ETH/USDT")
    assert played.place(0, "buy", 5, 9, "limit", symbol="ETH/USDT").status == "new"  # 45 of them
    return played.place(0, "buy", "0.56", 100, "limit").reason


def rated():
    played = limited(orders_per_second=2)
    placed = [played.place(at_s, "buy", "0.1", 99, "limit") for at_s in (0, 0.5, 0.9, 1.01)]
    assert [one.status for one in placed] == ["new", "new", "rejected", "new"]  # the first is a second old by then
    return placed[2].reason


def crowded():
    played = limited(open_orders_max=1)
    played.place(0, "buy", 1, 99, "limit")
    return played.place(0, "buy", 1, 99, "limit").reason


def at_once():
    played = quoted()
    order = played.place(0, "buy", 1, 99, "limit", time_in_force="ioc")
    played.quote(2, "99.95", "100.05")
    return played.now(order).reason


def ended():
    played = quoted()
    order = played.place(0, "buy", 1, time_in_force="gtd", ttl_ns=30 * 10**9)
    played.wait(31)  # no quote came: it stands, and is old
    return played.now(order).reason


def cancelled_by(**limits):
    """A resting order when the account halts itself."""
    played = limited(**limits)
    played.buy(0, 20, 99, 100)
    order = played.place(3, "buy", 1, 98, "limit")
    played.quote(4, 80, 81)
    return played.now(order).reason


def commanded():
    played = quoted()
    order = played.place(0, "buy", 1, 99, "limit")
    played.command(1, "halt")
    return played.now(order).reason


def closed():
    played = quoted(rules(strategy={"stop_loss_bps": money(100)}))
    played.buy(0, 1, 99, 100)
    played.sell(3, 1, 100, 101)
    return played.purposes("stop_loss")[0].reason


def replaced():
    played = quoted(rules(strategy={"order_type": "limit"}))
    order = played.signal(0, "buy")
    played.quote(30, "99.95", "100.05")
    played.signal(30, "sell")
    return played.now(order).reason


SCENARIOS = {
    reasons.TRADING_HALTED: (halted, "HALTED_BY_COMMAND: ann: looked odd"),
    reasons.TRADING_REDUCING: (reducing, "DAILY_LOSS: lost 1.1 of 1 today"),
    reasons.COOL_DOWN: (cooling, f"until {T0 + 604_250_000_000} ns, after losses in a row"),
    reasons.UNKNOWN_SYMBOL: (lambda: Played().signal(0).reason, "no venue has quoted or traded BTC/USDT yet"),
    reasons.OTHER_CURRENCY: (
        lambda: quoted().place(0, "buy", 1, symbol="BTC/EUR").reason,
        "expected pairs in USDT, found BTC/EUR",
    ),
    reasons.NO_QUOTE: (lambda: Played().place(0, "buy", 1).reason, "neither bid nor ask, or only one of them"),
    reasons.STALE_QUOTE: (
        lambda: quoted().place(5.5, "buy", 1).reason,
        "expected at most 5000000000 ns, found 5500000000",
    ),
    reasons.CROSSED_QUOTE: (crossed, "bid 100.05, ask 99.95"),
    reasons.DATA_GAP: (holed, "g1 lasts"),
    reasons.STALE_SIGNAL: (lambda: quoted().signal(1, late_s=11).reason, "11000000000 ns behind the end of its bar"),
    reasons.QUANTITY_BELOW_MINIMUM: (
        lambda: quoted(lots=LOTS).place(0, "buy", "0.0099").reason,
        "expected at least 0.01, found 0.009",
    ),
    reasons.NOTIONAL_BELOW_MINIMUM: (
        lambda: quoted(lots=LOTS).place(0, "buy", "0.049", 100, "limit").reason,
        "expected at least 5, found 4.9",
    ),
    reasons.NOTIONAL_EXCEEDS_MAXIMUM: (
        lambda: limited(order_notional_quote=money(1000)).place(0, "buy", "10.01", 100, "limit").reason,
        "expected at most 1000, found 1001",
    ),
    reasons.PRICE_OUTSIDE_COLLAR: (
        lambda: quoted().place(0, "buy", 1, "97.9", "limit").reason,
        "97.9, where the middle is 100",
    ),
    reasons.POSITION_EXCEEDS_MAXIMUM: (
        lambda: limited(position_share=money("0.1")).place(0, "buy", "10.01", 100, "limit").reason,
        "expected at most 1000, found 1001",
    ),
    reasons.GROSS_EXPOSURE_EXCEEDS_MAXIMUM: (gross, "expected at most 100, found 101"),
    reasons.CASH_INSUFFICIENT: (
        lambda: quoted().place(0, "buy", 100, 100, "limit").reason,
        "expected at most 10000, found 10010",
    ),
    reasons.SHORT_NOT_ENABLED: (lambda: quoted().place(0, "sell", 1).reason, "sell 1 would leave -1"),
    reasons.ORDER_RATE_EXCEEDED: (rated, "2 this second, 2 this minute"),
    reasons.OPEN_ORDERS_EXCEED_MAXIMUM: (crowded, "1 are open"),
    reasons.REDUCE_ONLY_WOULD_INCREASE: (lambda: quoted().place(0, "sell", 1, reduce_only=True).reason, "sell 1"),
    reasons.NOT_FILLED_AT_ONCE: (at_once, ""),
    reasons.TIME_IN_FORCE_ENDED: (ended, ""),
    # 9,978 at a bid of 99; at 80: 7,998 + 1,600 = 9,598, 402 below 10,000, which is the highest
    reasons.DAILY_LOSS: (lambda: cancelled_by(daily_loss=money("0.02")), "lost 402 of 300 today"),
    reasons.DRAWDOWN: (
        lambda: cancelled_by(daily_loss=money(1), drawdown=money("0.04")),
        "402 below the highest equity, of 400",
    ),
    reasons.HALTED_BY_COMMAND: (commanded, ""),
    reasons.POSITION_CLOSED: (closed, ""),
    reasons.REPLACED: (replaced, ""),
}


def test_every_code_has_a_scenario():
    assert set(SCENARIOS) == CODES


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_code_is_reached_and_says_what_was_found(code):
    scenario, text = SCENARIOS[code]
    assert scenario() == reasons.reason(code, text)


def test_the_first_check_that_fails_gives_the_reason():
    """State, market, size, exposure, rates: an order that is wrong in all of it is told one after the other."""
    played = limited(open_orders_max=1, position_share=money("0.1"))
    played.place(0, "buy", 1, 99, "limit")
    played.command(1, "halt")

    def refused(quantity):
        return played.place(10, "buy", quantity).reason.partition(":")[0]

    assert refused(0) == "TRADING_HALTED"
    played.command(10, "resume")
    assert refused(0) == "STALE_QUOTE"
    played.quote(10, "99.95", "100.05")
    played.place(10, "buy", 1, 99, "limit")
    assert refused(0) == "QUANTITY_BELOW_MINIMUM"
    assert refused(11) == "POSITION_EXCEEDS_MAXIMUM"
    assert refused(1) == "OPEN_ORDERS_EXCEED_MAXIMUM"
