"""Bybit v5's REST as a simulated spot venue answers it: newest first; of trades only the last 60, and no way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sofia_streams.simulator.candle import MINUTE_MS
from sofia_streams.simulator.instrument import SimulatedInstrument
from sofia_streams.simulator.rest.memory import Memory
from sofia_streams.simulator.rest.replies import MIN_NOTIONAL, BadParameter, Reply, json_reply, limit, number, step
from sofia_streams.venues.registry import VENUES

_CANDLES_MAX, _CANDLES, _TRADES_MAX = 1_000, 200, 60


def answer(listed: Mapping[str, tuple[SimulatedInstrument, Memory]], path: str, asked: Mapping[str, str]) -> Reply:
    """What a GET gets."""
    is_spot, listing = asked.get("category") == "spot", asked.get("symbol", "")
    if path == "v5/market/instruments-info":
        rows = [_row(one) for one, _ in listed.values()] if is_spot else []
        return _result({"category": asked.get("category", ""), "list": rows})
    if path not in _PATHS:
        return json_reply({"retCode": 404, "retMsg": "not served here", "result": {}}, 404)
    if listing not in listed or not is_spot:
        return _refused("Not supported symbols")
    try:
        return _result({"category": "spot", "symbol": listing, "list": _PATHS[path](listed[listing][1], asked)})
    except BadParameter as error:
        return _refused(f"params error: {error.name} invalid")


def _refused(text: str) -> Reply:
    return json_reply({"retCode": 10001, "retMsg": text, "result": {}, "retExtInfo": {}})


def _result(result: dict[str, Any]) -> Reply:
    return json_reply({"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}})


def _candles(memory: Memory, asked: Mapping[str, str]) -> list[Any]:
    if asked.get("interval") != "1":
        raise BadParameter("interval", asked.get("interval"))
    rows, before, count = [], None, limit(asked, _CANDLES, _CANDLES_MAX)
    low, high = number(asked, "start") or 0, number(asked, "end")
    for one in memory.candles(MINUTE_MS, None, high, count + 1):  # it opens a minute at the close of the one before
        first = one.open if before is None else before
        prices = (first, max(first, one.high), min(first, one.low), one.close)
        rows.append([str(one.start_ms), *(f"{price:f}" for price in prices), f"{one.volume:f}", f"{one.quote:f}"])
        before = one.close
    return [row for row in reversed(rows) if low <= int(row[0])][:count]


def _trades(memory: Memory, asked: Mapping[str, str]) -> list[Any]:
    found = memory.before_id(None, limit(asked, _TRADES_MAX, _TRADES_MAX))
    return [VENUES["bybit"].write_trade(one) for one in reversed(found)]


_PATHS = {"v5/market/kline": _candles, "v5/market/recent-trade": _trades}


def _row(one: SimulatedInstrument) -> dict[str, Any]:
    base, _, quote = one.symbol.partition("/")
    lots = {"basePrecision": step(one), "quotePrecision": "0.00000001", "minOrderQty": step(one),
            "maxOrderQty": "9000", "minOrderAmt": MIN_NOTIONAL, "maxOrderAmt": "4000000"}  # fmt: skip
    return {"symbol": one.listing, "baseCoin": base, "quoteCoin": quote, "status": "Trading", "marginTrading": "none",
            "lotSizeFilter": lots, "priceFilter": {"tickSize": f"{one.tick:f}"}}  # fmt: skip
