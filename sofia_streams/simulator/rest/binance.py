"""Binance's REST as a simulated spot venue answers it. Every print is an aggregate of one, with the same id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sofia_streams.model import NS_PER_MS, ParsedTrade
from sofia_streams.simulator.candle import MINUTE_MS, SECOND_MS
from sofia_streams.simulator.instrument import SimulatedInstrument
from sofia_streams.simulator.rest.memory import Memory
from sofia_streams.simulator.rest.replies import (
    MIN_NOTIONAL,
    BadParameter,
    Reply,
    json_reply,
    limit,
    number,
    ohlc,
    step,
)
from sofia_streams.venues.registry import VENUES

_ROWS_MAX, _ROWS = 1_000, 500
_SIZES_MS = {"1s": SECOND_MS, "1m": MINUTE_MS}


def answer(listed: Mapping[str, tuple[SimulatedInstrument, Memory]], path: str, asked: Mapping[str, str]) -> Reply:
    """What a GET gets."""
    if path == "api/v3/exchangeInfo":
        return json_reply({"timezone": "UTC", "symbols": [_row(one) for one, _ in listed.values()]})
    if path not in _PATHS:
        return json_reply({"code": -1100, "msg": "not served here"}, 404)
    try:
        if "symbol" not in asked:
            raise BadParameter("symbol", None)
        found = listed.get(asked["symbol"])
        if found is None:
            return json_reply({"code": -1121, "msg": "Invalid symbol."}, 400)
        return _PATHS[path](found[1], asked)
    except BadParameter as error:
        if error.found is None:
            text = f"Mandatory parameter '{error.name}' was not sent, was empty/null, or malformed."
            return json_reply({"code": -1102, "msg": text}, 400)
        text = f"Illegal characters found in parameter '{error.name}'; legal range is '^[0-9]{{1,20}}$'."
        return json_reply({"code": -1100, "msg": text}, 400)


def _klines(memory: Memory, asked: Mapping[str, str]) -> Reply:
    size_ms = _SIZES_MS.get(asked.get("interval", ""))
    if size_ms is None:
        return json_reply({"code": -1120, "msg": "Invalid interval."}, 400)
    span, is_from = (number(asked, "startTime"), number(asked, "endTime")), "startTime" in asked
    rows = memory.candles(size_ms, *span, _limit(asked), newest=not is_from)
    return json_reply([
        [one.start_ms, *ohlc(one), f"{one.volume:f}", one.start_ms + size_ms - 1, f"{one.quote:f}", one.trades,
         f"{one.bought:f}", f"{one.bought_quote:f}", "0"] for one in rows
    ])  # fmt: skip


def _limit(asked: Mapping[str, str]) -> int:
    return limit(asked, _ROWS, _ROWS_MAX)


def _newest(memory: Memory, asked: Mapping[str, str]) -> Reply:
    return _rows(memory.before_id(None, _limit(asked)))


def _historical(memory: Memory, asked: Mapping[str, str]) -> Reply:
    first_id = number(asked, "fromId")
    return _newest(memory, asked) if first_id is None else _rows(memory.from_id(first_id, _limit(asked)))


def _aggregates(memory: Memory, asked: Mapping[str, str]) -> Reply:
    first_id, start_ms, end_ms = (number(asked, name) for name in ("fromId", "startTime", "endTime"))
    if first_id is not None and (start_ms is not None or end_ms is not None):
        text = "Combination of optional parameters invalid. Recommendation: 'fromId' or 'startTime' and 'endTime'"
        return json_reply({"code": -1128, "msg": text}, 400)
    if first_id is not None:
        found = memory.from_id(first_id, _limit(asked))
    elif start_ms is not None:
        found = memory.from_time(start_ms * NS_PER_MS, _limit(asked))
    else:
        found = memory.before_id(None, _limit(asked))
    if end_ms is not None:
        found = [one for one in found if one.trade.exchange_ns <= end_ms * NS_PER_MS]
    agg = [msgspec.structs.replace(one, trade=msgspec.structs.replace(one.trade, id_kind="agg")) for one in found]
    return _rows(agg)


def _rows(found: list[ParsedTrade]) -> Reply:
    return json_reply([VENUES["binance"].write_trade(one) for one in found])


_PATHS = {
    "api/v3/klines": _klines,
    "api/v3/trades": _newest,
    "api/v3/historicalTrades": _historical,
    "api/v3/aggTrades": _aggregates,
}


def _row(one: SimulatedInstrument) -> dict[str, Any]:
    base, _, quote = one.symbol.partition("/")
    return {
        "symbol": one.listing, "status": "TRADING", "baseAsset": base, "baseAssetPrecision": 8, "quoteAsset": quote,
        "quotePrecision": 8, "isSpotTradingAllowed": True, "permissions": [],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": f"{one.tick:.8f}", "maxPrice": "1000000.00000000",
             "tickSize": f"{one.tick:.12f}"},
            {"filterType": "LOT_SIZE", "minQty": step(one), "maxQty": "9000.00000000", "stepSize": step(one)},
            {"filterType": "NOTIONAL", "minNotional": f"{MIN_NOTIONAL}.00000000", "maxNotional": "9000000.00000000"},
        ],
    }  # fmt: skip
