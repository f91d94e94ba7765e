"""What entries at random have in common with the account: positions, not orders; and no more than there is room for."""

from decimal import Decimal

from sofia_streams.core.oms.money import exact
from sofia_streams.core.oms.rules import Rules, Strategy
from sofia_streams.core.performance.trips import RoundTrip
from sofia_streams.model import NS_PER_MINUTE
from sofia_streams.ops.backtest.baselines import Entering, drawn, plain, plan_of, told_of_draws
from sofia_streams.ops.backtest.written import Written
from sofia_streams.paper import Order

RULES = Rules(strategy=Strategy(size_share=Decimal("0.05")))
MINUTE = NS_PER_MINUTE


def orders(count):
    """Entries that were filled in part, 100 each, a minute apart."""
    written = Written()
    written.add(
        Order(
            f"o{place}", "binance", "spot", "BTC/USDT", "buy", "market", "gtd", "entry", Decimal(3), "expired",
            place * MINUTE, (place + 1) * MINUTE, filled_quantity=Decimal(1), notional_quote=Decimal(100),
        )
        for place in range(count)
    )  # fmt: skip
    return written


def trip(direction, minutes):
    zero = Decimal(0)
    return RoundTrip("BTC/USDT", direction, 0, minutes * MINUTE, Decimal(3), Decimal(300), zero, zero, zero, 4)


def test_a_position_that_took_three_orders_is_one_entry_of_its_whole_size():
    plan = plan_of(orders(6), [trip("long", 10), trip("short", 20)], MINUTE, RULES)
    assert dict(plan.entries) == {("BTC/USDT", "buy"): 1, ("BTC/USDT", "sell"): 1}
    assert (plan.bars, plan.share) == (15, Decimal("0.03"))  # 300 of 10,000


def test_where_nothing_was_closed_orders_are_entries():
    plan = plan_of(orders(2), [], MINUTE, RULES)
    assert dict(plan.entries) == {("BTC/USDT", "buy"): 2}
    assert (plan.bars, plan.share) == (1, Decimal("0.01"))


def test_the_note_counts_the_entries_there_was_room_for():
    plan = plan_of(orders(0), [trip("long", 10)] * 50, MINUTE, RULES)
    starts = {"BTC/USDT": [place * MINUTE for place in range(110)]}
    moments = drawn(plan, starts, 1, 0)
    entering = Entering(plain(RULES), {}, moments)
    with exact():
        for minute in range(3):
            entering.engine.finish(minute * MINUTE)
    entering.written.add(entering.engine.take_said())
    told = told_of_draws([entering], plan, 0.0)
    assert len(moments) == 110 // 11
    assert told.note.startswith("1 draws, each with 10 entries held for 10 bars; ")
