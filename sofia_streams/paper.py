"""The records of paper trading: orders, fills, the account, and the switch that stops it. Plain data, exact decimals.

Money is in the account's currency (the quote currency of what is traded: `_quote`), quantities in the base currency,
times are event times in int ns. Status terms are those of FIX 4.4 OrdStatus (tag 39); what our own risk checks deny is
rejected, and `reason` says why. What it does not do: compute any of it (`core.oms`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from sofia_streams.model import Market, Side

OrderType = Literal["market", "limit", "stop"]
TimeInForce = Literal["gtc", "ioc", "fok", "day", "gtd"]
Status = Literal["new", "partially_filled", "filled", "cancelled", "rejected", "expired"]
TERMINAL: tuple[Status, ...] = ("filled", "cancelled", "rejected", "expired")
Purpose = Literal["entry", "exit", "take_profit", "stop_loss", "time_exit"]
Liquidity = Literal["maker", "taker"]
TradingState = Literal["ACTIVE", "REDUCING", "HALTED"]
AccountCause = Literal["fill", "minute", "state", "control"]
"""Why the account is said: a fill, a full minute, a change of state by a limit, a command."""
ACCOUNT = "paper"
"""The name of the one account."""
REPLACED = "REPLACED"
"""The code of an order that was cancelled for another one to take its place."""
REASON_CHARS_MAX = 200
"""Of the reason of a command."""


class Order(msgspec.Struct, frozen=True, tag_field="kind", tag="order", omit_defaults=True):
    """One order as it stands at `at_ns`. A later `revision` of its `order_id` replaces it.

    order_id       at most 32 letters and digits, the same whenever the same signal is taken again
    reason         why it is rejected, cancelled or expired: a code of `core.oms.reasons`, then what was found
    signal_*       what it follows from: the bar, its "topic/partition/offset", the model; empty for exits by price
    decision_mid   middle of best bid and ask when it was decided; None of stops and take-profits, which prices decide
    active_ns      from when on it may be filled: decision plus modelled latency
    expires_ns     0: never
    """

    order_id: str
    venue: str
    market: Market
    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    purpose: Purpose
    quantity: Decimal
    status: Status
    created_ns: int
    at_ns: int
    revision: int = 0
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    filled_quantity: Decimal = Decimal(0)
    notional_quote: Decimal = Decimal(0)
    """Sum of price times quantity over its fills: the average price is this by `filled_quantity`."""
    fees_quote: Decimal = Decimal(0)
    decision_mid: Decimal | None = None
    active_ns: int = 0
    expires_ns: int = 0
    reduce_only: bool = False
    reason: str = ""
    signal_start_ns: int = 0
    signal_size_ns: int = 0
    signal_place: str = ""
    model_id: str = ""
    is_synthetic: bool = False
    account: str = ACCOUNT

    @property
    def leaves_quantity(self) -> Decimal:
        """What is still to be filled; 0 once the order is done (FIX LeavesQty)."""
        return Decimal(0) if self.status in TERMINAL else self.quantity - self.filled_quantity

    @property
    def reason_code(self) -> str:
        """The stable code at the front of `reason`; "" where there is none."""
        return self.reason.partition(":")[0]


class Fill(msgspec.Struct, frozen=True, tag_field="kind", tag="fill", omit_defaults=True):
    """One execution. `fill_id` is the order's id and a count, so that the same one again is the same.

    fee_rate       fraction of the notional; `fee_schedule` names the dated table it is from
    realised_quote what it realised before fees: 0 where it only opens
    slippage_bps   side * (price - decision_mid) / decision_mid * 10,000, to 4 digits; above 0 is a cost
    evidence       the market record it follows from: "trade <id>", "quote <received_ns>" with its place in the log, or
                   "bar <start_ns>"
    """

    fill_id: str
    order_id: str
    venue: str
    market: Market
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee_quote: Decimal
    fee_rate: Decimal
    fee_schedule: str
    liquidity: Liquidity
    order_status: Literal["partially_filled", "filled"]
    """Of its order, right behind this fill."""
    at_ns: int
    realised_quote: Decimal = Decimal(0)
    decision_mid: Decimal | None = None
    arrival_mid: Decimal | None = None
    slippage_bps: Decimal | None = None
    evidence: str = ""
    place: str = ""
    """"topic/partition/offset" of the record in `evidence`; "" where there is no log."""
    is_synthetic: bool = False
    account: str = ACCOUNT


class Position(msgspec.Struct, frozen=True, array_like=True):
    """What is held of one symbol: `quantity` below 0 is short; `cost_quote` is what it was bought (sold short) for.

    The average price is cost by quantity. `mark` is the best bid of a long, the best ask of a short, as last seen.
    """

    market: Market
    symbol: str
    quantity: Decimal
    cost_quote: Decimal
    mark: Decimal | None
    opened_ns: int
    realised_quote: Decimal = Decimal(0)
    """Since it was opened from flat, before fees."""
    fees_quote: Decimal = Decimal(0)

    @property
    def unrealised_quote(self) -> Decimal:
        """Value at the mark less cost; 0 where there is no mark."""
        return Decimal(0) if self.mark is None else self.quantity * self.mark - self.cost_quote


class Account(msgspec.Struct, frozen=True, tag_field="kind", tag="account", omit_defaults=True):
    """The account at `at_ns`: said behind every fill, change of state and command, and at full minutes (`account`).

    equity_quote - start_quote - flows_quote = realised_quote + unrealised_quote - fees_quote, to the last digit.
    `serial` counts what was said; `peak_quote` is the highest equity so far, `day_start_quote` that at 00:00 UTC.
    """

    serial: int
    at_ns: int
    cash_quote: Decimal
    equity_quote: Decimal
    start_quote: Decimal
    realised_quote: Decimal
    unrealised_quote: Decimal
    fees_quote: Decimal
    peak_quote: Decimal
    day_start_quote: Decimal
    gross_exposure_quote: Decimal
    open_orders: int
    state: TradingState
    cause: AccountCause
    flows_quote: Decimal = Decimal(0)
    reason: str = ""
    """Why the state is not ACTIVE; of a command, who gave it and why."""
    positions: list[Position] = []
    account: str = ACCOUNT


class Command(msgspec.Struct, frozen=True, tag_field="kind", tag="command"):
    """Somebody halts or resumes trading (`control`, kept for ever)."""

    command_id: str
    action: Literal["halt", "resume"]
    reason: str
    by: str
    said_ns: int


class Taken(msgspec.Struct, frozen=True, tag_field="kind", tag="taken"):
    """A decision on the order of inputs that does not follow from them (`account`): a replay takes it from here.

    what "applied": the record `serial` of a rare input takes effect behind everything up to `at_ns`; "gave_up": behind
    the record `serial` of that input, nothing up to `at_ns` was waited for (`core.merge`). `number` counts decisions.
    """

    number: int
    what: Literal["applied", "gave_up"]
    input: str
    serial: int
    at_ns: int


Paper = Order | Fill | Account
"""What paper trading writes and stores keep."""
