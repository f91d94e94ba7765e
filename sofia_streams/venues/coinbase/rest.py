"""Coinbase Exchange's REST trades (`products/<id>/trades`): a row to a trade and back. `side` is the MAKER's.

Pages, paths and limits are not here (`ingest.rest`). Shapes: Exchange API documentation and samples, 2023-26.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from sofia_streams.model import ParsedTrade, Side, Trade
from sofia_streams.venues.coinbase.encode import iso
from sofia_streams.venues.coinbase.times import ns_from_iso
from sofia_streams.venues.encoding import plain
from sofia_streams.venues.fields import checked_id, positive, row_of, whole_number

_TAKER: dict[str, Side] = {"sell": "buy", "buy": "sell"}


class _Row(msgspec.Struct, gc=False):
    trade_id: int | str
    side: Literal["buy", "sell"]
    size: str
    price: str
    time: str


def read_trade(row: Mapping[str, Any]) -> Trade:
    """The trade of a row, whose id is a number or its text. Raises ValueError."""
    found = row_of(_Row, row)
    number = whole_number(found.trade_id) if isinstance(found.trade_id, str) else checked_id(found.trade_id)
    price, quantity = positive(found.price), positive(found.size)
    return Trade(str(number), price, quantity, _TAKER[found.side], ns_from_iso(found.time), number)


def write_trade(parsed: ParsedTrade) -> dict[str, Any]:
    """The row that reads back to this trade; its id must be a number."""
    trade = parsed.trade
    return {"trade_id": int(trade.trade_id), "side": _TAKER[trade.taker_side], "size": plain(trade.quantity),
            "price": plain(trade.price), "time": iso(trade.exchange_ns)}  # fmt: skip
