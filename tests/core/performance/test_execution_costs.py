"""Costs and what became of orders, by hand."""

from decimal import Decimal

import pytest
from account_records import fill, order

from sofia_streams.core.performance import execution


def test_costs_by_hand():
    fills = [
        fill(1, "buy", "2", "101", "0.2", mid="100"),  # 1 * 2 = 2 too much
        fill(2, "sell", "1", "99", "0.1", mid="100", liquidity="maker"),  # 1 too little
        fill(3, "sell", "1", "99", "0.1"),  # not known what it was decided at
    ]
    found = execution.costs(fills, 200.0)
    assert (found.fills, found.notional_quote, found.fees_quote) == (3, Decimal(400), Decimal("0.4"))
    assert found.fees_bps == pytest.approx(10.0)
    assert found.slippage_quote == Decimal(3)
    assert found.slippage_bps == pytest.approx(100.0)
    assert found.turnover == pytest.approx(2.0)
    assert found.maker_share == pytest.approx(99 / 400)


def test_a_better_price_than_the_middle_is_negative_slippage():
    found = execution.costs([fill(1, "buy", "1", "99", mid="100"), fill(2, "sell", "1", "102", mid="100")], 1.0)
    assert found.slippage_quote == Decimal(-3)


def test_without_fills_shares_are_null():
    found = execution.costs([], 10_000.0)
    assert (found.fees_bps, found.slippage_bps, found.maker_share, found.turnover) == (None, None, None, 0.0)
    assert found.fees_quote == 0


def test_a_repeated_fill_is_paid_once():
    assert execution.costs([fill(1, "buy", "1", "9", "1"), fill(1, "buy", "1", "9", "1")], 1.0).fees_quote == 1


def test_orders_count_as_they_stood_last():
    orders = [
        order("a", "new"),
        order("a", "partially_filled", filled="0.5", revision=1),
        order("a", "filled", filled="1", revision=2),
        order("b", "cancelled", filled="0.25", reason="NOT_FILLED_AT_ONCE: 0.75 left"),
        order("c", "expired", reason="TIME_IN_FORCE_ENDED"),
        order("d", "rejected", reason="STALE_QUOTE: expected 5 s at most, found 9 s"),
        order("e", "rejected", reason="STALE_QUOTE: expected 5 s at most, found 7 s"),
        order("f", "rejected", reason="COOL_DOWN"),
        order("g", "filled", filled="1", revision=3),
        order("g", "new", revision=0),  # an earlier one, read again
        order("h", "new"),
    ]
    found = execution.outcomes(orders)
    assert (found.count, found.by_status) == (8, {"rejected": 3, "filled": 2, "cancelled": 1, "expired": 1, "new": 1})
    assert list(found.by_status) == ["rejected", "filled", "cancelled", "expired", "new"]
    assert found.rejections == {"STALE_QUOTE": 2, "COOL_DOWN": 1}
    assert found.endings == {"NOT_FILLED_AT_ONCE": 1, "TIME_IN_FORCE_ENDED": 1}
    assert found.fill_rate == pytest.approx(2 / 4)  # a, g of a, b, c, g; h is not done
    assert found.quantity_rate == pytest.approx((1 + 0.25 + 0 + 1) / 4)


def test_without_orders_there_is_no_rate():
    assert execution.outcomes([]).fill_rate is None
    assert execution.outcomes([order("a", "rejected", reason="")]).rejections == {"none": 1}
