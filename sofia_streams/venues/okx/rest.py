"""OKX's REST trades (`trades`, `history-trades`): a row to a trade and back. `side` is the taker's.

Pages, paths and limits are not here (`ingest.rest`). A row is one id each: no `count`, as on the socket.
Shapes: API v5 guide, 2026-07-28.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sofia_streams.model import ParsedTrade, Side, Trade
from sofia_streams.venues.encoding import ms, plain
from sofia_streams.venues.fields import ns_from_ms_text, positive, row_of, whole_number


class _Row(msgspec.Struct, gc=False):
    tradeId: str
    px: str
    sz: str
    side: Side
    ts: str


def read_trade(row: Mapping[str, Any]) -> Trade:
    """The trade of a row. Raises ValueError."""
    found = row_of(_Row, row)
    number, at_ns = whole_number(found.tradeId), ns_from_ms_text(found.ts)
    return Trade(found.tradeId, positive(found.px), positive(found.sz), found.side, at_ns, number)


def write_trade(parsed: ParsedTrade) -> dict[str, Any]:
    """The row that reads back to this trade, of one id; its id must be a number, its time whole milliseconds."""
    trade = parsed.trade
    return {"instId": parsed.venue_symbol, "side": trade.taker_side, "sz": plain(trade.quantity),
            "px": plain(trade.price), "tradeId": trade.trade_id, "ts": str(ms(trade.exchange_ns))}  # fmt: skip
