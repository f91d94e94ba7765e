"""Accounts, fills and orders for tests of statistics; each from the few numbers that matter to the test."""

from decimal import Decimal

from sofia_streams.model import NS_PER_DAY, NS_PER_SECOND
from sofia_streams.paper import Account, Fill, Order

BEGIN_NS = 1_704_067_200 * NS_PER_SECOND
"""2024-01-01 00:00 UTC, a Monday."""
ZERO = Decimal(0)


def account(serial, at_ns, equity, *, flows="0", gross="0", start="10000"):
    return Account(
        serial, at_ns, Decimal(str(equity)), Decimal(str(equity)), Decimal(start), ZERO, ZERO, ZERO, Decimal(start),
        Decimal(start), Decimal(gross), 0, "ACTIVE", "minute", Decimal(flows),
    )  # fmt: skip


def days(*equities, start="10000", begin_ns=BEGIN_NS):
    """One record at the end of each day, the account begun with `start` at `begin_ns`."""
    first = account(0, begin_ns, start, start=start)
    return [first, *(account(n, begin_ns + n * NS_PER_DAY, e, start=start) for n, e in enumerate(equities, 1))]


def fill(number, side, quantity, price, fee="0", *, at_s=0, symbol="BTC/USDT", mid=None, liquidity="taker"):
    return Fill(
        f"f{number}", f"o{number}", "binance", "spot", symbol, side, Decimal(quantity), Decimal(price), Decimal(fee),
        Decimal("0.001"), "test", liquidity, "filled", at_ns=BEGIN_NS + at_s * NS_PER_SECOND,
        decision_mid=None if mid is None else Decimal(mid),
    )  # fmt: skip


def order(name, status, quantity="1", filled="0", reason="", revision=0):
    return Order(
        name, "binance", "spot", "BTC/USDT", "buy", "market", "ioc", "entry", Decimal(quantity), status, BEGIN_NS,
        BEGIN_NS, revision, filled_quantity=Decimal(filled), reason=reason,
    )  # fmt: skip
