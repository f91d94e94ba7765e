"""Paper trading from a signal to the account, step by step, over the public engine (`core.oms.engine`).

In detail: tests/core/oms/. The worker and the log: tests/broker/.
"""

from decimal import Decimal

import msgspec
import pytest

from sofia_streams.core.oms.desk import Books
from sofia_streams.core.oms.engine import Engine
from sofia_streams.core.oms.money import exact
from sofia_streams.core.oms.rules import Rules, Strategy
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND, Ticker, Trade
from sofia_streams.paper import Account, Command, Fill, Order
from sofia_streams.scored import Signal

RULES = Rules(strategy=Strategy(take_profit_bps=Decimal(100), stop_loss_bps=Decimal(50)))
BAR_END = 1_796_169_600_000_000_000
SECOND = NS_PER_SECOND


def quote(at_ns, bid, ask, shown="1000"):
    """Best bid and ask of BTC/USDT at Binance; 50,000 were traded in 24 hours."""
    prices = {"bid": Decimal(bid), "ask": Decimal(ask), "bid_quantity": Decimal(shown), "ask_quantity": Decimal(shown)}
    return Ticker("binance", "spot", "BTC/USDT", at_ns, volume_24h=Decimal(50_000), **prices)


def trade(at_ns, price, quantity):
    """Somebody lifted an offer."""
    return Trade(f"t{at_ns}", Decimal(price), Decimal(quantity), "buy", at_ns, at_ns)


def signal(end_ns, action):
    """What the model says of the minute that ends at `end_ns`."""
    start_ns = end_ns - NS_PER_MINUTE
    return Signal("spot", "BTC/USDT", NS_PER_MINUTE, start_ns, action, "up", Decimal(100), 0.7, "m1", "bars/0/7")


@pytest.fixture
def engine():
    """A new account of 10,000 USDT that has seen one quote."""
    with exact():
        engine = Engine(RULES)
        engine.ticker(quote(BAR_END, "99.98", "100.02"), BAR_END)
        yield engine


def said(engine, kind):
    return [one for one in engine.take_said() if isinstance(one, kind)]


def bought(engine):
    """Five at the ask."""
    engine.signal(signal(BAR_END, "buy"), BAR_END)
    engine.ticker(quote(BAR_END + 2 * SECOND, "99.98", "100.02"), BAR_END + 2 * SECOND, "tickers/0/9")
    return engine.take_said()


def test_a_signal_becomes_an_order_that_follows_from_it(engine):
    engine.signal(signal(BAR_END, "buy"), BAR_END)
    (order,) = said(engine, Order)
    assert (order.status, order.side, order.type, order.purpose) == ("new", "buy", "market", "entry")
    assert order.quantity == 5  # 5 % of 10,000 at the middle of 100
    assert order.active_ns == BAR_END + 1_250_000_000
    assert (order.signal_place, order.model_id, order.signal_start_ns) == ("bars/0/7", "m1", BAR_END - NS_PER_MINUTE)

    again = Engine(RULES)
    again.ticker(quote(BAR_END, "99.98", "100.02"), BAR_END)
    again.signal(signal(BAR_END, "buy"), BAR_END)
    assert said(again, Order) == [order]


def test_the_order_is_filled_at_the_ask_and_the_account_says_so(engine):
    found = bought(engine)
    (fill,) = [one for one in found if isinstance(one, Fill)]
    # impact: 0.03 a day * sqrt(5 / 50,000) = 3 bps; 100.02 * 1.0003 = 100.050006, up to six digits
    assert (fill.quantity, fill.price, fill.liquidity) == (5, Decimal("100.051"), "taker")
    assert fill.fee_quote == Decimal("0.500255")  # 0.1 % of 500.255
    assert (fill.evidence, fill.place) == (f"quote {BAR_END + 2 * SECOND}", "tickers/0/9")
    account = [one for one in found if isinstance(one, Account)][-1]
    assert account.cash_quote == Decimal("9499.244745")  # 10,000 - 500.255 - 0.500255
    assert account.equity_quote == Decimal("9999.144745")  # and 5 at the best bid of 99.98
    assert account.equity_quote - account.start_quote == (
        account.realised_quote + account.unrealised_quote - account.fees_quote
    )


def test_exits_by_price_stand_behind_the_position_and_one_takes_the_other_with_it(engine):
    orders = {one.purpose: one for one in bought(engine) if isinstance(one, Order)}
    # 1 % above 100.051 and 0.5 % below, to six digits in the position's favour
    assert orders["take_profit"].limit_price == Decimal("101.052")
    assert orders["stop_loss"].stop_price == Decimal("99.5508")
    at_ns = BAR_END + 4 * SECOND
    engine.ticker(quote(at_ns, "101.00", "101.04"), at_ns)
    engine.trade("binance", "spot", "BTC/USDT", trade(at_ns, "101.06", "80"), at_ns)
    found = engine.take_said()
    (fill,) = [one for one in found if isinstance(one, Fill)]
    assert (fill.price, fill.liquidity) == (Decimal("101.052"), "maker")
    assert fill.realised_quote == Decimal("5.005")  # 5 * (101.052 - 100.051)
    stopped = [one for one in found if isinstance(one, Order) and one.purpose == "stop_loss"][-1]
    assert (stopped.status, stopped.reason) == ("cancelled", "POSITION_CLOSED")
    assert [one for one in found if isinstance(one, Account)][-1].positions == []


def test_halt_cancels_and_refuses_until_resume(engine):
    bought(engine)
    at_ns = BAR_END + 3 * SECOND
    engine.command(Command("c1", "halt", "looked odd", "ann", at_ns), at_ns)
    found = engine.take_said()
    assert {one.status for one in found if isinstance(one, Order)} == {"cancelled"}
    engine.signal(signal(BAR_END + NS_PER_MINUTE, "sell"), BAR_END + NS_PER_MINUTE)
    assert said(engine, Order)[-1].reason == "TRADING_HALTED: HALTED_BY_COMMAND: ann: looked odd"
    engine.command(Command("c2", "resume", "it was nothing", "ann", at_ns), BAR_END + NS_PER_MINUTE)
    assert said(engine, Account)[-1].state == "ACTIVE"


def test_stored_books_go_on_as_if_never_stopped(engine):
    bought(engine)
    stored = msgspec.json.encode(engine.books)
    again = Engine(RULES, books=msgspec.json.decode(stored, type=Books))
    at_ns = BAR_END + 10 * SECOND
    for one in (engine, again):
        one.trade("binance", "spot", "BTC/USDT", trade(at_ns - 1, "99.55", "1"), at_ns - 1)
        one.ticker(quote(at_ns, "99.50", "99.54"), at_ns)
    found = engine.take_said()
    assert found == again.take_said()
    assert [(one.side, one.price) for one in found if isinstance(one, Fill)] == [("sell", Decimal("99.4701"))]
