"""What an account said in a backtest, kept as small as its statistics allow without changing them. Plain lists.

Of an order its last revision is kept; of the account every record but those of minutes in which nothing changed, and
no positions. What it does not do: judge.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sofia_streams.paper import Account, Fill, Order, Paper, Position

_NONE: list[Position] = []
"""One list for all of them."""


class Written:
    """`fills` in order; orders and accounts by their methods."""

    def __init__(self) -> None:
        self.fills: list[Fill] = []
        self._orders: dict[str, Order] = {}
        self._accounts: list[Account] = []
        self._quiet: Account | None = None

    def add(self, said: Iterable[Paper]) -> None:
        """In the order in which it was said."""
        for one in said:
            if isinstance(one, Account):
                self._account(one)
            elif isinstance(one, Fill):
                self.fills.append(one)
            else:
                self._orders[one.order_id] = one

    def orders(self) -> list[Order]:
        """Each as it stood last, in the order they were made."""
        return [*self._orders.values()]

    def accounts(self) -> list[Account]:
        """By time, the last one included."""
        return self._accounts if self._quiet is None else [*self._accounts, self._quiet]

    def _account(self, one: Account) -> None:
        if one.cause == "minute" and self._accounts and _same(one, self._accounts[-1]):
            self._quiet = one
            return
        if self._quiet is not None:
            self._accounts.append(_small(self._quiet))  # what moves now was still there then
            self._quiet = None
        self._accounts.append(_small(one))


def _small(one: Account) -> Account:
    return msgspec.structs.replace(one, positions=_NONE)


def _same(one: Account, last: Account) -> bool:
    return (
        one.equity_quote == last.equity_quote
        and one.gross_exposure_quote == last.gross_exposure_quote
        and one.flows_quote == last.flows_quote
        and one.state == last.state
    )
