"""Bybit v5's REST trades (`recent-trade`): a row to a trade and back. `side` is the taker's.

Pages, paths and limits are not here (`ingest.rest`). A row does not say the place of the trade in its frame,
so `order` is that of the first place of its sequence, as the socket's parser gives it for a frame of one trade.
Shapes: API documentation, 2026-07-24.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from sofia_streams.model import ParsedTrade, Trade
from sofia_streams.venues.bybit.parse import SEQUENCE_MAX, TAKER, TRADES_PER_FRAME_MAX
from sofia_streams.venues.encoding import ms, plain
from sofia_streams.venues.fields import checked_text, ns_from_ms_text, positive, row_of, whole_number


class _Row(msgspec.Struct, gc=False):
    execId: str
    price: str
    size: str
    side: Literal["Buy", "Sell"]
    time: str
    seq: str = "0"


def read_trade(row: Mapping[str, Any]) -> Trade:
    """The trade of a row. Raises ValueError."""
    found = row_of(_Row, row)
    sequence = whole_number(found.seq)
    if sequence > SEQUENCE_MAX:
        raise ValueError(f"expected a sequence up to {SEQUENCE_MAX}, found {sequence}")
    price, quantity, at_ns = positive(found.price), positive(found.size), ns_from_ms_text(found.time)
    order = sequence * TRADES_PER_FRAME_MAX
    return Trade(checked_text(found.execId), price, quantity, TAKER[found.side], at_ns, order)


def write_trade(parsed: ParsedTrade) -> dict[str, Any]:
    """The row that reads back to this trade: its order must be a multiple of TRADES_PER_FRAME_MAX."""
    trade = parsed.trade
    return {"execId": trade.trade_id, "symbol": parsed.venue_symbol, "price": plain(trade.price),
            "size": plain(trade.quantity), "side": trade.taker_side.capitalize(), "time": str(ms(trade.exchange_ns)),
            "isBlockTrade": False, "isRPITrade": False, "seq": str(trade.order // TRADES_PER_FRAME_MAX)}  # fmt: skip
