"""From a signal to the account, one step after the other: what each record says of the one it follows from."""

from decimal import Decimal

import oms_world as world
import pytest
from oms_world import T0, S

from sofia_streams.core.oms.engine import Engine
from sofia_streams.core.oms.money import exact
from sofia_streams.core.oms.rules import Rules
from sofia_streams.paper import Account, Fill, Order


def quoted(at_ns):
    return world.ticker(at_ns, "99.98", "100.02", "1000", volume=50_000)


@pytest.fixture
def engine():
    """A new account of 10,000 USDT that has seen one quote."""
    with exact():
        engine = Engine(Rules())
        engine.ticker(quoted(T0), T0)
        yield engine


def test_a_signal_becomes_an_order_that_follows_from_it(engine):
    signal = world.signal(T0, "buy")
    engine.signal(signal, T0)
    (order,) = engine.take_said()
    assert (order.status, order.side, order.type, order.purpose) == ("new", "buy", "market", "entry")
    assert order.quantity == 5  # 5 % of 10,000 at the middle of 100
    assert order.active_ns == T0 + 1_250_000_000
    assert (order.signal_place, order.model_id, order.signal_start_ns) == (f"bars/0/{T0}", "m1", signal.start_ns)

    again = Engine(Rules())
    again.ticker(quoted(T0), T0)
    again.signal(signal, T0)
    assert again.take_said() == [order]


def test_the_order_is_filled_at_the_ask_and_the_account_says_so(engine):
    engine.signal(world.signal(T0, "buy"), T0)
    engine.ticker(quoted(T0 + 2 * S), T0 + 2 * S, "tickers/0/9")
    new, fill, filled, account = engine.take_said()
    assert [type(one) for one in (new, fill, filled, account)] == [Order, Fill, Order, Account]
    # impact: 0.03 a day * sqrt(5 / 50,000) = 3 bps; 100.02 * 1.0003 = 100.050006, up to six digits
    assert (fill.quantity, fill.price, fill.liquidity) == (5, Decimal("100.051"), "taker")
    assert fill.fee_quote == Decimal("0.500255")  # 0.1 % of 500.255
    assert (fill.order_id, fill.evidence, fill.place) == (new.order_id, f"quote {T0 + 2 * S}", "tickers/0/9")
    assert (filled.order_id, filled.status, filled.revision) == (new.order_id, "filled", 1)
    assert account.cash_quote == Decimal("9499.244745")  # 10,000 - 500.255 - 0.500255
    assert account.equity_quote == Decimal("9999.144745")  # and 5 at the best bid of 99.98
