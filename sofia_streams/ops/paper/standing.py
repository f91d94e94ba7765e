"""The paper account as the log has it: how it stands, and the report on all that the log still holds. Writes nothing.

What retention has dropped is left out: figures then begin with the first record that is left, and say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sofia_streams.core.oms.recorded import recorded
from sofia_streams.errors import ConfigError
from sofia_streams.ops.paper.parity_rules import gone_by
from sofia_streams.ops.replay.streaming import read_paper
from sofia_streams.ops.report.making import Run, make_report
from sofia_streams.ops.report.records import Report
from sofia_streams.paper import TERMINAL, Account, Fill, Order
from sofia_streams.settings import Settings


class Standing(NamedTuple):
    """The account as it was said last, its open orders, and the report."""

    account: Account
    open_orders: list[Order]
    report: Report


async def standing(settings: Settings) -> Standing:
    """Raises ConfigError where nothing was said yet, KafkaError."""
    book = await read_paper(settings)
    accounts = book.accounts()
    if not accounts:
        raise ConfigError(
            "account: expected records of a paper account in the log, found none. It begins with the worker "
            "`paper_oms`, which `sofia up` starts, and speaks at each full minute."
        )
    orders = book.orders()
    fills, cut = book.fills(), list[str]()
    if accounts[0].serial:
        cut = [
            "The log no longer has the account's beginning: figures begin later, and a position that was there then "
            "counts from when it was flat."
        ]
        fills = begun_flat(fills, accounts)
    report = make_report(
        Run(accounts, fills, orders),
        title="Paper account",
        prices={},
        currency=settings.paper_currency,
        rules=recorded(*gone_by(settings, book.snapshot)),
        warnings=cut,
        is_synthetic=any(order.is_synthetic for order in orders),
        seed=settings.paper_seed,
    )
    return Standing(accounts[-1], [one for one in orders if one.status not in TERMINAL], report)


def begun_flat(fills: Sequence[Fill], accounts: Sequence[Account]) -> list[Fill]:
    """The fills of each symbol from when it was flat, of a log without its beginning; both by time.

    The first account behind the first fill says what was held then.
    """
    if not fills:
        return []
    begin = next((one for one in accounts if one.at_ns >= fills[0].at_ns), accounts[-1])
    left = {(one.market, one.symbol): one.quantity for one in begin.positions}
    found = []
    for fill in fills:
        name = fill.market, fill.symbol
        if fill.at_ns <= begin.at_ns:
            continue
        if not left.get(name):
            found.append(fill)
        else:
            left[name] += fill.quantity if fill.side == "buy" else -fill.quantity
    return found
