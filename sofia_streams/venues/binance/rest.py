"""Binance's REST trades: a row to a trade and back, of both id spaces (`historicalTrades`, `trades`; `aggTrades`).

Pages, paths and limits are not here (`ingest.rest`). Shapes: spot API documentation, 2026-07-21.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sofia_streams.model import ParsedTrade, Trade
from sofia_streams.venues.encoding import ms, plain
from sofia_streams.venues.fields import checked_id, ns_from_ms_or_us, positive, row_of


class _Raw(msgspec.Struct, gc=False):
    id: int
    price: str
    qty: str
    time: int
    isBuyerMaker: bool


class _Aggregate(msgspec.Struct, gc=False):
    a: int
    p: str
    q: str
    T: int
    m: bool


def read_trade(row: Mapping[str, Any]) -> Trade:
    """The trade of a row; one with `a` is an aggregate. Raises ValueError."""
    if "a" in row:
        agg = row_of(_Aggregate, row)
        at_ns, side = ns_from_ms_or_us(agg.T), "sell" if agg.m else "buy"
        return Trade(str(checked_id(agg.a)), positive(agg.p), positive(agg.q), side, at_ns, agg.a, "agg")  # type: ignore[arg-type]
    raw = row_of(_Raw, row)
    at_ns, side = ns_from_ms_or_us(raw.time), "sell" if raw.isBuyerMaker else "buy"
    return Trade(str(checked_id(raw.id)), positive(raw.price), positive(raw.qty), side, at_ns, raw.id)  # type: ignore[arg-type]


def write_trade(parsed: ParsedTrade) -> dict[str, Any]:
    """The row that reads back to this trade; its id must be a number, its time whole milliseconds."""
    trade = parsed.trade
    number, at_ms, is_sell = int(trade.trade_id), ms(trade.exchange_ns), trade.taker_side == "sell"
    price, quantity = plain(trade.price), plain(trade.quantity)
    if trade.id_kind == "agg":
        fills = {"f": number, "l": number}
        return {"a": number, "p": price, "q": quantity, **fills, "T": at_ms, "m": is_sell, "M": True}
    quote = plain(trade.price * trade.quantity)
    return {"id": number, "price": price, "qty": quantity, "quoteQty": quote, "time": at_ms, "isBuyerMaker": is_sell,
            "isBestMatch": True}  # fmt: skip
