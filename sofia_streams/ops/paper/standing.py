"""The paper account as the log has it: how it stands, and the report on all that the log still holds. Writes nothing.

What retention has dropped is left out: figures then begin with the first record that is left, and say so.
"""

from __future__ import annotations

from typing import NamedTuple

from sofia_streams.core.oms.recorded import recorded
from sofia_streams.errors import ConfigError
from sofia_streams.ops.replay.streaming import read_paper
from sofia_streams.ops.report.making import Run, make_report
from sofia_streams.ops.report.records import Report
from sofia_streams.paper import TERMINAL, Account, Order
from sofia_streams.paper_rules import paper_rules
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
    cut = [] if accounts[0].serial == 0 else ["The log no longer has the account's beginning: figures begin later."]
    report = make_report(
        Run(accounts, book.fills(), orders),
        title="Paper account",
        prices={},
        currency=settings.paper_currency,
        rules=recorded(paper_rules(settings), (), ()),
        warnings=cut,
        is_synthetic=any(order.is_synthetic for order in orders),
        seed=settings.paper_seed,
    )
    return Standing(accounts[-1], [one for one in orders if one.status not in TERMINAL], report)
