"""Shared by tests of stores: orders, fills and an account, with the decimals that are hardest to keep."""

from decimal import Decimal

import msgspec

from sofia_streams.model import NS_PER_SECOND
from sofia_streams.paper import Account, Fill, Order, Position

BEGAN_NS = 1_754_000_040_000_000_001
D = Decimal
SMALLEST, LARGEST = D("0.00000000000000000001"), D("99999999999999999999.99999999999999999999")
PRODUCT = D("0.0000000000000000000000000000000000000001")
"""What two prices or quantities make, the smallest there is."""


def order(symbol: str = "BTC/USDT", revision: int = 0, fees: str = "0") -> Order:
    return Order(
        f"o{symbol[:3]}", "okx", "spot", symbol, "buy", "market", "ioc", "entry", D("0.5"), "new", BEGAN_NS,
        BEGAN_NS + revision, revision, fees_quote=D(fees),
    )  # fmt: skip


def fill(symbol: str = "BTC/USDT", number: int = 0) -> Fill:
    return Fill(
        f"o{symbol[:3]}-{number}", f"o{symbol[:3]}", "okx", "spot", symbol, "buy", D("0.1"), D("61234.50"),
        D("6.1234500"), D("0.001"), "okx 2026-01", "taker", "partially_filled", BEGAN_NS + number,
    )  # fmt: skip


def account(serial: int = 0) -> Account:
    return Account(serial, BEGAN_NS + serial, *[D("10000.00")] * 9, 1, "ACTIVE", "fill")


RESTING = Order(
    "o1", "okx", "linear", "BTC/USDT:USDT", "sell", "limit", "gtd", "stop_loss", LARGEST, "expired", BEGAN_NS,
    BEGAN_NS + 9, revision=2, limit_price=SMALLEST, stop_price=LARGEST, filled_quantity=SMALLEST,
    notional_quote=PRODUCT, fees_quote=-PRODUCT, decision_mid=SMALLEST / 2, active_ns=BEGAN_NS + 1,
    expires_ns=BEGAN_NS + 8, reduce_only=True, reason="TIME_IN_FORCE_ENDED: é", signal_start_ns=BEGAN_NS - 5,
    signal_size_ns=NS_PER_SECOND, signal_place="t/0/1", model_id="m", is_synthetic=True,
)  # fmt: skip
HELD = Position("linear", "BTC/USDT:USDT", -LARGEST, -LARGEST, SMALLEST, BEGAN_NS, -PRODUCT, PRODUCT)
PAPER = [
    RESTING,
    order("ETH/USDT"),
    Order("o3", "", "spot", "XYZ/USDT", "buy", "market", "ioc", "entry", D(0), "rejected", BEGAN_NS, BEGAN_NS),
    Fill(
        "o1-1", "o1", "okx", "linear", "BTC/USDT:USDT", "sell", SMALLEST, LARGEST, -PRODUCT, -SMALLEST, "own", "maker",
        "filled", BEGAN_NS, -LARGEST, SMALLEST / 2, LARGEST, D("-0.0008"), "trade 9", "t/0/2", is_synthetic=True,
    ),
    fill(),
    msgspec.structs.replace(account(7), cash_quote=-LARGEST, flows_quote=-PRODUCT, state="HALTED", reason="DRAWDOWN",
                            positions=[HELD, msgspec.structs.replace(HELD, mark=None)]),
    account(8),
]  # fmt: skip
